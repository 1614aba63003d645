import { byteToChar } from "./byteAlphabet.ts";
import { anything, asArray, asBoolean, asId, asObject, asText, checkFields, oneOf, readLater, wrongField, type FieldCheck } from "./jsonFields.ts";
import { javascriptPattern, UnsupportedPattern } from "./splitPattern.ts";
import { specialTokenProblem, type AddedToken, type Merge, type SplitPattern, type SplitStep, type Vocabulary } from "./vocabulary.ts";

/** Unused ids that a file may have in all; some leave a few for later. */
const MOST_UNUSED_IDS = 1024;

/** Reads a parsed tokenizer.json whose settings mean exactly what Tokenizer does.
 *  @throws FileFormatError E_TOKENIZER_JSON naming the field */
export function readTokenizerJson(json: unknown): Vocabulary {
  const root = asObject(json, "tokenizer.json");
  checkFields(root, "", {
    version: oneOf("1.0", undefined),
    truncation: oneOf(null, undefined),
    padding: oneOf(null, undefined),
    added_tokens: readLater,
    normalizer: readLater,
    pre_tokenizer: readLater,
    post_processor: readLater,
    decoder: readLater,
    model: readLater,
  });
  checkByteLevel(root.decoder, "decoder", anything);
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
    ignore_merges: oneOf(true, false, undefined),
    vocab: readLater,
    merges: readLater,
  });
  const addedTokens = readAddedTokens(root.added_tokens);
  const ids = readVocab(model.vocab, addedTokens);
  return {
    tokens: tokensById(ids),
    merges: readMerges(model.merges, ids),
    mergeOrder: "list",
    ignoreMerges: model.ignore_merges === true,
    addedTokens,
    normalizer: readNormalizer(root.normalizer, "normalizer"),
    splitSteps: readSplitSteps(root.pre_tokenizer),
    template: readTemplate(root.post_processor, "post_processor", ids),
  };
}

function checkByteLevel(value: unknown, path: string, prefixSpace: FieldCheck): Record<string, unknown> {
  const object = asObject(value, path);
  checkFields(object, `${path}.`, {
    type: oneOf("ByteLevel"),
    add_prefix_space: prefixSpace,
    trim_offsets: anything,
    use_regex: oneOf(true, false, undefined),
  });
  return object;
}

function readNormalizer(value: unknown, path: string): "NFC" | undefined {
  if (value === null || value === undefined) return undefined;
  const normalizer = asObject(value, path);
  if (normalizer.type === "Sequence") {
    const parts = asArray(normalizer.normalizers, `${path}.normalizers`).map((part, i) => readNormalizer(part, `${path}.normalizers[${i}]`));
    return parts.find((part) => part !== undefined);
  }
  if (normalizer.type !== "NFC") throw wrongField(`${path}.type`, normalizer.type, "the only normalizer supported is NFC");
  checkFields(normalizer, `${path}.`, { type: oneOf("NFC") });
  return "NFC";
}

/** The last step spells words in the byte alphabet, with or without cutting them by GPT-2's pattern first. */
function readSplitSteps(value: unknown): SplitStep[] {
  const root = asObject(value, "pre_tokenizer");
  if (root.type === "Sequence") checkFields(root, "pre_tokenizer.", { type: readLater, pretokenizers: readLater });
  const parts = root.type === "Sequence" ? asArray(root.pretokenizers, "pre_tokenizer.pretokenizers") : [root];
  const pathOf = (i: number) => (root.type === "Sequence" ? `pre_tokenizer.pretokenizers[${i}]` : "pre_tokenizer");
  const steps: SplitStep[] = [];
  for (const [i, value] of parts.entries()) {
    const part = asObject(value, pathOf(i));
    const isLast = i === parts.length - 1;
    if (isLast !== (part.type === "ByteLevel")) throw wrongField(`${pathOf(i)}.type`, part.type, "ByteLevel comes last and once; Split and Digits may come before it");
    if (!isLast) steps.push(readSplit(part, pathOf(i)));
    else if (checkByteLevel(part, pathOf(i), oneOf(false)).use_regex !== false) steps.push({ kind: "gpt2" });
  }
  if (steps.length === 0) throw wrongField(`${pathOf(parts.length - 1)}.use_regex`, false, "without a pattern the whole text would be one word");
  return steps;
}

function readSplit(part: Record<string, unknown>, path: string): SplitStep {
  if (part.type === "Digits") {
    checkFields(part, `${path}.`, { type: readLater, individual_digits: oneOf(true, false) });
    return { kind: "split", pattern: { kind: "regex", source: part.individual_digits === true ? "\\p{N}" : "\\p{N}+" }, dropsRest: false };
  }
  checkFields(part, `${path}.`, { type: oneOf("Split"), pattern: readLater, behavior: oneOf("Isolated", "Removed"), invert: oneOf(true, false, undefined) });
  // "Removed" drops the matches, or with invert all but them: text that is lost could not be decoded again unless the pattern covers it all.
  if (part.behavior === "Removed" && part.invert !== true) throw wrongField(`${path}.behavior`, part.behavior, "text that matches would be lost; with invert: true it is supported");
  return { kind: "split", pattern: readPattern(part.pattern, `${path}.pattern`), dropsRest: part.behavior === "Removed" };
}

