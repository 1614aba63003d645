import { ConfigError } from "../errors.ts";
import { bytesOfSpelling } from "./byteAlphabet.ts";

/** One step of byte-pair merging: the token pair (left, right) becomes `merged`. All are token ids. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

/** A token that is found in text as a whole, before any other step. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Controls the model (end of text, borders of turns) and is parsed in text only where that is allowed. */
  readonly special: boolean;
  /** Takes the white space before it along. */
  readonly lstrip: boolean;
  /** Takes the white space after it along. */
  readonly rstrip: boolean;
  /** Not found inside words. */
  readonly singleWord: boolean;
  /** Looked for after normalisation instead of before. */
  readonly normalized: boolean;
}

/** One step of cutting text into words. A split cuts at each match of a pattern; matches are words, and so is what lies
 *  between them unless it is dropped. */
export type SplitStep =
  | { readonly kind: "gpt2" }
  | { readonly kind: "split"; readonly pattern: SplitPattern; readonly dropsRest: boolean };

/** A regular expression in the dialect of tokenizer.json, or a literal text. */
export type SplitPattern = { readonly kind: "regex"; readonly source: string } | { readonly kind: "text"; readonly text: string };

/** All that defines a tokenizer, as plain values. */
export interface Vocabulary {
  /** The token of each id, [V]: spelled in the byte alphabet, added tokens as they stand in text; undefined for an unused id. */
  readonly tokens: readonly (string | undefined)[];
  /** In the order of learning: earlier merges go first. */
  readonly merges: readonly Merge[];
  /** "list": merges go in their order. "token": in the order of the merged token's id, as tiktoken does. */
  readonly mergeOrder: "list" | "token";
  /** A word that is a token as a whole becomes it without merging. */
  readonly ignoreMerges: boolean;
  /** In the order of their ids. */
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: "NFC" | undefined;
  /** Each step cuts the words of the one before; at least one. */
  readonly splitSteps: readonly SplitStep[];
  /** Ids that encode puts around a text when it is asked to. */
  readonly template: { readonly before: readonly number[]; readonly after: readonly number[] };
}

/** The special token that ends a text, in GPT-2's spelling. */
export const END_OF_TEXT = "<|endoftext|>";

/** A special token that stands for nothing but itself, as trainTokenizer makes them. */
export function specialToken(content: string, id: number): AddedToken {
  return { id, content, special: true, lstrip: false, rstrip: false, singleWord: false, normalized: false };
}

/** The plain vocabulary of a byte-level BPE tokenizer with GPT-2's pre-tokenisation.
 *  @param specialTokens get the ids 0, 1, … */
export function gpt2Vocabulary(tokens: readonly string[], merges: readonly Merge[], specialTokens: readonly string[]): Vocabulary {
  return {
    tokens, merges, mergeOrder: "list", ignoreMerges: false, addedTokens: specialTokens.map(specialToken),
    normalizer: undefined, splitSteps: [{ kind: "gpt2" }], template: { before: [], after: [] },
  };
}

/** Refuses special tokens that could not be told from ordinary ones or from each other.
 *  @throws ConfigError E_TOKENIZER_SPECIAL_TOKEN */
export function checkSpecialTokens(specialTokens: readonly string[]): void {
  const seen = new Set<string>();
  for (const token of specialTokens) {
    const problem = specialTokenProblem(token, seen);
    if (problem !== undefined) {
      throw new ConfigError({ code: "E_TOKENIZER_SPECIAL_TOKEN",
        what: `special token ${JSON.stringify(token)} can't be used`,
        why: problem,
        fix: `write special tokens like "${END_OF_TEXT}", each once` });
    }
    seen.add(token);
  }
}

/** Why a text can't be a special token beside those seen before, or undefined when it can. */
export function specialTokenProblem(token: string, seen: ReadonlySet<string> | ReadonlyMap<string, unknown>): string | undefined {
  if (token === "") return "it is empty and would match everywhere";
  if (/\p{Surrogate}/u.test(token)) return "it has half a surrogate pair, which UTF-8 cannot hold";
  if (seen.has(token)) return "it is given twice";
  const isAscii = /^[\x21-\x7e]{2,}$/.test(token);
  if (!isAscii && bytesOfSpelling(token) !== undefined) return "it is spelled like raw bytes, as ordinary tokens are";
  return undefined;
}
