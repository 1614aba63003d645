import { ConfigError } from "../errors.ts";
import { bytesOfSpelling } from "./byteAlphabet.ts";

/** One step of byte-pair merging: the token pair (left, right) becomes `merged`. All are token ids. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

/** All that defines a tokenizer, as plain values. */
export interface Vocabulary {
  /** The token of each id, [V]: spelled in the byte alphabet, special tokens as they stand in text. */
  readonly tokens: readonly string[];
  /** In the order of learning: earlier merges go first. */
  readonly merges: readonly Merge[];
  /** Special token → id, in the order of their ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
}

/** The special token that ends a text, in GPT-2's spelling. */
export const END_OF_TEXT = "<|endoftext|>";

/** A stretch of text, [start, end), that is one special token (its id) or ordinary text (undefined). */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
  readonly specialId: number | undefined;
}

/** Cuts text at special tokens; the leftmost match wins, then the longest, as in HuggingFace tokenizers. */
export function* splitAtSpecialTokens(text: string, specialTokens: ReadonlyMap<string, number>): Generator<TextSpan> {
  let start = 0;
  if (specialTokens.size > 0) {
    const longestFirst = [...specialTokens.keys()].sort((a, b) => b.length - a.length);
    const pattern = new RegExp(longestFirst.map(escapePattern).join("|"), "g");
    for (const match of text.matchAll(pattern)) {
      if (match.index > start) yield { start, end: match.index, specialId: undefined };
      start = match.index + match[0].length;
      yield { start: match.index, end: start, specialId: specialTokens.get(match[0]) };
    }
  }
  if (start < text.length) yield { start, end: text.length, specialId: undefined };
}

function escapePattern(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
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
export function specialTokenProblem(token: string, seen: ReadonlySet<string> | ReadonlyMap<string, number>): string | undefined {
  if (token === "") return "it is empty and would match everywhere";
  if (/\p{Surrogate}/u.test(token)) return "it has half a surrogate pair, which UTF-8 cannot hold";
  if (seen.has(token)) return "it is given twice";
  const isAscii = /^[\x21-\x7e]{2,}$/.test(token);
  if (!isAscii && bytesOfSpelling(token) !== undefined) return "it is spelled like raw bytes, as ordinary tokens are";
  return undefined;
}
