import { FileFormatError } from "../errors.ts";
import { byteToChar } from "./byteAlphabet.ts";
import { specialTokenProblem, type Merge, type Vocabulary } from "./vocabulary.ts";

/** HuggingFace's tokenizer.json for byte-level BPE, as `tokenizers` 0.23 writes it.
 *  Ids are values, never positions: JavaScript moves keys like "7" to the front of an object. */
export interface TokenizerJson {
  readonly version: "1.0";
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly {
    readonly id: number;
    readonly content: string;
    readonly single_word: false;
    readonly lstrip: false;
    readonly rstrip: false;
    readonly normalized: false;
    readonly special: true;
  }[];
  readonly normalizer: null;
  readonly pre_tokenizer: ByteLevelJson & { readonly add_prefix_space: false };
  readonly post_processor: null;
  readonly decoder: ByteLevelJson;
  readonly model: {
    readonly type: "BPE";
    readonly dropout: null;
    readonly unk_token: null;
    readonly continuing_subword_prefix: null;
    readonly end_of_word_suffix: null;
    readonly fuse_unk: false;
    readonly byte_fallback: false;
    readonly ignore_merges: false;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [left: string, right: string])[];
  };
}

interface ByteLevelJson {
  readonly type: "ByteLevel";
  readonly add_prefix_space: boolean;
  readonly trim_offsets: true;
  readonly use_regex: true;
}

export function writeTokenizerJson({ tokens, merges, specialTokens }: Vocabulary): TokenizerJson {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Array.from(specialTokens, ([content, id]) =>
      ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      // fromEntries, because assigning a token "__proto__" to an object would lose it.
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(({ left, right }) => [tokens[left], tokens[right]] as const),
    },
  };
}

/** Reads a parsed tokenizer.json whose settings mean exactly what Tokenizer does.
 *  @throws FileFormatError E_TOKENIZER_JSON naming the field */
export function readTokenizerJson(json: unknown): Vocabulary {
  const root = asObject(json, "tokenizer.json");
  checkFields(root, "", {
    version: oneOf("1.0", undefined),
    truncation: oneOf(null, undefined),
    padding: oneOf(null, undefined),
    added_tokens: readLater,
    normalizer: oneOf(null, undefined),
    pre_tokenizer: readLater,
    post_processor: readLater,
    decoder: readLater,
    model: readLater,
  });
  checkByteLevel(root.pre_tokenizer, "pre_tokenizer", oneOf(false));
  checkByteLevel(root.decoder, "decoder", anything);
  // A ByteLevel post-processor only trims offsets, which are not part of the ids.
  if (root.post_processor !== null && root.post_processor !== undefined) checkByteLevel(root.post_processor, "post_processor", anything);

  const model = asObject(root.model, "model");
  checkFields(model, "model.", {
    type: oneOf("BPE", undefined),
    dropout: oneOf(null, undefined, 0),
    // Never used: every byte has a token.
    unk_token: anything,
    continuing_subword_prefix: oneOf(null, undefined, ""),
    end_of_word_suffix: oneOf(null, undefined, ""),
    fuse_unk: anything,
    byte_fallback: oneOf(false, undefined),
    ignore_merges: oneOf(false, undefined),
    vocab: readLater,
    merges: readLater,
  });
  const specialTokens = readAddedTokens(root.added_tokens);
  const ids = readVocab(model.vocab, specialTokens);
  return { tokens: tokensById(ids), merges: readMerges(model.merges, ids), specialTokens };
}

type FieldCheck = (value: unknown) => string | undefined;

/** Accepts the given values only; undefined stands for a field that is left out. */
function oneOf(...allowed: readonly unknown[]): FieldCheck {
  const shown = allowed.filter((value) => value !== undefined).map((value) => JSON.stringify(value)).join(" or ");
  return (value) => (allowed.includes(value) ? undefined : `only ${shown} is supported`);
}

/** A field that can't change the ids. */
const anything: FieldCheck = () => undefined;
/** A field with its own reader, which also tells when it is missing. */
const readLater: FieldCheck = () => undefined;

/** Checks each known field and refuses all others. */
function checkFields(object: Record<string, unknown>, path: string, checks: Readonly<Record<string, FieldCheck>>): void {
  for (const [name, check] of Object.entries(checks)) {
    const problem = check(object[name]);
    if (problem !== undefined) throw wrongField(path + name, object[name], problem);
  }
  for (const name of Object.keys(object)) {
    if (!Object.hasOwn(checks, name)) throw wrongField(path + name, object[name], "this setting is not known here and could change the ids");
  }
}

