/** The two 16-bit formats by their definition, for comparison with the native conversions. */
export interface Format {
  readonly name: "bfloat16" | "float16";
  readonly narrow: "toBfloat16" | "toFloat16";
  readonly widen: "fromBfloat16" | "fromFloat16";
  /** pattern of +infinity; those below are the finite values from 0 on, in order */
  readonly infinity: number;
  /** the value that would follow the largest finite one */
  readonly overflow: number;
  /** set in every quiet NaN */
  readonly quietBit: number;
  value(bits: number): number;
}

/** Value of a pattern of a sign, exponentBits and fractionBits. Source: IEEE 754-2019, 3.4. */
function valueOf(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fractionBits, fraction = bits & (2 ** fractionBits - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (2 ** fractionBits + fraction) * 2 ** (exponent - bias - fractionBits);
}

export const formats: readonly Format[] = [
  { name: "bfloat16", narrow: "toBfloat16", widen: "fromBfloat16", infinity: 0x7f80, overflow: 2 ** 128, quietBit: 0x40, value: (bits) => valueOf(bits, 8, 7) },
  { name: "float16", narrow: "toFloat16", widen: "fromFloat16", infinity: 0x7c00, overflow: 2 ** 16, quietBit: 0x200, value: (bits) => valueOf(bits, 5, 10) },
];

/** Pattern of the value nearest to x, which isn't NaN; the even pattern of two that are equally near. */
export function nearestBits(format: Format, x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  const valueAt = (bits: number): number => (bits === format.infinity ? format.overflow : format.value(bits));
  if (size >= format.overflow) return sign + format.infinity;
  let [low, high] = [0, format.infinity];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (valueAt(middle) <= size) low = middle;
    else high = middle;
  }
  const [below, above] = [size - valueAt(low), valueAt(high) - size];
  if (below === above) return sign + (low % 2 === 0 ? low : high);
  return sign + (below < above ? low : high);
}

/** x rounded to the nearest value of the format. */
export function rounded(format: Format, x: number): number {
  return Number.isNaN(x) ? NaN : format.value(nearestBits(format, x));
}
