import { describe, expect, test } from "vitest";
import { ConfigError } from "../../toolkit/errors.ts";
import { checkSampling, sampleToken } from "../../toolkit/generate/sampler.ts";

const logits = Float32Array.from([0.5, 0.2, 0.2, 0.1].map(Math.log));
const frequencies = (settings: { temperature?: number; topK?: number; topP?: number }) => {
  const draws = 10_000, counts = [0, 0, 0, 0];
  // An even comb over [0, 1) in place of random numbers: the shares are then exact to 1 / draws.
  for (let i = 0; i < draws; i++) counts[sampleToken(logits, { temperature: 1, topK: 0, topP: 1, ...settings }, () => (i + 0.5) / draws)] += 1;
  return counts.map((count) => count / draws);
};
const near = (actual: number[], expected: number[]) => { actual.forEach((share, i) => expect(Math.abs(share - expected[i])).toBeLessThan(2e-4)); };

describe("drawing the next token", () => {
  test("temperature 1 draws each token with its probability", () => { near(frequencies({}), [0.5, 0.2, 0.2, 0.1]); });
  test("temperature 0.5 squares the odds", () => { const squares = [0.25, 0.04, 0.04, 0.01]; near(frequencies({ temperature: 0.5 }), squares.map((s) => s / 0.34)); });
  test("temperature 0 takes the best, and the lower id of equals", () => {
    near(frequencies({ temperature: 0 }), [1, 0, 0, 0]);
    expect(sampleToken(Float32Array.of(1, 3, 3), { temperature: 0, topK: 0, topP: 1 }, () => 0.9)).toBe(1);
  });
  test("topK keeps the best K, the lower id of equals first", () => { near(frequencies({ topK: 2 }), [0.5 / 0.7, 0.2 / 0.7, 0, 0]); });
  test("topP keeps the fewest tokens that reach it", () => { near(frequencies({ topP: 0.6 }), [0.5 / 0.7, 0.2 / 0.7, 0, 0]); near(frequencies({ topP: 0.5 }), [1, 0, 0, 0]); });
  test("very large scores don't overflow", () => { expect(sampleToken(Float32Array.of(1e30, -1e30), { temperature: 0.1, topK: 0, topP: 1 }, () => 0.99)).toBe(0); });
  test.each([{ temperature: -1 }, { temperature: Number.NaN }, { topK: 1.5 }, { topP: 0 }, { topP: 1.1 }])("%j is refused", (change) => {
    expect(() => checkSampling({ temperature: 1, topK: 0, topP: 1, ...change })).toThrow(ConfigError);
  });
});
