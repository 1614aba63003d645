/** An exact fraction in lowest terms; the denominator is positive. Both stay far below 2⁵³ in the problems made here. */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: number;
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);
}

/** @param denominator not 0 */
export function reduced(numerator: number, denominator: number): Fraction {
  const divisor = greatestCommonDivisor(numerator, denominator) * Math.sign(denominator);
  // + 0 makes −0 plain 0.
  return { numerator: numerator / divisor + 0, denominator: denominator / divisor };
}

/** "3/4", or "3" for whole numbers. */
export function fractionText({ numerator, denominator }: Fraction): string {
  return denominator === 1 ? `${numerator}` : `${numerator}/${denominator}`;
}
