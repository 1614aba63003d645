import { describe, expect, test } from "vitest";
import { DataError } from "../../toolkit/errors.ts";
import { codeUnits } from "../../toolkit/tokenizer/preTokenize.ts";
import { javascriptPattern, splitPatterns, UnsupportedPattern } from "../../toolkit/tokenizer/splitPattern.ts";
import type { SplitStep } from "../../toolkit/tokenizer/vocabulary.ts";
import { wordCutter } from "../../toolkit/tokenizer/wordCutter.ts";

const regex = (source: string, dropsRest = false): SplitStep => ({ kind: "split", pattern: { kind: "regex", source }, dropsRest });

function cut(steps: readonly SplitStep[], text: string, start = 0, end = text.length): string[] {
  const cutter = wordCutter(steps);
  cutter.begin(text, codeUnits(text), start, end);
  const words: string[] = [];
  while (cutter.next()) words.push(text.slice(cutter.start, cutter.end));
  return words;
}

describe("javascriptPattern", () => {
  test.each<[source: string, matches: string, not: string]>([
    ["\\s", "\u0085", "\ufeff"], // JavaScript's own \s has them the other way round
    ["\\d", "٣", "½"],
    ["(?i:'s)", "'S", "'t"],
    ["(?i:'s)", "'ſ", "'z"],
    [".", "\r", "\n"],
    ["\\p{Han}", "鯨", "a"],
    ["\\p{^L}", "1", "a"],
    ["\\P{^L}", "a", "1"],
    ["[-a]", "-", "b"],
    ["[^\\r\\n\\p{L}\\-]", "1", "-"],
    ["[a-c\\]]", "]", "d"],
    ["\\x{1F40B}", "🐋", "a"],
    ["\\u00e9", "é", "e"],
    ["(a)(?:b)(?=c)", "ab", "x"],
    ["[一-龥]", "鯨", "ひ"],
  ])("%s matches %j and not %j", (source, matches, not) => {
    const whole = new RegExp(`^(?:${javascriptPattern(source)})`, "u");
    expect(whole.test(`${matches}c`)).toBe(true);
    expect(whole.test(`${not}c`)).toBe(false);
  });

  test.each(["a++", "a*+", "a{2}+", "^a", "a$", "\\w", "\\b", "\\h", "[a[b]]", "[[:alpha:]]", "[a&&b]", "(?<name>a)", "(?>a)", "(?i)a", "(?i:é)", "\\p{Nothing}", "(a", "a)", "[a", "\\1", "a**"])("%s is refused, since JavaScript has no equal for it", (source) => {
    expect(() => javascriptPattern(source)).toThrow(UnsupportedPattern);
  });
});

describe("words", () => {
  test("of Llama 3: numbers in threes, contractions without case, a sign goes with the letters after it", () => {
    expect(cut([regex(splitPatterns.llama3)], "It'S 12345 (ok)\n\n  x")).toEqual(["It", "'S", " ", "123", "45", " (", "ok", ")\n\n", " ", " x"]);
  });

  test("of Qwen 2: each digit alone", () => {
    expect(cut([regex(splitPatterns.qwen2)], "12 34")).toEqual(["1", "2", " ", "3", "4"]);
  });

  test("of o200k: words are cut where capital letters begin anew", () => {
    expect(cut([regex(splitPatterns.o200k)], "camelCaseHTMLText don't")).toEqual(["camel", "Case", "HTMLText", " don't"]);
  });

  test("of GPT-2's pattern and of its scanner are the same", () => {
    for (const text of ["Hello  world", "it's we'll  \n d\n\n", "a\u0085b\ufeff", "🐋🐋 🐋a", "3.14 x2"]) expect(cut([regex(splitPatterns.gpt2)], text)).toEqual(cut([{ kind: "gpt2" }], text));
  });

  test("what lies between matches is a word, unless it is dropped", () => {
    expect(cut([regex("\\p{L}+")], "1ab--c!")).toEqual(["1", "ab", "--", "c", "!"]);
    expect(cut([regex("\\p{L}+", true)], "1ab--c!")).toEqual(["ab", "c"]);
    expect(cut([regex("\\p{L}+")], "--")).toEqual(["--"]);
    expect(cut([regex("\\p{L}*")], "--a")).toEqual(["--", "a"]);
  });

  test("each step cuts the words of the one before", () => {
    expect(cut([regex("\\p{N}{1,3}"), { kind: "gpt2" }], "it's 1234")).toEqual(["it", "'s", " ", "123", "4"]);
    expect(cut([{ kind: "split", pattern: { kind: "text", text: "(+" }, dropsRest: false }, regex("a")], "ba(+a")).toEqual(["b", "a", "(+", "a"]);
  });

  test("nothing outside the stretch is seen", () => {
    expect(cut([regex(splitPatterns.llama3)], "a  b", 0, 3)).toEqual(["a", "  "]);
    expect(cut([regex("(?<=a)b|.")], "ab", 1, 2)).toEqual(["b"]);
    expect(cut([regex(splitPatterns.llama3)], "x12 y", 1, 3)).toEqual(["12"]);
  });

  test("a word too long for the regular expression is E_TOKENIZER_LONG_WORD, never another error or a wrong word", () => {
    const text = "鯨".repeat(16_000_000);
    try {
      const words = cut([regex("\\p{L}+")], text);
      expect(words).toEqual([text]);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      expect(error.code).toBe("E_TOKENIZER_LONG_WORD");
    }
  });

  test("a cutter can be begun anew before it is done", () => {
    const cutter = wordCutter([regex("[ab]+"), regex("b")]);
    const text = "abxb";
    cutter.begin(text, codeUnits(text), 0, 3);
    expect([cutter.next(), cutter.start, cutter.end]).toEqual([true, 0, 1]);
    cutter.begin(text, codeUnits(text), 2, 4);
    expect([cutter.next(), cutter.start, cutter.end]).toEqual([true, 2, 3]);
    expect([cutter.next(), cutter.start, cutter.end]).toEqual([true, 3, 4]);
    expect(cutter.next()).toBe(false);
  });
});
