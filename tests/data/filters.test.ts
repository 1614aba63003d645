import { describe, expect, test } from "vitest";
import { filterSchema, gopherBounds, textFilter, type FilterSettings } from "../../toolkit/data/filters.ts";
import { measureText } from "../../toolkit/data/textMeasures.ts";
import { RandomSource } from "../../toolkit/random.ts";

const brokenBound = (text: string, settings: FilterSettings) => textFilter(filterSchema.parse(settings))(text);

/** Word n-grams by their text; slow, and as the definitions read. */
function plainNgrams(text: string, n: number): { topShare: number; duplicateShare: number } {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const grams = words.slice(0, Math.max(0, words.length - n + 1)).map((_, i) => words.slice(i, i + n));
  const counts = new Map<string, number>();
  for (const gram of grams) counts.set(gram.join(" "), (counts.get(gram.join(" ")) ?? 0) + 1);
  const total = words.join("").length;
  const most = Math.max(0, ...counts.values());
  const longest = Math.max(0, ...[...counts].filter(([, count]) => count === most).map(([gram]) => gram.replaceAll(" ", "").length));
  const covered = words.filter((_, w) => grams.some((gram, i) => i <= w && w < i + n && (counts.get(gram.join(" ")) ?? 0) > 1)).join("").length;
  return { topShare: most < 2 ? 0 : Math.min(1, (most * longest) / total), duplicateShare: covered / total };
}

