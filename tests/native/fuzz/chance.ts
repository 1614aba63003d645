import { RandomSource } from "../../../toolkit/random.ts";

/** Choices of one case, the same for the same seed. */
export class Chance {
  private readonly source: RandomSource;

  constructor(seed: number) {
    this.source = new RandomSource(seed);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.source.nextUint32() / 2 ** 32;
  }

  /** A whole number, low ≤ value ≤ high. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  isTrue(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.int(0, choices.length - 1)];
  }

  /** The numbers 0 … length − 1 in a random order. */
  order(length: number): number[] {
    return Array.from(this.source.permutation(length));
  }
}

/** Float values that break careless code. */
export const specialFloats = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-40, 3.4e38, -3.4e38, 1, -1, 89, -104, 2 ** 24 + 1, 0.5, -0.5];

/** Integer values that break careless code. */
export const specialInts = [0, 1, -1, 2, -2, 7, 2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 1, 65535, 65536, -65537];
