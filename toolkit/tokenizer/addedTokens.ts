import type { AddedToken } from "./vocabulary.ts";

/** A stretch of text, [start, end), that is one added token (its id) or ordinary text (undefined). */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
  readonly tokenId: number | undefined;
}

/** Rust's \w: what counts as part of a word beside a single-word token. Source: docs.rs/regex, Unicode TR18 annex C */
const WORD_AT_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AT_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE_AT_START = /^\p{White_Space}+/u;
const SPACE_CHARACTER = /^\p{White_Space}$/u;

/** Finds added tokens in text; the leftmost match wins, then the longest, as in HuggingFace tokenizers. */
export class AddedTokenFinder {
  private readonly byContent: ReadonlyMap<string, AddedToken>;
  private readonly pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    this.byContent = new Map(tokens.map((token) => [token.content, token]));
    const longestFirst = [...this.byContent.keys()].sort((a, b) => b.length - a.length);
    this.pattern = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(escapePattern).join("|"), "g");
  }

  /** Cuts text at added tokens.
   *  @param isParsed false for tokens that are ordinary text here */
  *split(text: string, isParsed: (token: AddedToken) => boolean): Generator<TextSpan> {
    let start = 0;
    for (const match of this.pattern === undefined ? [] : text.matchAll(this.pattern)) {
      const token = this.byContent.get(match[0]);
      const matchEnd = match.index + match[0].length;
      if (token === undefined || !isParsed(token) || (token.singleWord && isInsideWord(text, match.index, matchEnd))) continue;
      const from = token.lstrip ? Math.max(start, spaceBefore(text, match.index)) : match.index;
      if (from > start) yield { start, end: from, tokenId: undefined };
      start = token.rstrip ? matchEnd + (SPACE_AT_START.exec(text.slice(matchEnd))?.[0].length ?? 0) : matchEnd;
      yield { start: from, end: start, tokenId: token.id };
    }
    if (start < text.length) yield { start, end: text.length, tokenId: undefined };
  }
}

function isInsideWord(text: string, start: number, end: number): boolean {
  // Two code units are enough for one character.
  return WORD_AT_END.test(text.slice(Math.max(0, start - 2), start)) || WORD_AT_START.test(text.slice(end, end + 2));
}

/** Where the white space that ends at an index begins. White space has no characters of two code units. */
function spaceBefore(text: string, end: number): number {
  let start = end;
  while (start > 0 && SPACE_CHARACTER.test(text[start - 1])) start--;
  return start;
}

function escapePattern(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
