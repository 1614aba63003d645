import { expect, test } from "vitest";
import { ConfigError, DataError } from "../../toolkit/errors.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { merges, specialTokens, trainingText, vocabSize } from "./nativeVectors.ts";

test("merges equal those of native tokenizers, ties included", () => {
  const tokenizer = trainTokenizer(trainingText, { vocabSize, specialTokens });
  expect(tokenizer.toJSON().model.merges).toEqual(merges);
});

test("the vocabulary is the special tokens, then the 256 bytes, then the merged tokens", () => {
  const { vocab } = trainTokenizer(trainingText, { vocabSize, specialTokens }).toJSON().model;
  expect(vocab["<|endoftext|>"]).toBe(0);
  expect(vocab["<|end|>"]).toBe(1);
  expect(vocab["!"]).toBe(2);
  expect(vocab["Ń"]).toBe(257);
  expect(vocab[merges[0].join("")]).toBe(258);
  expect(Object.values(vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: vocabSize }, (_, id) => id));
});

test("the most frequent pair is merged first, then those that it makes", () => {
  // Pairs of "ababab" and " bcd": ab 3, ba 2, the others 1; with ab merged, ab+ab stands twice.
  const tokenizer = trainTokenizer("ababab bcd", { vocabSize: 258, specialTokens: [] });
  expect(tokenizer.toJSON().model.merges).toEqual([["a", "b"], ["ab", "ab"]]);
});

test("overlapping pairs are merged from the left: aaa is aa a", () => {
  const tokenizer = trainTokenizer("aaa aaa", { vocabSize: 257, specialTokens: [] });
  expect(tokenizer.vocabSize).toBe(257);
  expect(Array.from(tokenizer.encode("aaa"), (id) => tokenizer.tokenText(id))).toEqual(["aa", "a"]);
});

test("a text is the same as its parts, when no word reaches across their border", () => {
  const whole = trainTokenizer(trainingText, { vocabSize: 300 });
  const lines = trainTokenizer(trainingText.split(/(?<=whale!)/), { vocabSize: 300 });
  expect(lines.toJSON()).toEqual(whole.toJSON());
});

test("with 256 + special tokens as vocabSize every token is a byte or special", () => {
  const tokenizer = trainTokenizer("whale", { vocabSize: 257 });
  expect(tokenizer.vocabSize).toBe(257);
  expect(tokenizer.encode("whale")).toHaveLength(5);
});

test("the vocabulary stays smaller than vocabSize when the text has no more pairs", () => {
  // "ab" has one pair.
  expect(trainTokenizer("ab", { vocabSize: 500 }).vocabSize).toBe(258);
});

test("special tokens in the text are not learned from", () => {
  const tokenizer = trainTokenizer("<|endoftext|>".repeat(100) + "ab", { vocabSize: 500 });
  expect(tokenizer.toJSON().model.merges).toEqual([["a", "b"]]);
});

test("onProgress tells how far training is and ends with the vocabulary's size", () => {
  const told: { tokensLearned: number; vocabSize: number }[] = [];
  trainTokenizer(trainingText, { vocabSize: 300, onProgress: (progress) => told.push(progress) });
  expect(told.at(-1)).toEqual({ tokensLearned: 300, vocabSize: 300 });
});

test("one word of a megabyte is trained on within seconds", () => {
  let state = 1;
  const word = Array.from({ length: 1_000_000 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return "abcdefghijklmnopqrstuvwxyz"[state >>> 24 & 15];
  }).join("");
  const startMs = performance.now();
  expect(trainTokenizer(word, { vocabSize: 1000 }).vocabSize).toBe(1000);
  expect(performance.now() - startMs).toBeLessThan(20_000);
});

test.each([256, 0, -1, 300.5, Number.NaN, 2 ** 21])("vocabSize %d is refused with E_TOKENIZER_VOCAB_SIZE", (wrong) => {
  expect(() => trainTokenizer("text", { vocabSize: wrong })).toThrow(ConfigError);
  expect(() => trainTokenizer("text", { vocabSize: wrong })).toThrow(/E_TOKENIZER_VOCAB_SIZE/);
});

test.each([["an empty text", ""], ["no texts", []], ["special tokens only", "<|endoftext|>"]])("%s is refused with E_TOKENIZER_EMPTY_TEXT", (_, text) => {
  expect(() => trainTokenizer(text, { vocabSize: 300 })).toThrow(DataError);
  expect(() => trainTokenizer(text, { vocabSize: 300 })).toThrow(/E_TOKENIZER_EMPTY_TEXT/);
});

test.each([[[""]], [["<a>", "<a>"]], [["a"]], [["Ġthe"]], [["<\ud800>"]]])("special tokens %j are refused with E_TOKENIZER_SPECIAL_TOKEN", (wrong) => {
  expect(() => trainTokenizer("text", { vocabSize: 300, specialTokens: wrong })).toThrow(/E_TOKENIZER_SPECIAL_TOKEN/);
});
