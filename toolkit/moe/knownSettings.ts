import { ConfigError } from "../errors.ts";

/** The known name that is the fewest edits away, or undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }));
  const nearest = distances.sort((a, b) => a.distance - b.distance).at(0);
  // More changed letters than this and the suggestion would be a guess.
  return nearest && nearest.distance <= Math.max(2, name.length / 3) ? nearest.candidate : undefined;
}

/** Fewest insertions, deletions and replacements that turn a into b. Source: Wagner & Fischer 1974, doi:10.1145/321796.321811 */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

/** Refuses a misspelt setting, which would otherwise be ignored.
 *  @param place of the settings, e.g. "schedule"; "" at the top
 *  @throws ConfigError E_CONFIG_UNKNOWN */
export function refuseUnknownSettings(place: string, settings: object, known: readonly string[]): void {
  for (const name of Object.keys(settings)) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    throw new ConfigError({
      code: "E_CONFIG_UNKNOWN", what: `${place === "" ? name : `${place}.${name}`} is no setting`, why: "a setting that nobody reads would be ignored in silence",
      fix: nearest === undefined ? `use ${known.join(", ")}` : `write ${nearest}`,
    });
  }
}
