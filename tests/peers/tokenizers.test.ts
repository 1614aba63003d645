/** Compares our tokenizer with HuggingFace's native `tokenizers`, installed into build/peers. Runs with PEERS=1. */
import { describe, expect, test } from "vitest";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { codeUnits, wordEnd } from "../../toolkit/tokenizer/preTokenize.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { randomTexts as randomTextsOf, RELEASE, runNative, setUpNative } from "./nativeTokenizers.ts";

const randomTexts = (count: number): string[] => randomTextsOf(count, 11, ["<|endoftext|>", "'ll"]);

const problem = setUpNative();
if (problem !== undefined) console.warn(`tests/peers/tokenizers.test.ts is skipped: ${problem}`);

describe.skipIf(problem !== undefined)(`native tokenizers ${RELEASE}${problem === undefined ? "" : ` (skipped: ${problem})`}`, () => {
  test("trained alike on Moby Dick, the tokenizer.json is the same in all fields, and so are ids and text", () => {
    const { text } = loadMobyDick();
    const texts = [text, ...randomTexts(2000)];
    const native = runNative({ train: { texts: [text], vocabSize: 8192 }, encode: texts });
    const ours = trainTokenizer(text, { vocabSize: 8192 });
    expect(ours.toJSON().model.merges).toEqual(native.json.model.merges);
    expect(ours.toJSON()).toEqual(native.json);
    const read = Tokenizer.fromJSON(native.json);
    texts.forEach((piece, i) => {
      expect(Array.from(ours.encode(piece))).toEqual(native.ids[i]);
      expect(Array.from(read.encode(piece))).toEqual(native.ids[i]);
      expect(ours.decode(native.ids[i])).toBe(native.decoded[i]);
    });
  }, 300_000);

  test("native tokenizers reads our tokenizer.json and gives the same ids", () => {
    const texts = randomTexts(2000).concat("a".repeat(10_000), "ab".repeat(5_000));
    const ours = trainTokenizer(texts, { vocabSize: 2000 });
    const native = runNative({ json: JSON.stringify(ours), encode: texts });
    texts.forEach((text, i) => expect(Array.from(ours.encode(text))).toEqual(native.ids[i]));
  }, 300_000);

  test("words are cut in the same places", () => {
    const texts = randomTexts(5000).map((text) => text.replaceAll("<|endoftext|>", ""));
    const native = runNative({ json: JSON.stringify(trainTokenizer("x", { vocabSize: 257 })), encode: texts });
    texts.forEach((text, i) => {
      const units = codeUnits(text);
      const words: string[] = [];
      for (let start = 0, end = 0; start < units.length; start = end) {
        end = wordEnd(units, start, units.length);
        words.push(text.slice(start, end));
      }
      expect(words).toEqual(native.words[i]);
    });
  }, 300_000);

  test("words of few different letters, where most pairs are equally frequent, give the same merges", () => {
    let state = 3;
    const random = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    for (let round = 0; round < 10; round++) {
      const texts = Array.from({ length: 20 }, () => Array.from({ length: 40 }, () => "aaabc d"[random(2 + (round % 6))]).join(""));
      const native = runNative({ train: { texts, vocabSize: 257 + 20 * (round + 1) }, encode: texts });
      const ours = trainTokenizer(texts, { vocabSize: 257 + 20 * (round + 1) });
      expect(ours.toJSON()).toEqual(native.json);
      texts.forEach((text, i) => expect(Array.from(ours.encode(text))).toEqual(native.ids[i]));
    }
  }, 300_000);
});
