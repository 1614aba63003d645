import { splitPatterns } from "./splitPattern.ts";
import type { AddedToken, SplitStep, Vocabulary } from "./vocabulary.ts";

/** HuggingFace's tokenizer.json for byte-level BPE, as `tokenizers` 0.23 writes it.
 *  Ids are values, never positions: JavaScript moves keys like "7" to the front of an object. */
export interface TokenizerJson {
  readonly version: "1.0";
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: { readonly type: "NFC" } | null;
  readonly pre_tokenizer: PreTokenizerJson | { readonly type: "Sequence"; readonly pretokenizers: readonly PreTokenizerJson[] };
  readonly post_processor: TemplateJson | null;
  readonly decoder: ByteLevelJson;
  readonly model: {
    readonly type: "BPE";
    readonly dropout: null;
    readonly unk_token: null;
    readonly continuing_subword_prefix: null;
    readonly end_of_word_suffix: null;
    readonly fuse_unk: false;
    readonly byte_fallback: false;
    readonly ignore_merges: boolean;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [left: string, right: string])[];
  };
}

interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

interface ByteLevelJson {
  readonly type: "ByteLevel";
  readonly add_prefix_space: boolean;
  readonly trim_offsets: true;
  readonly use_regex: boolean;
}

type PreTokenizerJson = ByteLevelJson | {
  readonly type: "Split";
  readonly pattern: { readonly Regex: string } | { readonly String: string };
  readonly behavior: "Isolated" | "Removed";
  readonly invert: boolean;
};

type TemplatePieceJson = { readonly SpecialToken: { readonly id: string; readonly type_id: number } } | { readonly Sequence: { readonly id: "A" | "B"; readonly type_id: number } };

interface TemplateJson {
  readonly type: "TemplateProcessing";
  readonly single: readonly TemplatePieceJson[];
  readonly pair: readonly TemplatePieceJson[];
  readonly special_tokens: Readonly<Record<string, { readonly id: string; readonly ids: readonly number[]; readonly tokens: readonly string[] }>>;
}

export function writeTokenizerJson(vocabulary: Vocabulary): TokenizerJson {
  const { tokens, merges, addedTokens, normalizer, splitSteps, ignoreMerges } = vocabulary;
  const spelling = (id: number) => tokens[id] ?? "";
  // Added tokens stand in both places, as in the files that `tokenizers` writes after training.
  const vocab = tokens.flatMap((token, id) => (token === undefined ? [] : [[token, id] as const]));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens.map(writeAddedToken),
    normalizer: normalizer === undefined ? null : { type: normalizer },
    pre_tokenizer: writePreTokenizer(splitSteps),
    post_processor: writeTemplate(vocabulary),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      // fromEntries, because assigning a token "__proto__" to an object would lose it.
      vocab: Object.fromEntries(vocab),
      merges: merges.map(({ left, right }) => [spelling(left), spelling(right)] as const),
    },
  };
}

function writeAddedToken({ id, content, special, lstrip, rstrip, singleWord, normalized }: AddedToken): AddedTokenJson {
  return { id, content, single_word: singleWord, lstrip, rstrip, normalized, special };
}

function writePreTokenizer(steps: readonly SplitStep[]): TokenizerJson["pre_tokenizer"] {
  const byteLevel = (usesRegex: boolean): ByteLevelJson => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: usesRegex });
  const [only, ...others] = steps;
  if (only.kind === "gpt2" && others.length === 0) return byteLevel(true);
  // A ByteLevel step has to come last, since it spells the text in the byte alphabet.
  const isGpt2Last = steps[steps.length - 1].kind === "gpt2";
  const splits = (isGpt2Last ? steps.slice(0, -1) : steps).map(writeSplit);
  return { type: "Sequence", pretokenizers: [...splits, byteLevel(isGpt2Last)] };
}

function writeSplit(step: SplitStep): PreTokenizerJson {
  if (step.kind === "gpt2") return { type: "Split", pattern: { Regex: splitPatterns.gpt2 }, behavior: "Isolated", invert: false };
  const pattern = step.pattern.kind === "regex" ? { Regex: step.pattern.source } : { String: step.pattern.text };
  return { type: "Split", pattern, behavior: step.dropsRest ? "Removed" : "Isolated", invert: step.dropsRest };
}

function writeTemplate({ tokens, template: { before, after } }: Vocabulary): TemplateJson | null {
  if (before.length === 0 && after.length === 0) return null;
  const piece = (id: number, typeId: number): TemplatePieceJson => ({ SpecialToken: { id: tokens[id] ?? "", type_id: typeId } });
  const around = (sequence: "A" | "B", typeId: number): TemplatePieceJson[] =>
    [...before.map((id) => piece(id, typeId)), { Sequence: { id: sequence, type_id: typeId } }, ...after.map((id) => piece(id, typeId))];
  const used = [...new Set([...before, ...after])].map((id) => tokens[id] ?? "");
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(used.map((token) => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }])),
  };
}
