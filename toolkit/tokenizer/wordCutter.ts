import { DataError } from "../errors.ts";
import { wordEnd } from "./preTokenize.ts";
import { javascriptPattern } from "./splitPattern.ts";
import type { SplitStep } from "./vocabulary.ts";

/** Cuts a stretch of text into words, one at each call of next. */
export interface WordCutter {
  /** The word that next found is text[start, end). */
  readonly start: number;
  readonly end: number;
  /** Begins with a new stretch, [start, end); matches see nothing of the text around it.
   *  @param units the text's code units */
  begin(text: string, units: Uint16Array, start: number, end: number): void;
  /** @returns false when there are no more words */
  next(): boolean;
}

/** @param steps at least one */
export function wordCutter(steps: readonly SplitStep[]): WordCutter {
  const [first, ...others] = steps.map(stepCutter);
  return others.reduce((outer, inner) => new NestedCutter(outer, inner), first);
}

function stepCutter(step: SplitStep): WordCutter {
  if (step.kind === "gpt2") return new Gpt2Cutter();
  const { pattern, dropsRest } = step;
  return new PatternCutter(pattern.kind === "regex" ? javascriptPattern(pattern.source) : pattern.text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), dropsRest);
}

/** GPT-2's pattern as a scanner. */
class Gpt2Cutter implements WordCutter {
  start = 0;
  end = 0;
  private units: Uint16Array = new Uint16Array(0);
  private limit = 0;

  begin(_text: string, units: Uint16Array, start: number, end: number): void {
    this.units = units;
    this.end = start;
    this.limit = end;
  }

  next(): boolean {
    this.start = this.end;
    if (this.start >= this.limit) return false;
    this.end = wordEnd(this.units, this.start, this.limit);
    return true;
  }
}

/** A regular expression. It is asked with `test`, which makes no object for a match. */
class PatternCutter implements WordCutter {
  start = 0;
  end = 0;
  private readonly here: RegExp;
  private readonly anywhere: RegExp;
  private readonly dropsRest: boolean;
  private piece = "";
  /** Where the piece stands in the text, and where in the piece the next word begins. */
  private offset = 0;
  private at = 0;
  /** A match found behind the rest that comes first, in the piece; 0 when there is none. */
  private matchEnd = 0;

  /** @param source in JavaScript's dialect */
  constructor(source: string, dropsRest: boolean) {
    this.here = new RegExp(source, "uy");
    this.anywhere = new RegExp(source, "ug");
    this.dropsRest = dropsRest;
  }

  begin(text: string, _units: Uint16Array, start: number, end: number): void {
    this.piece = start === 0 && end === text.length ? text : text.slice(start, end);
    this.offset = start;
    this.at = 0;
    this.matchEnd = 0;
  }

  next(): boolean {
    if (this.at >= this.piece.length) return false;
    if (this.matchEnd > 0) {
      const end = this.matchEnd;
      this.matchEnd = 0;
      return this.found(end);
    }
    this.here.lastIndex = this.at;
    if (this.isHere() && this.here.lastIndex > this.at) return this.found(this.here.lastIndex);
    return this.rest();
  }

  /** What lies before the next match; the match itself is kept for the next call. */
  private rest(): boolean {
    this.anywhere.lastIndex = this.at;
    let match = this.find();
    while (match?.[0] === "") {
      this.anywhere.lastIndex++;
      match = this.find();
    }
    const restEnd = match?.index ?? this.piece.length;
    this.matchEnd = match === null ? 0 : match.index + match[0].length;
    if (!this.dropsRest) return this.found(restEnd);
    this.at = restEnd;
    return this.next();
  }

  private found(end: number): true {
    this.start = this.offset + this.at;
    this.end = this.offset + end;
    this.at = end;
    return true;
  }

  private find(): RegExpExecArray | null {
    try {
      return this.anywhere.exec(this.piece);
    } catch (error) {
      throw longWord(error);
    }
  }

  private isHere(): boolean {
    try {
      return this.here.test(this.piece);
    } catch (error) {
      throw longWord(error);
    }
  }
}

/** V8 gives up on a match that needs more than 64 MB for its way back. */
function longWord(error: unknown): unknown {
  if (!(error instanceof Error) || !/stack/i.test(error.message)) return error;
  return new DataError({ code: "E_TOKENIZER_LONG_WORD",
    what: "a word of this text is too long for the tokenizer's pattern",
    why: "the regular expression ran out of stack on millions of characters without a border",
    fix: "split the text into shorter ones",
    cause: error });
}

/** Cuts each word of one cutter with another. */
class NestedCutter implements WordCutter {
  start = 0;
  end = 0;
  private readonly outer: WordCutter;
  private readonly inner: WordCutter;
  private text = "";
  private units: Uint16Array = new Uint16Array(0);

  constructor(outer: WordCutter, inner: WordCutter) {
    this.outer = outer;
    this.inner = inner;
  }

  begin(text: string, units: Uint16Array, start: number, end: number): void {
    this.text = text;
    this.units = units;
    this.outer.begin(text, units, start, end);
    this.inner.begin("", units, 0, 0);
  }

  next(): boolean {
    while (!this.inner.next()) {
      if (!this.outer.next()) return false;
      this.inner.begin(this.text, this.units, this.outer.start, this.outer.end);
    }
    this.start = this.inner.start;
    this.end = this.inner.end;
    return true;
  }
}