function readPattern(value: unknown, path: string): SplitPattern {
  const pattern = asObject(value, path);
  checkFields(pattern, `${path}.`, { Regex: readLater, String: readLater });
  if (pattern.Regex === undefined) {
    const text = asText(pattern.String, `${path}.String`);
    if (text === "") throw wrongField(`${path}.String`, text, "the empty text would match everywhere");
    return { kind: "text", text };
  }
  const source = asText(pattern.Regex, `${path}.Regex`);
  try {
    new RegExp(javascriptPattern(source), "u");
  } catch (error) {
    if (!(error instanceof UnsupportedPattern || error instanceof SyntaxError)) throw error;
    throw wrongField(`${path}.Regex`, source, `not supported in patterns: ${error.message}`);
  }
  return { kind: "regex", source };
}

function readTemplate(value: unknown, path: string, ids: ReadonlyMap<string, number>): Vocabulary["template"] {
  const none = { before: [], after: [] };
  if (value === null || value === undefined) return none;
  const processor = asObject(value, path);
  if (processor.type === "Sequence") {
    const templates = asArray(processor.processors, `${path}.processors`).map((part, i) => readTemplate(part, `${path}.processors[${i}]`, ids));
    return { before: templates.toReversed().flatMap(({ before }) => before), after: templates.flatMap(({ after }) => after) };
  }
  if (processor.type === "TemplateProcessing") return readTemplateProcessing(processor, path, ids);
  // A ByteLevel post-processor only trims offsets, which are not part of the ids.
  checkByteLevel(processor, path, anything);
  return none;
}

function readTemplateProcessing(processor: Record<string, unknown>, path: string, ids: ReadonlyMap<string, number>): Vocabulary["template"] {
  // The template for pairs is not used here.
  checkFields(processor, `${path}.`, { type: readLater, single: readLater, pair: anything, special_tokens: anything });
  const before: number[] = [];
  const after: number[] = [];
  let isAfter = false;
  for (const [i, value] of asArray(processor.single, `${path}.single`).entries()) {
    const piecePath = `${path}.single[${i}]`;
    const piece = asObject(value, piecePath);
    if (piece.Sequence !== undefined) {
      if (isAfter) throw wrongField(piecePath, value, "the text may stand there once");
      isAfter = true;
      continue;
    }
    const token = asText(asObject(piece.SpecialToken, piecePath).id, `${piecePath}.SpecialToken.id`);
    const id = ids.get(token);
    if (id === undefined) throw wrongField(`${piecePath}.SpecialToken.id`, token, "there is no such token");
    (isAfter ? after : before).push(id);
  }
  if (!isAfter) throw wrongField(`${path}.single`, processor.single, "the text itself is missing");
  return { before, after };
}

function readAddedTokens(value: unknown): AddedToken[] {
  const seen = new Map<string, AddedToken>();
  for (const [i, entry] of asArray(value ?? [], "added_tokens").entries()) {
    const path = `added_tokens[${i}]`;
    const token = asObject(entry, path);
    checkFields(token, `${path}.`, { id: readLater, content: readLater, single_word: readLater, lstrip: readLater, rstrip: readLater, normalized: readLater, special: readLater });
    const content = asText(token.content, `${path}.content`);
    const problem = specialTokenProblem(content, seen);
    if (problem !== undefined) throw wrongField(`${path}.content`, content, problem);
    const flag = (name: string, otherwise: boolean) => asBoolean(token[name] ?? otherwise, `${path}.${name}`);
    const special = flag("special", false);
    seen.set(content, {
      id: asId(token.id, `${path}.id`), content, special,
      lstrip: flag("lstrip", false), rstrip: flag("rstrip", false), singleWord: flag("single_word", false), normalized: flag("normalized", !special),
    });
  }
  return [...seen.values()].sort((a, b) => a.id - b.id);
}

function readVocab(value: unknown, addedTokens: readonly AddedToken[]): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(asObject(value, "model.vocab"))) {
    ids.set(token, asId(id, `model.vocab[${JSON.stringify(token)}]`));
  }
  for (const { content, id } of addedTokens) {
    if ((ids.get(content) ?? id) !== id) throw wrongField(`model.vocab[${JSON.stringify(content)}]`, ids.get(content), `added_tokens gives this token the id ${id}`);
    ids.set(content, id);
  }
  const missing = byteToChar.find((char) => !ids.has(char));
  if (missing !== undefined) throw wrongField(`model.vocab[${JSON.stringify(missing)}]`, undefined, "each of the 256 bytes needs a token");
  return ids;
}

/** @returns the token of each id; ids may not be given twice, nor leave many unused. */
function tokensById(ids: ReadonlyMap<string, number>): (string | undefined)[] {
  const mostIds = ids.size + MOST_UNUSED_IDS;
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of ids) {
    if (id >= mostIds) throw wrongField("model.vocab", id, `${ids.size} tokens with at most ${MOST_UNUSED_IDS} unused ids need ids below ${mostIds}`);
    if (tokens[id] !== undefined) throw wrongField("model.vocab", id, `both ${JSON.stringify(tokens[id])} and ${JSON.stringify(token)} have this id`);
    tokens[id] = token;
  }
  return Array.from(tokens);
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
