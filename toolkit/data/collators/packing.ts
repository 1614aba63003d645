import { cursorFields, refuseCursor, type JsonValue } from "../batchSource.ts";
import { countOf } from "../dataReport.ts";
import type { DocumentSource } from "../documents.ts";
import { RowBatches, rowOf, type Row, type RowBatchesOptions, type RowPart, type RowSource } from "./rows.ts";
import { SequenceSource, textSequences, type DocumentEncoder, type SequenceCounts, type TokenSequence } from "./sequences.ts";

/** How documents are laid into rows. */
export type PackingSettings =
  /** one after the other, cut where a row is full: no padding */
  | { readonly kind: "concatenate" }
  /** whole, as many to a row as fit; only those longer than a row are cut. Rows end in some padding. */
  | { readonly kind: "bestFit"; /** documents that are laid out together, 1000 unless given */ readonly windowDocuments?: number };

export interface PackedBatchesOptions extends RowBatchesOptions {
  /** concatenate unless given */
  readonly packing?: PackingSettings;
  /** "all" reads special tokens that stand in a text as such */
  readonly allowedSpecial?: "all" | "none";
}

/** Batches of packed documents, each ended by end-of-text; `documentStart` keeps attention within a document.
 *  @throws ConfigError E_BATCH_SHAPE, E_END_OF_TEXT */
export function packedBatches(documents: DocumentSource, encoder: DocumentEncoder, options: PackedBatchesOptions): RowBatches {
  const sequences = new SequenceSource(documents, textSequences(encoder, options.allowedSpecial));
  return new RowBatches(packRows(sequences, options.contextLength, options.packing), options);
}

export function packRows(sequences: SequenceSource, contextLength: number, packing: PackingSettings = { kind: "concatenate" }): RowSource {
  return packing.kind === "concatenate" ? new ConcatenatedRows(sequences, contextLength) : new BestFitRows(sequences, contextLength, packing.windowDocuments);
}

/** Rows of T tokens cut from the sequences set end to end. The last row may be shorter. */
export class ConcatenatedRows implements RowSource {
  private readonly sequences: SequenceSource;
  private readonly contextLength: number;
  /** Sequences that aren't used up, each with the cursor from which it comes again. */
  private pending: { readonly sequence: TokenSequence; readonly cursor: JsonValue }[] = [];
  /** tokens of pending[0] that are used */
  private used = 0;

  constructor(sequences: SequenceSource, contextLength: number) {
    this.sequences = sequences;
    this.contextLength = contextLength;
  }

  async next(): Promise<Row | undefined> {
    let tokens = this.pending.reduce((sum, { sequence }) => sum + sequence.ids.length, -this.used);
    // The token after the row is the target of its last one.
    while (tokens < this.contextLength + 1) {
      const cursor = this.sequences.cursor();
      const sequence = await this.sequences.next();
      if (!sequence) break;
      this.pending.push({ sequence, cursor });
      tokens += sequence.ids.length;
    }
    const length = Math.min(this.contextLength, tokens - 1);
    return length > 0 ? this.take(length) : undefined;
  }

  cursor(): JsonValue {
    return { packing: "concatenate", sequences: this.pending[0]?.cursor ?? this.sequences.cursor(), used: this.used };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.packing !== "concatenate") refuseCursor("the cursor was taken with another packing");
    const used = countOf(fields, "used");
    await this.sequences.restore(fields.sequences);
    this.pending = [];
    this.used = used;
    if (used === 0) return;
    const sequence = await this.sequences.next();
    if (!sequence || used >= sequence.ids.length) return refuseCursor(`the cursor stands at token ${used} of a document that ends before it`);
    this.pending = [{ sequence, cursor: fields.sequences }];
  }

  report(): SequenceCounts {
    return this.sequences.report();
  }

  close(): Promise<void> {
    return this.sequences.close();
  }

  private take(length: number): Row {
    const parts: RowPart[] = [];
    for (let left = length; left > 0;) {
      const { sequence } = this.pending[0];
      const to = Math.min(sequence.ids.length, this.used + left);
      parts.push({ sequence, from: this.used, to });
      left -= to - this.used;
      this.used = to;
      if (to < sequence.ids.length) break;
      this.pending.shift();
      this.used = 0;
    }
    return rowOf(parts, this.pending[0]?.sequence.ids[this.used] ?? 0);
  }
}

