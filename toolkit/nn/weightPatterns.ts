import { ConfigError } from "../errors.ts";

/** Whether the name of a weight fits a pattern. `*` stands for any characters of one part of the name, `**` for any
 *  characters, dots among them, `{a,b}` for one of a few texts; the rest stands for itself, and the whole name has to fit.
 *  E.g. `layers.*.moe.experts.*`, `**.router.**`, `layers.{0,1}.**`.
 *  @throws ConfigError E_WEIGHT_PATTERN_SYNTAX */
export function matchWeights(name: string, pattern: string): boolean {
  return expressionOf(pattern).test(name);
}

/** The names that fit at least one of the patterns, in the order of the names.
 *  @throws ConfigError E_WEIGHT_PATTERN when a pattern fits no name: it is a slip of the pen, or a setting that does nothing */
export function selectWeights(names: Iterable<string>, patterns: readonly string[]): string[] {
  const all = [...names];
  const expressions = patterns.map(expressionOf);
  expressions.forEach((expression, i) => {
    if (all.some((name) => expression.test(name))) return;
    throw new ConfigError({
      code: "E_WEIGHT_PATTERN", what: `the pattern "${patterns[i]}" fits no weight`,
      why: `there are ${all.length} weights, e.g. ${sample(all)}; "*" stands for a part without dots, "**" for any characters`,
      fix: "correct the pattern, or leave it out",
    });
  });
  return all.filter((name) => expressions.some((expression) => expression.test(name)));
}

/** A few names that show how names are made: those of the first layer, where there are any. */
function sample(names: readonly string[]): string {
  const first = names.filter((name) => name.startsWith("layers.0."));
  return (first.length > 0 ? first : names).slice(0, 8).join(", ");
}

function expressionOf(pattern: string): RegExp {
  const tokens = pattern.match(/\*\*|\*|\{[\w.,-]*\}|[\w.-]+/g) ?? [];
  if (pattern === "" || tokens.join("") !== pattern) {
    throw new ConfigError({
      code: "E_WEIGHT_PATTERN_SYNTAX", what: `"${pattern}" is no pattern of weight names`,
      why: 'a pattern is made of letters, digits, ".", "-", "_", "*", "**" and "{a,b}"', fix: 'write e.g. "layers.*.moe.router.**"',
    });
  }
  const parts = tokens.map((token) => {
    if (token === "**") return ".*";
    if (token === "*") return "[^.]*";
    const text = token.replaceAll(".", "\\.");
    return token.startsWith("{") ? `(?:${text.slice(1, -1).replaceAll(",", "|")})` : text;
  });
  return new RegExp(`^${parts.join("")}$`);
}