function checkByteLevel(value: unknown, path: string, prefixSpace: FieldCheck): void {
  checkFields(asObject(value, path), `${path}.`, {
    type: oneOf("ByteLevel"),
    add_prefix_space: prefixSpace,
    trim_offsets: anything,
    use_regex: oneOf(true, undefined),
  });
}

function readAddedTokens(value: unknown): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [i, entry] of asArray(value ?? [], "added_tokens").entries()) {
    const path = `added_tokens[${i}]`;
    const token = asObject(entry, path);
    checkFields(token, `${path}.`, {
      id: readLater,
      content: readLater,
      single_word: oneOf(false, undefined),
      lstrip: oneOf(false, undefined),
      rstrip: oneOf(false, undefined),
      normalized: anything,
      special: oneOf(true),
    });
    if (typeof token.content !== "string") throw wrongField(`${path}.content`, token.content, "a string is needed");
    const problem = specialTokenProblem(token.content, ids);
    if (problem !== undefined) throw wrongField(`${path}.content`, token.content, problem);
    ids.set(token.content, asId(token.id, `${path}.id`));
  }
  return new Map([...ids].sort(([, a], [, b]) => a - b));
}

function readVocab(value: unknown, specialTokens: ReadonlyMap<string, number>): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(asObject(value, "model.vocab"))) {
    ids.set(token, asId(id, `model.vocab[${JSON.stringify(token)}]`));
  }
  for (const [token, id] of specialTokens) {
    if ((ids.get(token) ?? id) !== id) throw wrongField(`model.vocab[${JSON.stringify(token)}]`, ids.get(token), `added_tokens gives this token the id ${id}`);
    ids.set(token, id);
  }
  const missing = byteToChar.find((char) => !ids.has(char));
  if (missing !== undefined) throw wrongField(`model.vocab[${JSON.stringify(missing)}]`, undefined, "each of the 256 bytes needs a token");
  return ids;
}

/** @returns the token of each id; ids must run from 0 without gaps or doubles. */
function tokensById(ids: ReadonlyMap<string, number>): string[] {
  const tokens = new Array<string | undefined>(ids.size).fill(undefined);
  for (const [token, id] of ids) {
    if (id >= ids.size) throw wrongField("model.vocab", id, `${ids.size} tokens need the ids 0 to ${ids.size - 1}`);
    if (tokens[id] !== undefined) throw wrongField("model.vocab", id, `both ${JSON.stringify(tokens[id])} and ${JSON.stringify(token)} have this id`);
    tokens[id] = token;
  }
  return tokens.map((token) => token ?? "");
}

/** Merges are pairs, or in files of before 2024 strings with one space. */
function readMerges(value: unknown, ids: ReadonlyMap<string, number>): Merge[] {
  return asArray(value, "model.merges").map((entry, i) => {
    const path = `model.merges[${i}]`;
    const pair: readonly unknown[] = typeof entry === "string" ? entry.split(" ") : asArray(entry, path);
    const [left, right] = pair;
    if (pair.length !== 2 || typeof left !== "string" || typeof right !== "string") throw wrongField(path, entry, "a pair of two tokens is needed");
    const idOf = (token: string): number => {
      const id = ids.get(token);
      if (id === undefined) throw wrongField(path, entry, `model.vocab has no token ${JSON.stringify(token)}`);
      return id;
    };
    return { left: idOf(left), right: idOf(right), merged: idOf(left + right) };
  });
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongField(path, value, "an object is needed");
  return value as Record<string, unknown>;
}

function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongField(path, value, "a list is needed");
  return value;
}

function asId(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw wrongField(path, value, "an id is an integer from 0");
  return value;
}

function wrongField(path: string, value: unknown, why: string): FileFormatError {
  const shown = value === undefined ? "missing" : (JSON.stringify(value) ?? typeof value).slice(0, 80);
  return new FileFormatError({ code: "E_TOKENIZER_JSON",
    what: `${path} of the tokenizer file is ${shown}`,
    why,
    fix: "use a byte-level BPE tokenizer with GPT-2 pre-tokenisation, or train one with trainTokenizer" });
}
