import { ConfigError, DataError } from "../../errors.ts";
import { cursorFields, refuseCursor, type JsonValue } from "../batchSource.ts";
import { countOf } from "../dataReport.ts";
import type { DataDocument, DocumentSource } from "../documents.ts";

/** What collators need of a tokenizer; a Tokenizer is one. */
export interface DocumentEncoder {
  /** @param options.allowedSpecial whether special tokens that stand in the text become their ids
   *  @returns ids [tokens] int32 */
  encode(text: string, options?: { readonly allowedSpecial?: "all" | "none" }): Int32Array;
  /** the id that ends a document; −1 when the tokenizer has none */
  readonly endOfText: number;
}

/** A document in tokens, with its end-of-text. */
export interface TokenSequence {
  /** [tokens] int32 */
  readonly ids: Int32Array;
  /** [tokens], 1 for tokens that the model should learn to write; undefined for all */
  readonly isAnswer?: Uint8Array;
  readonly domain: number;
}

/** Turns a document into tokens, or tells why it can't be used. */
export type ToSequence = (document: DataDocument) => TokenSequence | { readonly dropped: string };

/** What became of documents on the way to rows. */
export type SequenceCounts = {
  sequences: number;
  /** sequences that were cut to fit a row */
  truncated: number;
  /** documents that gave no sequence, by reason */
  dropped: Record<string, number>;
};

export interface LengthLimit {
  /** most tokens of a sequence, with its end-of-text */
  readonly maxTokens: number;
  readonly whenLonger: "truncate" | "drop";
}

/** Documents in a row that may give no sequence: where more don't, it is not the documents that are at fault, and data
 *  that repeats would be searched for ever. */
const maxDroppedInARow = 10_000;

/** The sequences of a stream of documents. Those of fewer than two tokens have nothing to predict and are dropped. */
export class SequenceSource {
  private readonly documents: DocumentSource;
  private readonly toSequence: ToSequence;
  private readonly limit: LengthLimit | undefined;
  private counts: SequenceCounts = { sequences: 0, truncated: 0, dropped: {} };

  constructor(documents: DocumentSource, toSequence: ToSequence, limit?: LengthLimit) {
    this.documents = documents;
    this.toSequence = toSequence;
    this.limit = limit;
  }

  /** @returns undefined when the documents are used up
   *  @throws DataError E_NO_SEQUENCES when none, or none of the last 10,000 documents, gave one */
  async next(): Promise<TokenSequence | undefined> {
    let inARow = 0;
    for (let document = await this.documents.next(); document; document = await this.documents.next()) {
      const sequence = this.fit(this.toSequence(document));
      if (!("dropped" in sequence)) {
        this.counts.sequences += 1;
        return sequence;
      }
      this.counts.dropped[sequence.dropped] = (this.counts.dropped[sequence.dropped] ?? 0) + 1;
      inARow += 1;
      if (inARow === maxDroppedInARow) throw this.noSequences(`none of the last ${inARow} documents`);
    }
    if (inARow > 0 && this.counts.sequences === 0) throw this.noSequences("no document");
    return undefined;
  }

  cursor(): JsonValue {
    return { documents: this.documents.cursor(), counts: this.report(), limit: this.limit ? { ...this.limit } : null };
  }

  async restore(cursor: JsonValue | undefined): Promise<void> {
    const { documents, counts, limit } = cursorFields(cursor);
    if (JSON.stringify(limit) !== JSON.stringify(this.limit ?? null)) refuseCursor("the cursor was taken with another length of rows");
    const fields = cursorFields(counts);
    const dropped = cursorFields(fields.dropped);
    await this.documents.restore(documents);
    this.counts = { sequences: countOf(fields, "sequences"), truncated: countOf(fields, "truncated"), dropped: Object.fromEntries(Object.keys(dropped).map((reason) => [reason, countOf(dropped, reason)])) };
  }

  report(): SequenceCounts {
    return { ...this.counts, dropped: { ...this.counts.dropped } };
  }

  close(): Promise<void> {
    return this.documents.close();
  }

  private noSequences(which: string): DataError {
    const reasons = Object.entries(this.counts.dropped).map(([reason, count]) => `${count} ${reason}`).join(", ");
    return new DataError({ code: "E_NO_SEQUENCES", what: `${which} gave a row (dropped so far: ${reasons})`, why: "there is nothing to train on", fix: "check fields, render function and contextLength" });
  }

  private fit(sequence: ReturnType<ToSequence>): ReturnType<ToSequence> {
    if ("dropped" in sequence) return sequence;
    if (sequence.ids.length < 2) return { dropped: "too-short" };
    let fitting = sequence;
    if (this.limit && sequence.ids.length > this.limit.maxTokens) {
      if (this.limit.whenLonger === "drop") return { dropped: "too-long" };
      fitting = { ...sequence, ids: sequence.ids.slice(0, this.limit.maxTokens), isAnswer: sequence.isAnswer?.slice(0, this.limit.maxTokens) };
    }
    // The first token is never a target.
    if (fitting.isAnswer && !fitting.isAnswer.subarray(1).includes(1)) return { dropped: "without-answer" };
    if (fitting !== sequence) this.counts.truncated += 1;
    return fitting;
  }
}

/** Documents as they are: the tokens of the text (or the ids of tokenised data), then end-of-text.
 *  @param allowedSpecial "all" for texts in which special tokens are meant as such; by default they are ordinary text, so
 *    that no document can end itself
 *  @throws ConfigError E_END_OF_TEXT */
export function textSequences(encoder: DocumentEncoder, allowedSpecial: "all" | "none" = "none"): ToSequence {
  const endOfText = checkEndOfText(encoder);
  return ({ text, ids, domain }) => {
    const tokens = ids ?? (text === undefined ? undefined : encoder.encode(text, { allowedSpecial }));
    return tokens ? { ids: appendId(tokens, endOfText), domain } : { dropped: "without-text" };
  };
}

/** @throws ConfigError E_END_OF_TEXT when the tokenizer has none */
export function checkEndOfText({ endOfText }: DocumentEncoder): number {
  if (Number.isInteger(endOfText) && endOfText >= 0) return endOfText;
  throw new ConfigError({ code: "E_END_OF_TEXT", what: `the tokenizer's endOfText is ${endOfText}`, why: "documents are told apart by it, and a model learns from it where to end", fix: 'train the tokenizer with the special token "<|endoftext|>"' });
}

export function appendId(ids: Int32Array, id: number): Int32Array {
  const longer = new Int32Array(ids.length + 1);
  longer.set(ids);
  longer[ids.length] = id;
  return longer;
}
