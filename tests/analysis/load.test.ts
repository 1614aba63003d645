import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RoutingError } from "../../toolkit/errors.ts";
import { loadMetrics, normalizedEntropy } from "../../toolkit/analysis/load.ts";

/** Published counts; see the file's own note on source and licence. */
interface OlmoeCounts {
  numExperts: number;
  expertsPerToken: number;
  layers: number[];
  tokens: Record<string, number>;
  domains: Record<string, number[][]>;
}
const olmoe = JSON.parse(readFileSync(new URL("./olmoeExpertCounts.json", import.meta.url), "utf8")) as OlmoeCounts;

describe("load metrics of one layer", () => {
  test("are those worked out by hand for counts 6, 2, 0, 4", () => {
    // mean 3; max 6; variance (9 + 1 + 9 + 1) / 4 = 5; shares 1/2, 1/6, 0, 1/3
    const metrics = loadMetrics([6, 2, 0, 4]);
    expect(metrics.load).toEqual([0.5, 2 / 12, 0, 4 / 12]);
    expect(metrics.maxVio).toBe(1);
    expect(metrics.loadBalancingEfficiency).toBe(0.5);
    expect(metrics.loadCv).toBeCloseTo(Math.sqrt(5) / 3, 14);
    expect(metrics.loadEntropy).toBeCloseTo((Math.log(2) / 2 + Math.log(6) / 6 + Math.log(3) / 3) / Math.log(4), 14);
    expect(metrics.deadExperts).toEqual([2]);
  });

  test("say balanced when every expert has the same count", () => {
    const metrics = loadMetrics(new Array<number>(64).fill(25));
    expect(metrics).toMatchObject({ maxVio: 0, loadBalancingEfficiency: 1, loadCv: 0, deadExperts: [] });
    expect(metrics.loadEntropy).toBeCloseTo(1, 14);
  });

  test("reach their extremes when one expert takes all: MaxVio E − 1, efficiency 1/E, entropy 0", () => {
    const metrics = loadMetrics([0, 0, 12, 0]);
    expect(metrics).toMatchObject({ maxVio: 3, loadBalancingEfficiency: 0.25, loadEntropy: 0, deadExperts: [0, 1, 3] });
    expect(metrics.loadCv).toBeCloseTo(Math.sqrt(3), 14);
  });

  test("don't depend on which expert is which, nor on how many tokens were counted", () => {
    const counts = [31, 7, 19, 2, 88, 41, 5, 12];
    const expected = loadMetrics(counts);
    const others = [counts.toReversed(), counts.toSorted((a, b) => a - b), counts.map((count) => count * 1000)];
    for (const other of others.map(loadMetrics)) {
      for (const metric of ["maxVio", "loadBalancingEfficiency", "loadCv", "loadEntropy"] as const) expect(other[metric]).toBeCloseTo(expected[metric], 12);
    }
  });

  test("keep efficiency = 1 / (1 + MaxVio) for any counts", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const counts = Array.from({ length: 1 + (seed % 9) }, (_, expert) => (seed * 7919 * (expert + 3)) % 101);
      const metrics = loadMetrics([...counts, 5]);
      expect(metrics.loadBalancingEfficiency).toBeCloseTo(1 / (1 + metrics.maxVio), 12);
    }
  });

  test("of no tokens are an error with a code, not NaN", () => {
    expect(() => loadMetrics([0, 0])).toThrow(RoutingError);
    expect(() => loadMetrics([0, 0])).toThrow("E_ROUTING_NO_TOKENS");
  });
});

describe("on the published expert counts of OLMoE-1B-7B", () => {
  // MaxVio of layers 0, 7, 15, worked out from the same counts by the OLMoE data's own description, two decimals.
  const expected: Record<string, number[]> = { c4: [2.02, 1.66, 1.5], arxiv: [6.81, 5.28, 6.49], github: [4.01, 5.16, 3.51] };

  test.each(Object.keys(expected))("MaxVio of %s is the known one", (domain) => {
    const found = olmoe.domains[domain]?.map((counts) => loadMetrics(counts).maxVio) ?? [];
    expect(found.map((value) => Number(value.toFixed(2)))).toEqual(expected[domain]);
  });

  test("each layer's counts are K times its tokens, so its shares sum to 1", () => {
    for (const [domain, layers] of Object.entries(olmoe.domains)) {
      for (const counts of layers) {
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe((olmoe.tokens[domain] ?? 0) * olmoe.expertsPerToken);
        expect(loadMetrics(counts).load.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
      }
    }
  });

  test("general text (C4) is spread more evenly than papers or code, by every metric", () => {
    for (const position of [0, 1, 2]) {
      const [c4, arxiv, github] = ["c4", "arxiv", "github"].map((domain) => loadMetrics(olmoe.domains[domain]?.[position] ?? []));
      for (const narrow of [arxiv, github]) {
        expect(c4?.loadEntropy).toBeGreaterThan(narrow?.loadEntropy ?? 1);
        expect(c4?.loadCv).toBeLessThan(narrow?.loadCv ?? 0);
        expect(c4?.loadBalancingEfficiency).toBeGreaterThan(narrow?.loadBalancingEfficiency ?? 1);
      }
    }
  });
});

describe("normalized entropy", () => {
  test("is 1 for a uniform distribution, 0 for a certain one, ln 2 / ln 4 for a coin among four", () => {
    expect(normalizedEntropy([0.25, 0.25, 0.25, 0.25])).toBeCloseTo(1, 14);
    expect(normalizedEntropy([0, 1, 0])).toBe(0);
    expect(normalizedEntropy([0.5, 0, 0, 0.5])).toBeCloseTo(0.5, 14);
  });

  test("of a single expert is 1, as its load can't be more even", () => {
    expect(normalizedEntropy([1])).toBe(1);
  });
});
