import { expect, test } from "vitest";
import { FileFormatError, MoeLabError } from "../../toolkit/errors.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { encodings, specialTokens, trainingText, vocabSize } from "./nativeVectors.ts";

const trained = trainTokenizer(trainingText, { vocabSize, specialTokens });

/** A tokenizer.json as parsed from a file, with one field set; `undefined` leaves it out. */
function fileWith(path: string, value: unknown): unknown {
  const root = JSON.parse(JSON.stringify(trained)) as Record<string, unknown>;
  const names = path.split("/");
  let at = root;
  for (const name of names.slice(0, -1)) at = at[name] as Record<string, unknown>;
  at[names[names.length - 1]] = value;
  return JSON.parse(JSON.stringify(root));
}

/** A pre-tokenizer of these steps and ByteLevel without its own pattern. */
function sequence(...steps: readonly object[]): object {
  return { type: "Sequence", pretokenizers: [...steps, { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }] };
}

test("a tokenizer written and read again encodes and decodes alike", () => {
  const read = Tokenizer.fromJSON(JSON.parse(JSON.stringify(trained)));
  for (const [text, ids] of encodings) {
    expect(Array.from(read.encode(text))).toEqual(ids);
    expect(read.decode(ids)).toBe(text);
  }
  expect(read.toJSON()).toEqual(trained.toJSON());
  expect(read.endOfText).toBe(0);
});

test("JSON.stringify of a tokenizer is its tokenizer.json", () => {
  expect(JSON.parse(JSON.stringify({ tokenizer: trained }))).toEqual({ tokenizer: trained.toJSON() });
});

test("tokens that are digits or names of object members keep their ids", () => {
  const text = "__proto__ proto constructor 7 77 777 12 ".repeat(9);
  const tokenizer = trainTokenizer([text, ..."__proto__constructor".repeat(5)], { vocabSize: 330 });
  const read = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  expect(Array.from(read.encode(text))).toEqual(Array.from(tokenizer.encode(text)));
  expect(Object.keys(read.toJSON().model.vocab)).toHaveLength(tokenizer.vocabSize);
});

test("merges as strings with a space, as older files have them, are read", () => {
  const older = fileWith("model/merges", trained.toJSON().model.merges.map((pair) => pair.join(" ")));
  expect(Tokenizer.fromJSON(older).toJSON()).toEqual(trained.toJSON());
});

test("special tokens may stand after the vocabulary, as in GPT-2", () => {
  const { vocab } = trained.toJSON().model;
  const moved = Object.fromEntries(Object.entries(vocab).filter(([, id]) => id > 1).map(([token, id]) => [token, id - 2]));
  const file = fileWith("model/vocab", moved) as { added_tokens: { id: number }[] };
  file.added_tokens.forEach((token, i) => (token.id = 318 + i));
  const read = Tokenizer.fromJSON(file);
  expect(read.endOfText).toBe(318);
  expect(read.vocabSize).toBe(320);
  expect(Array.from(read.encode("a<|endoftext|>"))).toEqual([64, 318]);
});

