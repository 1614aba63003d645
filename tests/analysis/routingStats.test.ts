import { describe, expect, test } from "vitest";
import { RoutingStats } from "../../toolkit/analysis/routingStats.ts";

/** Two layers, 4 experts, 2 a token, 3 tokens. */
const ids = Int32Array.from([0, 1, 0, 2, 0, 3]);
const uniform = new Float32Array(12).fill(0.25);
const certain = Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);

describe("RoutingStats", () => {
  test("counts assignments, not tokens, and averages token entropy over tokens", () => {
    const stats = new RoutingStats(2, 4, 2);
    stats.add(0, ids, uniform);
    stats.add(1, ids, certain);
    const [first, second] = stats.summary().layers;
    // counts 3, 1, 1, 1: mean 1.5, so MaxVio (3 − 1.5) / 1.5
    expect(first).toMatchObject({ layer: 0, numTokens: 3, counts: [3, 1, 1, 1], maxVio: 1, loadBalancingEfficiency: 0.5, deadExperts: [] });
    expect(first?.tokenEntropy).toBeCloseTo(1, 12);
    expect(second?.tokenEntropy).toBe(0);
  });

  test("a sure router can have an even load: token entropy 0, load entropy 1", () => {
    const stats = new RoutingStats(1, 2, 1);
    stats.add(0, Int32Array.from([0, 1]), Float32Array.from([1, 0, 0, 1]));
    expect(stats.summary().layers[0]).toMatchObject({ tokenEntropy: 0, loadEntropy: 1, maxVio: 0 });
  });

  test("batches add up to the same as one big batch, in any order of the tokens", () => {
    const probabilities = Float32Array.from([0.4, 0.3, 0.2, 0.1, 0.5, 0.1, 0.3, 0.1, 0.7, 0.1, 0.05, 0.15]);
    const whole = new RoutingStats(1, 4, 2);
    whole.add(0, ids, probabilities);
    const pieces = new RoutingStats(1, 4, 2);
    for (const token of [2, 0, 1]) pieces.add(0, ids.slice(token * 2, token * 2 + 2), probabilities.slice(token * 4, token * 4 + 4));
    const [one, other] = [whole.summary().layers[0], pieces.summary().layers[0]];
    expect(other?.counts).toEqual(one?.counts);
    expect(other?.tokenEntropy).toBeCloseTo(one?.tokenEntropy ?? Number.NaN, 12);
  });

  test("global MaxVio is taken over summed counts: two opposite batches balance each other", () => {
    const stats = new RoutingStats(1, 2, 1);
    const probabilities = Float32Array.from([0.5, 0.5]);
    stats.add(0, Int32Array.from([0]), probabilities);
    expect(stats.summary().layers[0]?.maxVio).toBe(1);
    stats.add(0, Int32Array.from([1]), probabilities);
    expect(stats.summary().layers[0]?.maxVio).toBe(0);
  });

  test("layers are averaged after each has its own metrics: opposite imbalances don't cancel", () => {
    const stats = new RoutingStats(2, 2, 1);
    const probabilities = Float32Array.from([1, 0, 1, 0]);
    stats.add(0, Int32Array.from([0, 0]), probabilities);
    stats.add(1, Int32Array.from([1, 1]), probabilities);
    const summary = stats.summary();
    expect(summary.mean).toEqual({ maxVio: 1, loadBalancingEfficiency: 0.5, loadCv: 1, tokenEntropy: 0, loadEntropy: 0 });
    expect(summary.numDeadExperts).toBe(2);
  });

  test("padding tokens count nowhere", () => {
    const stats = new RoutingStats(1, 4, 2);
    stats.add(0, ids, Float32Array.from([...certain.slice(0, 8), 0.25, 0.25, 0.25, 0.25]), [1, 1, 0]);
    expect(stats.summary().layers[0]).toMatchObject({ numTokens: 2, counts: [2, 1, 1, 0], tokenEntropy: 0, deadExperts: [3] });
  });

  test("tokens may have different numbers of experts, and layers without a router are left out", () => {
    const stats = new RoutingStats(3, 4, 2);
    stats.add(1, Int32Array.from([2, 0, 1, 3, -1, -1, -1, -1, -1]), uniform); // 3 tokens: three experts, one, none
    expect(stats.summary().layers).toMatchObject([{ layer: 1, numTokens: 3, counts: [1, 1, 1, 1], maxVio: 0 }]);
  });

  test("impossible input is refused with a code and nothing is counted", () => {
    const stats = new RoutingStats(1, 4, 2);
    expect(() => stats.add(1, ids, uniform)).toThrow("E_ROUTING_LAYER");
    expect(() => stats.add(0, ids.slice(1), uniform)).toThrow("E_ROUTING_LENGTH");
    expect(() => stats.add(0, ids, uniform.slice(1))).toThrow("E_ROUTING_LENGTH");
    expect(() => stats.add(0, Int32Array.from([0, 1, 0, 2, 0, 4]), uniform)).toThrow("E_ROUTING_EXPERT");
    expect(() => stats.summary()).toThrow("E_ROUTING_NO_TOKENS");
  });
});
