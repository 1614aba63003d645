import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as cl100k from "gpt-tokenizer/encoding/cl100k_base";
import * as o200k from "gpt-tokenizer/encoding/o200k_base";
import * as r50k from "gpt-tokenizer/encoding/r50k_base";
import { describe, expect, test } from "vitest";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { FileFormatError } from "../../toolkit/errors.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";

const ranksFolder = join(dirname(createRequire(import.meta.url).resolve("gpt-tokenizer/package.json")), "data");
const ranksOf = (name: string): string => readFileSync(join(ranksFolder, `${name}.tiktoken`), "utf8");

/** Random strings without U+0085 and U+FEFF, which JavaScript's \s in gpt-tokenizer classes otherwise, and without letters
 *  that only fold to ASCII, which it does not fold. */
function* randomTexts(count: number): Generator<string> {
  const parts = ["the", "The", " Whale", "don't", "DON'T", "we'Ve", "'", "1234567", "½", "٣", " ", "  ", "\n", "\r\n", "\n\n ", "\t", "\u00a0", "…", "—", "//", "é", "e\u0301", "鯨は", "кит", "고래", "🐋", "👩\u200d👧", "\u0000", "aaaaaaaa", "=====", "camelCase", "HTML", "<|endoftext|>", "    "];
  let state = 5;
  for (let i = 0; i < count; i++) {
    let text = "";
    for (let length = i % 30; length >= 0; length--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      text += parts[Math.floor((state / 2 ** 32) * parts.length)];
    }
    yield text;
  }
}

describe.each([
  ["r50k_base", "gpt2", r50k, { "<|endoftext|>": 50256 }],
  ["cl100k_base", "cl100k", cl100k, { "<|endoftext|>": 100257, "<|endofprompt|>": 100276 }],
  ["o200k_base", "o200k", o200k, { "<|endoftext|>": 199999 }],
] as const)("%s", (name, pattern, peer, specialTokens) => {
  const tokenizer = Tokenizer.fromRanks(ranksOf(name), { pattern, specialTokens });

  test("gives the ids that gpt-tokenizer gives, on Moby Dick and on random text", () => {
    const { text } = loadMobyDick();
    for (const piece of [text, ...randomTexts(3000)]) {
      expect(Array.from(tokenizer.encode(piece, { allowedSpecial: "none" }))).toEqual(peer.encode(piece, { disallowedSpecial: new Set() }));
    }
    expect(Array.from(tokenizer.encode("a<|endoftext|>"))).toEqual([...peer.encode("a"), specialTokens["<|endoftext|>"]]);
  });

  test("decodes what it has encoded, and knows which ids are not used", () => {
    for (const piece of randomTexts(300)) expect(tokenizer.decode(tokenizer.encode(piece))).toBe(piece);
    expect(tokenizer.endOfText).toBe(specialTokens["<|endoftext|>"]);
    expect(tokenizer.vocabSize).toBe(Math.max(...Object.values(specialTokens)) + 1);
    if (name === "cl100k_base") expect(() => tokenizer.decode([100256])).toThrow(/E_TOKEN_ID/);
  });
});

test("a tokenizer of ranks is written as tokenizer.json and gives the same ids when read", () => {
  const tokenizer = Tokenizer.fromRanks(ranksOf("r50k_base"), { pattern: "gpt2", specialTokens: { "<|endoftext|>": 50256 } });
  const read = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  for (const piece of [loadMobyDick().text, ...randomTexts(1000)]) expect(read.encode(piece)).toEqual(tokenizer.encode(piece));
});

test("a word that is a token becomes it, also where its merges would lead elsewhere", () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.of(byte).toString("base64"));
  const words = ["bc", "ab", "cd", "abcd"].map((word) => Buffer.from(word).toString("base64"));
  const tokenizer = Tokenizer.fromRanks([...bytes, ...words].map((token, rank) => `${token} ${rank}`).join("\n"), { pattern: "gpt2" });
  expect(Array.from(tokenizer.encode("abcd"))).toEqual([259]);
  // As part of a longer word, b and c merge first.
  expect(Array.from(tokenizer.encode("abcda"))).toEqual([97, 256, 100, 97]);
});

test.each<[string, string, string]>([
  ["a line that is no token", `${ranksOf("r50k_base").slice(0, 100)}\nIQ== one`, "line"],
  ["a rank given twice", "IQ== 0\nIg== 0", "second time"],
  ["a byte without a rank", "IQ== 0", "has no rank"],
  ["a rank beyond all vocabularies", "IQ== 99999999", "has the rank 99999999"],
])("%s is refused with E_TOKENIZER_RANKS", (_, text, said) => {
  expect(() => Tokenizer.fromRanks(text, { pattern: "gpt2" })).toThrow(FileFormatError);
  expect(() => Tokenizer.fromRanks(text, { pattern: "gpt2" })).toThrow(new RegExp(`${said}.*E_TOKENIZER_RANKS`, "s"));
});

test("a special token with the id of an ordinary one is refused", () => {
  expect(() => Tokenizer.fromRanks(ranksOf("r50k_base"), { pattern: "gpt2", specialTokens: { "<|endoftext|>": 100 } })).toThrow(/E_TOKENIZER_RANKS/);
});