test.each<[path: string, value: unknown, named: string]>([
  ["version", "2.0", "version"],
  ["truncation", { max_length: 8 }, "truncation"],
  ["padding", {}, "padding"],
  ["normalizer", { type: "NFKC" }, "normalizer.type"],
  ["normalizer", { type: "Lowercase" }, "normalizer.type"],
  ["normalizer", { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Prepend", prepend: "▁" }] }, "normalizer.normalizers[1].type"],
  ["pre_tokenizer", undefined, "pre_tokenizer"],
  ["pre_tokenizer/type", "Whitespace", "pre_tokenizer.type"],
  ["pre_tokenizer", { type: "Metaspace", replacement: "▁" }, "pre_tokenizer.type"],
  ["pre_tokenizer", sequence({ type: "Punctuation" }), "pre_tokenizer.pretokenizers[0].type"],
  ["pre_tokenizer", sequence({ type: "Split", pattern: { Regex: "\\p{L}+" }, behavior: "MergedWithNext", invert: false }), "pre_tokenizer.pretokenizers[0].behavior"],
  ["pre_tokenizer", sequence({ type: "Split", pattern: { Regex: "\\p{L}+" }, behavior: "Removed", invert: false }), "pre_tokenizer.pretokenizers[0].behavior"],
  ["pre_tokenizer", sequence({ type: "Split", pattern: { Regex: "\\p{L}++" }, behavior: "Isolated", invert: false }), "pre_tokenizer.pretokenizers[0].pattern.Regex"],
  ["pre_tokenizer", sequence({ type: "Split", pattern: { String: "" }, behavior: "Isolated", invert: false }), "pre_tokenizer.pretokenizers[0].pattern.String"],
  ["pre_tokenizer", sequence(), "pre_tokenizer.pretokenizers[0].use_regex"],
  ["pre_tokenizer", { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }] }, "pre_tokenizer.pretokenizers[0].type"],
  ["pre_tokenizer/add_prefix_space", true, "pre_tokenizer.add_prefix_space"],
  ["pre_tokenizer/use_regex", false, "pre_tokenizer.use_regex"],
  ["decoder", null, "decoder"],
  ["decoder", { type: "Metaspace" }, "decoder.type"],
  ["post_processor", { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 0] }, "post_processor.type"],
  ["post_processor", { type: "TemplateProcessing" }, "post_processor.single"],
  ["post_processor", { type: "TemplateProcessing", single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }] }, "post_processor.single[0].SpecialToken.id"],
  ["post_processor", { type: "TemplateProcessing", single: [{ SpecialToken: { id: "<|end|>", type_id: 0 } }] }, "post_processor.single"],
  ["model/type", "Unigram", "model.type"],
  ["model/dropout", 0.1, "model.dropout"],
  ["model/continuing_subword_prefix", "##", "model.continuing_subword_prefix"],
  ["model/end_of_word_suffix", "</w>", "model.end_of_word_suffix"],
  ["model/byte_fallback", true, "model.byte_fallback"],
  ["model/ignore_merges", "yes", "model.ignore_merges"],
  ["model/vocab/a", undefined, 'model.vocab["a"]'],
  ["model/vocab/a", -1, 'model.vocab["a"]'],
  ["model/vocab/a", 5, "model.vocab"],
  ["model/vocab/a", 9999, "model.vocab"],
  ["model/vocab/<|end|>", 7, 'model.vocab["<|end|>"]'],
  ["model/vocab", [], "model.vocab"],
  ["model/merges/0", ["a", "zz"], "model.merges[0]"],
  ["model/merges/0", "a", "model.merges[0]"],
  ["model/merges", undefined, "model.merges"],
  ["added_tokens/0/special", "no", "added_tokens[0].special"],
  ["added_tokens/0/lstrip", 1, "added_tokens[0].lstrip"],
  ["added_tokens/0/surprise", true, "added_tokens[0].surprise"],
  ["added_tokens/1/content", "<|endoftext|>", "added_tokens[1].content"],
  ["added_tokens/0/content", "a", "added_tokens[0].content"],
  ["added_tokens/0/id", "0", "added_tokens[0].id"],
  ["added_tokens/0/content", 3, "added_tokens[0].content"],
  ["model/surprise", 1, "model.surprise"],
  ["surprise", 1, "surprise"],
])("%s = %j is refused and named %s", (path, value, named) => {
  const file = fileWith(path, value);
  expect(() => Tokenizer.fromJSON(file)).toThrow(FileFormatError);
  try {
    Tokenizer.fromJSON(file);
  } catch (error) {
    if (!(error instanceof MoeLabError)) throw error;
    expect(error.code).toBe("E_TOKENIZER_JSON");
    expect(error.what.startsWith(`${named} of the tokenizer file is `)).toBe(true);
  }
});

test("ids that no token has are kept free, and are refused by decode", () => {
  const file = fileWith("added_tokens", [{ id: 400, content: "<|later|>", special: true }]);
  const read = Tokenizer.fromJSON(file);
  expect(read.vocabSize).toBe(401);
  expect(Array.from(read.encode("a<|later|>"))).toEqual([66, 400]);
  expect(() => read.decode([350])).toThrow(/E_TOKEN_ID/);
  expect(Tokenizer.fromJSON(JSON.parse(JSON.stringify(read))).toJSON()).toEqual(read.toJSON());
});

test("settings that a file may have are written as they were read", () => {
  const file = fileWith("normalizer", { type: "NFC" }) as Record<string, unknown>;
  file.pre_tokenizer = sequence({ type: "Split", pattern: { Regex: "\\p{N}{1,3}" }, behavior: "Isolated", invert: false }, { type: "Split", pattern: { String: "--" }, behavior: "Isolated", invert: false });
  file.added_tokens = [
    { id: 0, content: "<|endoftext|>", single_word: false, lstrip: false, rstrip: true, normalized: false, special: true },
    { id: 1, content: "<|end|>", single_word: true, lstrip: true, rstrip: false, normalized: true, special: false },
  ];
  (file.model as Record<string, unknown>).ignore_merges = true;
  const written = JSON.parse(JSON.stringify(Tokenizer.fromJSON(file))) as Record<string, unknown>;
  expect(written).toEqual(file);
});

test.each([null, 3, "text", [], {}])("%j is no tokenizer file", (json) => {
  expect(() => Tokenizer.fromJSON(json)).toThrow(/E_TOKENIZER_JSON/);
});
