import { expect, test } from "vitest";
import { FileFormatError } from "../../toolkit/errors.ts";
import { readTokenizerConfig, writeTokenizerConfig } from "../../toolkit/tokenizer/tokenizerConfig.ts";

test("template and tokens are read, tokens also from objects, and the rest is passed over", () => {
  const json = { chat_template: "{{ messages }}", bos_token: null, eos_token: { __type: "AddedToken", content: "</s>", lstrip: false }, pad_token: "<pad>", model_max_length: 4096, added_tokens_decoder: {} };
  expect(readTokenizerConfig(json)).toEqual({ chatTemplate: "{{ messages }}", eosToken: "</s>", padToken: "<pad>" });
  expect(readTokenizerConfig({})).toEqual({});
});

test("of several templates the ones named default and tool_use are taken", () => {
  const json = { chat_template: [{ name: "default", template: "a" }, { name: "tool_use", template: "b" }, { name: "rag", template: "c" }] };
  expect(readTokenizerConfig(json)).toEqual({ chatTemplate: "a", toolTemplate: "b" });
});

test.each([{ chatTemplate: "a", bosToken: "<s>", eosToken: "</s>", padToken: "<pad>" }, { chatTemplate: "a", toolTemplate: "b" }, { eosToken: "</s>" }, {}])("%j is read as it was written", (config) => {
  expect(readTokenizerConfig(JSON.parse(JSON.stringify(writeTokenizerConfig(config))))).toEqual(config);
});

test("what is written says that it is a plain tokenizer.json", () => {
  expect(writeTokenizerConfig({ chatTemplate: "a" })).toEqual({ tokenizer_class: "PreTrainedTokenizerFast", clean_up_tokenization_spaces: false, chat_template: "a" });
});

test.each<[unknown, string]>([
  [null, "tokenizer_config.json"], [[], "tokenizer_config.json"], [{ chat_template: 3 }, "chat_template"], [{ chat_template: [{ name: "default" }] }, "chat_template[0]"],
  [{ chat_template: [null] }, "chat_template[0]"], [{ eos_token: "" }, "eos_token"], [{ bos_token: 1 }, "bos_token"], [{ pad_token: { content: 1 } }, "pad_token"],
])("%j is refused and names %s", (json, field) => {
  expect(() => readTokenizerConfig(json)).toThrow(FileFormatError);
  expect(() => readTokenizerConfig(json)).toThrow(`${field} of the tokenizer's configuration`);
});
