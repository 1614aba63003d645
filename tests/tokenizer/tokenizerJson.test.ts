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
  ["normalizer", { type: "NFC" }, "normalizer"],
  ["pre_tokenizer", undefined, "pre_tokenizer"],
  ["pre_tokenizer/type", "Whitespace", "pre_tokenizer.type"],
  ["pre_tokenizer/add_prefix_space", true, "pre_tokenizer.add_prefix_space"],
  ["pre_tokenizer/use_regex", false, "pre_tokenizer.use_regex"],
  ["decoder", null, "decoder"],
  ["post_processor", { type: "TemplateProcessing" }, "post_processor.type"],
  ["model/type", "Unigram", "model.type"],
  ["model/dropout", 0.1, "model.dropout"],
  ["model/continuing_subword_prefix", "##", "model.continuing_subword_prefix"],
  ["model/end_of_word_suffix", "</w>", "model.end_of_word_suffix"],
  ["model/byte_fallback", true, "model.byte_fallback"],
  ["model/ignore_merges", true, "model.ignore_merges"],
  ["model/vocab/a", undefined, 'model.vocab["a"]'],
  ["model/vocab/a", -1, 'model.vocab["a"]'],
  ["model/vocab/a", 5, "model.vocab"],
  ["model/vocab/a", 9999, "model.vocab"],
  ["model/vocab/<|end|>", 7, 'model.vocab["<|end|>"]'],
  ["model/vocab", [], "model.vocab"],
  ["model/merges/0", ["a", "zz"], "model.merges[0]"],
  ["model/merges/0", "a", "model.merges[0]"],
  ["model/merges", undefined, "model.merges"],
  ["added_tokens/0/special", false, "added_tokens[0].special"],
  ["added_tokens/0/lstrip", true, "added_tokens[0].lstrip"],
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

test.each([null, 3, "text", [], {}])("%j is no tokenizer file", (json) => {
  expect(() => Tokenizer.fromJSON(json)).toThrow(/E_TOKENIZER_JSON/);
});
