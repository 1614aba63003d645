import { describe, expect, test } from "vitest";
import { dedupSchema, duplicateFinder, type DedupSettings } from "../../toolkit/data/dedup.ts";
import { normaliseText } from "../../toolkit/data/duplicateFinder.ts";
import { RandomSource } from "../../toolkit/random.ts";

const finder = (settings: DedupSettings) => duplicateFinder(dedupSchema.parse(settings));

/** Jaccard similarity of the sets of word n-grams, counted as defined. */
function jaccard(a: string, b: string, n: number): number {
  const grams = (text: string) => {
    const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
    return new Set(Array.from({ length: Math.max(1, words.length - n + 1) }, (_, i) => words.slice(i, i + n).join(" ")));
  };
  const [first, second] = [grams(a), grams(b)];
  const shared = [...first].filter((gram) => second.has(gram)).length;
  return shared / (first.size + second.size - shared);
}

describe("exact duplicates", () => {
  test("texts are the same but for case, white space and the spelling of characters", () => {
    const exact = finder({ kind: "exact" });
    expect(exact.isDuplicate("Caf\u00e9  at\nnoon ")).toBe(false);
    expect(exact.isDuplicate("caf\u0065\u0301 at noon")).toBe(true);
    expect(exact.isDuplicate("cafe at noon")).toBe(false);
    expect(normaliseText(" A\t\nB ")).toBe("a b");
  });

  test("a set of 100,000 texts remembers each of them and no other", () => {
    const exact = finder({ kind: "exact" });
    const found = (prefix: string) => Array.from({ length: 100_000 }, (_, i) => exact.isDuplicate(`${prefix} ${i}`)).filter((isDuplicate) => isDuplicate).length;
    expect([found("a"), found("a"), found("b")]).toEqual([0, 100_000, 0]);
  });

  test("more than maxDocuments is E_DEDUP_FULL; duplicates need no room", () => {
    const exact = finder({ kind: "exact", maxDocuments: 2 });
    for (const text of ["a", "b", "a", "b"]) exact.isDuplicate(text);
    expect(() => exact.isDuplicate("c")).toThrow(/E_DEDUP_FULL/);
  });
});

describe("near duplicates", () => {
  const random = new RandomSource(12);
  const vocabulary = Array.from({ length: 3000 }, (_, i) => `w${i}`);
  const words = (count: number) => Array.from({ length: count }, () => vocabulary[random.nextInt(vocabulary.length)]);
  /** A text and one in which some words are others. */
  const pairOf = (length: number, changes: number): [string, string] => {
    const original = words(length);
    const changed = [...original];
    for (let i = 0; i < changes; i++) changed[random.nextInt(length)] = `new${random.nextInt(1_000_000)}`;
    return [original.join(" "), changed.join(" ")];
  };

  test("pairs above the threshold are found and pairs below are not, against exact Jaccard similarities", () => {
    const threshold = 0.7;
    const near = finder({ kind: "near", threshold, shingleWords: 3 });
    const pairs = Array.from({ length: 600 }, (_, i) => pairOf(200, i % 40));
    const results = pairs.map(([a, b]) => ({ similarity: jaccard(a, b, 3), isFirstFound: near.isDuplicate(a), isFound: near.isDuplicate(b) }));
    expect(results.filter(({ isFirstFound }) => isFirstFound)).toHaveLength(0);
    // The estimate of 128 hashes has a standard deviation of at most √(0.7 · 0.3/128) = 0.041.
    const clear = (result: { similarity: number }) => Math.abs(result.similarity - threshold) > 3 * 0.041;
    expect(results.filter((result) => clear(result) && result.similarity > threshold).length).toBeGreaterThan(50);
    expect(results.filter((result) => clear(result) && result.similarity < threshold).length).toBeGreaterThan(50);
    const wrong = results.filter((result) => clear(result) && result.isFound !== result.similarity > threshold);
    expect(wrong.length).toBeLessThanOrEqual(3);
    const found = results.filter(({ isFound }) => isFound), above = results.filter(({ similarity }) => similarity >= threshold);
    const both = found.filter(({ similarity }) => similarity >= threshold).length;
    expect(both / above.length).toBeGreaterThan(0.85);
    expect(both / found.length).toBeGreaterThan(0.85);
  });

  test("equal texts are always found, also those of fewer words than an n-gram", () => {
    const near = finder({ kind: "near", threshold: 1 });
    for (const text of ["", "one", "one two three", words(500).join(" ")]) {
      expect(near.isDuplicate(text)).toBe(false);
      expect(near.isDuplicate(`  ${text.toUpperCase()}\n`)).toBe(true);
    }
  });

  test("the same seed finds the same", () => {
    const pairs = Array.from({ length: 50 }, () => pairOf(100, 6)).flat();
    const found = (seed: number) => {
      const near = finder({ kind: "near", seed });
      return pairs.map((text) => near.isDuplicate(text));
    };
    expect(found(3)).toEqual(found(3));
  });

  test("texts that share boilerplate of a third of their words are kept", () => {
    const near = finder({ kind: "near", threshold: 0.8 });
    const boilerplate = words(50).join(" ");
    expect(Array.from({ length: 300 }, () => near.isDuplicate(`${boilerplate} ${words(100).join(" ")}`)).some((isDuplicate) => isDuplicate)).toBe(false);
  });

  test("more than maxDocuments is E_DEDUP_FULL", () => {
    const near = finder({ kind: "near", maxDocuments: 300 });
    for (let i = 0; i < 300; i++) near.isDuplicate(words(20).join(" "));
    expect(() => near.isDuplicate(words(20).join(" "))).toThrow(/E_DEDUP_FULL/);
  });
});