describe("measureText", () => {
  test("counts characters, words and their mean length", () => {
    expect(measureText("The  quick\nbrown fox")).toMatchObject({ characters: 20, words: 4, meanWordLength: (3 + 5 + 5 + 3) / 4 });
  });

  test("symbols are number signs and ellipses, in both spellings, for each word", () => {
    expect(measureText("#a b... c… d").symbolToWordRatio).toBe(3 / 4);
  });

  test("a word is alphabetic when it has a letter of any script", () => {
    expect(measureText("a1 22 鯨 -- é").alphabeticWords).toBe(3 / 5);
  });

  test("stop words are counted once each, without case and punctuation", () => {
    expect(measureText("The the (that), with. haven't").stopWords).toBe(3);
  });

  test("shares of lines leave blank lines out", () => {
    const measures = measureText("- one...\n\n• two…\r\nthree.\nfour\n-five!");
    expect(measures.bulletLines).toBe(2 / 5);
    expect(measures.ellipsisLines).toBe(2 / 5);
    expect(measures.punctuatedLines).toBe(3 / 5);
  });

  test("duplicate lines and paragraphs are those that stood before, by number and by characters", () => {
    const measures = measureText("aa\nbbbb\naa \n\ncc\ndd\n\ncc\ndd");
    expect(measures.duplicateLines()).toEqual({ share: 3 / 7, characterShare: 6 / 16 });
    // Paragraphs keep their inner line ends: "aa\nbbbb\naa", "cc\ndd" and again "cc\ndd".
    expect(measures.duplicateParagraphs()).toEqual({ share: 1 / 3, characterShare: 5 / 20 });
  });

  test("n-gram shares equal a plain count, for every n from 1 to 10", () => {
    const random = new RandomSource(6);
    for (let i = 0; i < 60; i++) {
      const words = Array.from({ length: random.nextInt(60) }, () => "x".repeat(1 + random.nextInt(3)) + String(random.nextInt(3)));
      const text = words.join(" ");
      for (let n = 1; n <= 10; n++) {
        const wanted = words.length === 0 ? { topShare: 0, duplicateShare: 0 } : plainNgrams(text, n);
        const { topShare, duplicateShare } = measureText(text).ngrams(n);
        expect(topShare).toBeCloseTo(wanted.topShare, 12);
        expect(duplicateShare).toBeCloseTo(wanted.duplicateShare, 12);
      }
    }
  });

  test("a text without words has shares of 0", () => {
    const measures = measureText(" \n ");
    expect([measures.meanWordLength, measures.symbolToWordRatio, measures.bulletLines, measures.duplicateLines().share, measures.ngrams(2).topShare]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe("quality filters", () => {
  test.each<[name: string, settings: FilterSettings, kept: string, dropped: string]>([
    ["minCharacters", { minCharacters: 3 }, "abc", "ab"],
    ["maxCharacters", { maxCharacters: 3 }, "abc", "abcd"],
    ["minWords", { minWords: 2 }, "a b", "ab"],
    ["maxWords", { maxWords: 2 }, "a b", "a b c"],
    ["minMeanWordLength", { minMeanWordLength: 2 }, "a bcd", "a bc"],
    ["maxMeanWordLength", { maxMeanWordLength: 2 }, "a bcd", "a bcde"],
    ["maxSymbolToWordRatio", { maxSymbolToWordRatio: 0.5 }, "# b", "# #"],
    ["minAlphabeticWords", { minAlphabeticWords: 0.5 }, "a 1", "a 1 2"],
    ["minStopWords", { minStopWords: 2 }, "the one of all", "the one"],
    ["maxBulletLines", { maxBulletLines: 0.5 }, "- a\nb", "- a\n- b"],
    ["maxEllipsisLines", { maxEllipsisLines: 0.5 }, "a...\nb", "a...\nb…"],
    ["minPunctuatedLines", { minPunctuatedLines: 0.5 }, "a.\nb", "a.\nb\nc"],
    ["maxDuplicateLines", { maxDuplicateLines: 0.3 }, "a\nb\nc\na", "a\nb\na"],
    ["maxDuplicateLineCharacters", { maxDuplicateLineCharacters: 0.3 }, "aaa\nb\nb", "a\nbbb\nbbb"],
    ["maxDuplicateParagraphs", { maxDuplicateParagraphs: 0.3 }, "a\n\nb\n\nc\n\na", "a\n\nb\n\na"],
    ["maxDuplicateParagraphCharacters", { maxDuplicateParagraphCharacters: 0.3 }, "aaa\n\nb\n\nb", "a\n\nbbb\n\nbbb"],
    ["maxTopNgramCharacters.2", { maxTopNgramCharacters: { 2: 0.5 } }, "a b c d a b e f", "a b c a b"],
    ["maxDuplicateNgramCharacters.3", { maxDuplicateNgramCharacters: { 3: 0.5 } }, "a b c d e f g h i j k l", "a b c x a b c"],
  ])("%s leaves out a text beyond the bound, and none on it", (name, settings, kept, dropped) => {
    expect(brokenBound(kept, settings)).toBeUndefined();
    expect(brokenBound(dropped, settings)).toBe(name);
  });

  test("the preset has the bounds of Rae et al. 2021, table A1", () => {
    expect(gopherBounds.maxTopNgramCharacters).toEqual({ 2: 0.2, 3: 0.18, 4: 0.16 });
    expect(gopherBounds.maxDuplicateNgramCharacters).toEqual({ 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1 });
    expect([gopherBounds.maxDuplicateLines, gopherBounds.maxDuplicateParagraphs, gopherBounds.maxDuplicateLineCharacters, gopherBounds.maxDuplicateParagraphCharacters]).toEqual([0.3, 0.3, 0.2, 0.2]);
  });

  test("the preset keeps prose, and leaves out spam by name", () => {
    const prose = "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the world. It is a way I have of driving off the spleen and regulating the circulation.";
    expect(brokenBound(prose, { preset: "gopher" })).toBeUndefined();
    expect(brokenBound("cheap watches online ".repeat(40), { preset: "gopher" })).toBe("minStopWords");
    expect(brokenBound(`${prose}\n`.repeat(4), { preset: "gopher" })).toBe("maxDuplicateLines");
    expect(brokenBound("too short", { preset: "gopher" })).toBe("minWords");
  });

  test("a bound beside the preset replaces the preset's", () => {
    expect(brokenBound("that and this", { preset: "gopher", minWords: 3 })).toBeUndefined();
  });
});
