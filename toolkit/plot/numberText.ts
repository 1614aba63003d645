/** A number as a reader wants it: four significant digits, "–" for NaN and infinities, thousands apart. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) || Math.abs(value) >= 1e4) return Math.round(value).toLocaleString("en-US");
  const rounded = Number(value.toPrecision(4));
  return Math.abs(rounded) < 1e-3 ? rounded.toExponential() : String(rounded);
}

/** A duration: "8 s", "3 min 05 s", "2 h 10 min"; "–" when unknown.
 *  @param seconds ≥ 0 */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const total = Math.round(seconds);
  const twoDigits = (value: number): string => String(value).padStart(2, "0");
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${twoDigits(total % 60)} s`;
  return `${Math.floor(total / 3600)} h ${twoDigits(Math.floor((total % 3600) / 60))} min`;
}
