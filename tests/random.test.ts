import { describe, expect, test } from "vitest";
import { ConfigError } from "../toolkit/errors.ts";
import { RandomSource } from "../toolkit/random.ts";

test("the words follow the published xoshiro128** for the state 1, 2, 3, 4", () => {
  // From prng.di.unimi.it/xoshiro128starstar.c (version 1.1), compiled with s = {1, 2, 3, 4}.
  const published = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];
  const source = RandomSource.fromState({ algorithm: "xoshiro128**", words: [1, 2, 3, 4] });
  expect(published.map(() => source.nextUint32())).toEqual(published);
});

test("the state of a seed is the first two words of the published SplitMix64, low half first", () => {
  // splitmix64.c for x = 1234567 gives 6457827717110365317 and 3203168211198807973.
  const [a, b, c, d] = new RandomSource(1234567).state().words.map(BigInt);
  expect(a + (b << 32n)).toBe(6457827717110365317n);
  expect(c + (d << 32n)).toBe(3203168211198807973n);
});

test("a seed gives the words of the two published algorithms together", () => {
  // Both C files compiled, x = 42.
  const source = new RandomSource(42);
  const published = [1776835114, 4165204688, 17111135, 2317295270, 2792088233, 2554630222];
  expect(published.map(() => source.nextUint32())).toEqual(published);
});

test("a source made from a state goes on exactly where the other stood, after a trip through JSON", () => {
  const source = new RandomSource(7);
  for (let i = 0; i < 100; i++) source.normal();
  const copy = RandomSource.fromState(JSON.parse(JSON.stringify(source.state())) as ReturnType<RandomSource["state"]>);
  for (let i = 0; i < 100; i++) expect([copy.next(), copy.nextInt(10), copy.normal()]).toEqual([source.next(), source.nextInt(10), source.normal()]);
});

test("streams of one seed differ, and equal seeds and streams are equal", () => {
  const words = (seed: number, stream: number) => new RandomSource(seed, stream).state().words.join();
  const all = [0, 1, 2].flatMap((seed) => [0, 1, 2].map((stream) => words(seed, stream)));
  expect(new Set(all).size).toBe(9);
  expect(words(5, 3)).toBe(words(5, 3));
});

describe("distributions", () => {
  const count = 200_000;

  test("next is uniform in [0, 1)", () => {
    const source = new RandomSource(1);
    const values = Array.from({ length: count }, () => source.next());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    // Five standard errors of the mean of a uniform variable, √(1/12/n).
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count));
  });

  test("nextInt gives each integer below n equally often", () => {
    const source = new RandomSource(2);
    const hits = new Array<number>(7).fill(0);
    for (let i = 0; i < count; i++) hits[source.nextInt(7)]++;
    const expected = count / 7;
    const chiSquare = hits.reduce((sum, hit) => sum + (hit - expected) ** 2 / expected, 0);
    // The 99.99 % quantile of χ² with 6 degrees of freedom.
    expect(chiSquare).toBeLessThan(27.86);
    expect(source.nextInt(1)).toBe(0);
    expect(source.nextInt(2 ** 32)).toBeLessThan(2 ** 32);
  });

  test("normal has mean 0, variance 1 and kurtosis 3", () => {
    const source = new RandomSource(3);
    const values = Array.from({ length: count }, () => source.normal());
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / count;
    // Five standard errors: variances of x, x², x⁴ are 1, 2, 96.
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / count));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / count));
  });

  test("permutation gives each order of three equally often", () => {
    const source = new RandomSource(4);
    const hits = new Map<string, number>();
    for (let i = 0; i < 60_000; i++) {
      const order = source.permutation(3).join("");
      hits.set(order, (hits.get(order) ?? 0) + 1);
    }
    expect(hits.size).toBe(6);
    const chiSquare = [...hits.values()].reduce((sum, hit) => sum + (hit - 10_000) ** 2 / 10_000, 0);
    // The 99.99 % quantile of χ² with 5 degrees of freedom.
    expect(chiSquare).toBeLessThan(25.75);
  });
});

test.each([-1, 0.5, 2 ** 53, Number.NaN])("seed %d is refused with E_SEED", (seed) => {
  expect(() => new RandomSource(seed)).toThrow(ConfigError);
  expect(() => new RandomSource(0, seed)).toThrow(/E_SEED/);
});

test.each([0, -1, 1.5, 2 ** 33])("nextInt(%d) is refused with E_RANDOM_RANGE", (n) => {
  expect(() => new RandomSource(0).nextInt(n)).toThrow(/E_RANDOM_RANGE/);
});

test.each([[[0, 0, 0, 0]], [[1, 2, 3, 2 ** 32]], [[1, 2, 3, -1]]])("the state %j is refused with E_RANDOM_STATE", (words) => {
  const [a, b, c, d] = words;
  expect(() => RandomSource.fromState({ algorithm: "xoshiro128**", words: [a, b, c, d] })).toThrow(/E_RANDOM_STATE/);
});
