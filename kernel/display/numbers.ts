import { Math, Number, Object, String } from "../runner/intrinsics.ts";

/** How many digits numbers are shown with. */
export interface NumberFormat {
  /** Digits of the largest number that count. */
  readonly significant: number;
  /** Digits after the point, at most. */
  readonly decimals: number;
}

/** From here on, and below the other, a whole column is written with exponents. */
const LARGE = 1e9;
const SMALL = 1e-4;
/** A single number below this is written with an exponent. */
const PLAIN_FROM = 1e-3;
/** Above this, not every integer is a number of its own. */
const EXACT_INTEGERS = 1e15;

/** Numbers of one column, so that their points stand below one another: the same count of decimals for all.
 *  A number too small for that is written with an exponent rather than as 0. */
export function formatNumbers(values: readonly number[], format: NumberFormat): string[] {
  const finite = values.filter((value) => Number.isFinite(value));
  const largest = finite.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest < EXACT_INTEGERS && finite.every((value) => Number.isInteger(value))) return values.map((value) => (Object.is(value, -0) ? "-0" : String(value)));
  if (largest >= LARGE || largest < SMALL) return values.map((value) => (Number.isFinite(value) ? value.toExponential(format.significant - 2) : String(value)));
  const numIntegerDigits = Math.max(0, Math.floor(Math.log10(largest)) + 1);
  const wanted = Math.max(...finite.map((value) => decimalsOf(Number(value.toPrecision(format.significant)))));
  const decimals = Math.max(1, Math.min(wanted, format.decimals, format.significant - numIntegerDigits));
  return values.map((value) => {
    if (!Number.isFinite(value)) return String(value);
    const text = value.toFixed(decimals);
    return value !== 0 && Number(text) === 0 ? value.toExponential(1) : text;
  });
}

/** One number, as short as its digits that count allow. */
export function formatNumber(value: number, significant = 5): string {
  const rounded = Number(value.toPrecision(significant));
  return rounded !== 0 && Math.abs(rounded) < PLAIN_FROM ? rounded.toExponential() : String(rounded);
}

/** A count with a comma between thousands. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** A size in the unit that suits it: 512 B, 12.3 KiB, 4 MiB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** step).toPrecision(3))} ${units[step] ?? "B"}`;
}

function decimalsOf(value: number): number {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  return Math.max(0, (mantissa.split(".")[1] ?? "").length - Number(exponent));
}