/** Documents that are laid out together unless set: enough for full rows, little memory. */
const defaultWindowDocuments = 1000;

/** Rows of whole sequences: of a window of them the longest is laid first, each into the row with the least room that
 *  takes it. A sequence's last token is a target only, so n tokens take n − 1 places.
 *  Source: best-fit decreasing, Johnson 1973; for language models Ding et al. 2024, arXiv:2404.10830 */
export class BestFitRows implements RowSource {
  private readonly sequences: SequenceSource;
  private readonly contextLength: number;
  private readonly windowDocuments: number;
  private windowStart: JsonValue | undefined;
  private rows: Row[] = [];
  private index = 0;

  constructor(sequences: SequenceSource, contextLength: number, windowDocuments = defaultWindowDocuments) {
    this.sequences = sequences;
    this.contextLength = contextLength;
    this.windowDocuments = windowDocuments;
  }

  async next(): Promise<Row | undefined> {
    if (this.index === this.rows.length) await this.readWindow();
    return this.index < this.rows.length ? this.rows[this.index++] : undefined;
  }

  cursor(): JsonValue {
    const isThrough = this.index === this.rows.length;
    return { packing: "bestFit", windowDocuments: this.windowDocuments, sequences: isThrough || this.windowStart === undefined ? this.sequences.cursor() : this.windowStart, index: isThrough ? 0 : this.index };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.packing !== "bestFit" || fields.windowDocuments !== this.windowDocuments) refuseCursor("the cursor was taken with another packing");
    const index = countOf(fields, "index");
    await this.sequences.restore(fields.sequences);
    this.rows = [];
    this.index = 0;
    if (index > 0) await this.readWindow();
    if (index > this.rows.length) refuseCursor(`the cursor stands at row ${index} of ${this.rows.length}`);
    this.index = index;
  }

  report(): SequenceCounts {
    return this.sequences.report();
  }

  close(): Promise<void> {
    return this.sequences.close();
  }

  private async readWindow(): Promise<void> {
    this.windowStart = this.sequences.cursor();
    const window: TokenSequence[] = [];
    while (window.length < this.windowDocuments) {
      const sequence = await this.sequences.next();
      if (!sequence) break;
      window.push(sequence);
    }
    this.rows = bestFit(window.flatMap((sequence) => pieces(sequence, this.contextLength)), this.contextLength).map((parts) => rowOf(parts, 0));
    this.index = 0;
  }
}

function pieces(sequence: TokenSequence, contextLength: number): RowPart[] {
  const inputs = sequence.ids.length - 1;
  return Array.from({ length: Math.ceil(inputs / contextLength) }, (_, i) => ({ sequence, from: i * contextLength, to: Math.min(inputs, (i + 1) * contextLength) }));
}

/** The parts of each row; rows stand in the order of their first part. */
function bestFit(parts: readonly RowPart[], contextLength: number): RowPart[][] {
  const lengthOf = (i: number) => parts[i].to - parts[i].from;
  const byLength = parts.map((_, i) => i).sort((a, b) => lengthOf(b) - lengthOf(a) || a - b);
  /** Rows by the room that is left in them. */
  const withRoom: number[][][] = Array.from({ length: contextLength + 1 }, () => []);
  const rows: number[][] = [];
  for (const part of byLength) {
    let room = lengthOf(part);
    while (room <= contextLength && withRoom[room].length === 0) room += 1;
    const row = room <= contextLength ? withRoom[room].pop() ?? [] : [];
    if (row.length === 0) {
      rows.push(row);
      room = contextLength;
    }
    row.push(part);
    withRoom[room - lengthOf(part)].push(row);
  }
  for (const row of rows) row.sort((a, b) => a - b);
  return rows.sort(([a], [b]) => a - b).map((row) => row.map((i) => parts[i]));
}
