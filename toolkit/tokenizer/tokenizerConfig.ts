import { FileFormatError } from "../errors.ts";

/** What is used of tokenizer_config.json, HuggingFace's file beside tokenizer.json. */
export interface TokenizerConfig {
  /** Jinja source; the one named "default" where the file has several. */
  readonly chatTemplate?: string;
  /** Jinja source for chats with tools, where the file has one of its own: "tool_use". */
  readonly toolTemplate?: string;
  readonly bosToken?: string;
  readonly eosToken?: string;
  readonly padToken?: string;
}

/** The fields of tokenizer_config.json that we write. */
export interface TokenizerConfigJson {
  readonly tokenizer_class: "PreTrainedTokenizerFast";
  readonly clean_up_tokenization_spaces: false;
  readonly chat_template?: string | readonly { readonly name: string; readonly template: string }[];
  readonly bos_token?: string;
  readonly eos_token?: string;
  readonly pad_token?: string;
}

/** @param json a parsed tokenizer_config.json; fields that say nothing about chats are passed over
 *  @throws FileFormatError E_TOKENIZER_CONFIG naming the field */
export function readTokenizerConfig(json: unknown): TokenizerConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrongField("tokenizer_config.json", json, "an object is needed");
  const fields = json as Record<string, unknown>;
  const templates = readTemplates(fields.chat_template);
  const config = {
    chatTemplate: templates.get("default"), toolTemplate: templates.get("tool_use"),
    bosToken: readToken(fields.bos_token, "bos_token"), eosToken: readToken(fields.eos_token, "eos_token"), padToken: readToken(fields.pad_token, "pad_token"),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

export function writeTokenizerConfig({ chatTemplate, toolTemplate, bosToken, eosToken, padToken }: TokenizerConfig): TokenizerConfigJson {
  const templates = chatTemplate === undefined || toolTemplate === undefined ? chatTemplate
    : [{ name: "default", template: chatTemplate }, { name: "tool_use", template: toolTemplate }];
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    ...(templates !== undefined && { chat_template: templates }),
    ...(bosToken !== undefined && { bos_token: bosToken }),
    ...(eosToken !== undefined && { eos_token: eosToken }),
    ...(padToken !== undefined && { pad_token: padToken }),
  };
}

function readTemplates(value: unknown): Map<string, string> {
  if (value === undefined || value === null) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  if (!Array.isArray(value)) throw wrongField("chat_template", value, "a Jinja template or a list of { name, template } is needed");
  return new Map(value.map((entry: unknown, i) => {
    const { name, template } = (entry ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || typeof template !== "string") throw wrongField(`chat_template[${i}]`, entry, "name and template are needed, both strings");
    return [name, template] as const;
  }));
}

/** A token is its text, or in older files an object with the text as `content`. */
function readToken(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = typeof value === "object" && "content" in value ? value.content : value;
  if (typeof text !== "string" || text === "") throw wrongField(path, value, "a token is a text that is not empty, or { content: text }");
  return text;
}

function wrongField(path: string, value: unknown, why: string): FileFormatError {
  const shown = value === undefined ? "missing" : (JSON.stringify(value) ?? typeof value).slice(0, 80);
  return new FileFormatError({ code: "E_TOKENIZER_CONFIG", what: `${path} of the tokenizer's configuration is ${shown}`, why, fix: "write the field as HuggingFace's tokenizer_config.json has it" });
}
