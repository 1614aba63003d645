import { ConfigError } from "./errors.ts";

/** Where a RandomSource stands; plain JSON, so that a checkpoint can hold it. */
export interface RandomState {
  readonly algorithm: "xoshiro128**";
  /** Four unsigned 32-bit integers, not all 0. */
  readonly words: readonly [number, number, number, number];
}

const WORDS = 2 ** 32;

/** Seeded random numbers, the same on every machine: xoshiro128**, period 2¹²⁸ − 1. Not for secrets.
 *  Source: Blackman and Vigna 2021, arXiv:1805.01407; prng.di.unimi.it/xoshiro128starstar.c */
export class RandomSource {
  private readonly words: Uint32Array;

  /** Sources with different seeds or streams are independent of each other for all practical purposes.
   *  @param seed integer, 0 ≤ seed < 2⁵³
   *  @param stream tells sources of one seed apart, e.g. the epoch; integer, 0 ≤ stream < 2⁵³
   *  @throws ConfigError E_SEED */
  constructor(seed: number, stream = 0) {
    checkSeed("seed", seed);
    checkSeed("stream", stream);
    const root = splitMix64(BigInt(seed));
    // Stream 0 is the seeding that the generator's authors recommend.
    const words = stream === 0 ? root : splitMix64(root.next() ^ BigInt(stream));
    const [low, high] = [words.next(), words.next()];
    this.words = Uint32Array.from([low, low >> 32n, high, high >> 32n], (word) => Number(BigInt.asUintN(32, word)));
  }

  /** Uniform over the unsigned 32-bit integers. */
  nextUint32(): number {
    const words = this.words;
    const result = Math.imul(rotateLeft(Math.imul(words[1], 5), 7), 9) >>> 0;
    const shifted = words[1] << 9;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = rotateLeft(words[3], 11);
    return result;
  }

  /** Uniform in [0, 1), in steps of 2⁻⁵³. */
  next(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform over the integers 0 to n − 1, without bias.
   *  @param n integer, 1 ≤ n ≤ 2³²
   *  @throws ConfigError E_RANDOM_RANGE */
  nextInt(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > WORDS) {
      throw new ConfigError({ code: "E_RANDOM_RANGE", what: `nextInt got n = ${n}`, why: "it chooses among 1 to 2^32 integers", fix: "pass an integer from 1 to 4294967296" });
    }
    // The words above the last multiple of n would make small results likelier.
    const fair = WORDS - (WORDS % n);
    let word = this.nextUint32();
    while (word >= fair) word = this.nextUint32();
    return word % n;
  }

  /** Normal with mean 0 and standard deviation 1.
   *  Source: Box and Muller 1958, doi:10.1214/aoms/1177706645; the sine half is not kept, so the state stays four words */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** A uniform order of the integers 0 to count − 1, [count] uint32.
   *  Source: Durstenfeld 1964, CACM algorithm 235 */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.nextInt(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  state(): RandomState {
    const [a, b, c, d] = this.words;
    return { algorithm: "xoshiro128**", words: [a, b, c, d] };
  }

  /** A source that goes on exactly where the one that gave the state stood.
   *  @throws ConfigError E_RANDOM_STATE */
  static fromState({ algorithm, words }: RandomState): RandomSource {
    const isValid = (algorithm as string) === "xoshiro128**" && words.length === 4 && words.some((word) => word !== 0)
      && words.every((word) => Number.isInteger(word) && word >= 0 && word < WORDS);
    if (!isValid) {
      throw new ConfigError({ code: "E_RANDOM_STATE",
        what: `${JSON.stringify({ algorithm, words })} is not the state of a RandomSource`,
        why: "a state is the algorithm xoshiro128** and four unsigned 32-bit words that are not all 0",
        fix: "pass what state() returned" });
    }
    const source = new RandomSource(0);
    source.words.set(words);
    return source;
  }
}

function checkSeed(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new ConfigError({ code: "E_SEED", what: `${name} is ${value}`, why: "a seed is an integer from 0 to 2^53 - 1", fix: `pass such a ${name}, e.g. 0` });
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Spreads a seed over 64-bit words. Source: Steele et al. 2014, doi:10.1145/2660193.2660195; prng.di.unimi.it/splitmix64.c */
function splitMix64(seed: bigint): { next: () => bigint } {
  let state = seed;
  const mix = (word: bigint, shift: bigint, factor: bigint) => BigInt.asUintN(64, (word ^ (word >> shift)) * factor);
  return {
    next: () => {
      state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
      const mixed = mix(mix(state, 30n, 0xbf58476d1ce4e5b9n), 27n, 0x94d049bb133111ebn);
      return mixed ^ (mixed >> 31n);
    },
  };
}
