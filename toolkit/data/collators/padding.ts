import { cursorFields, refuseCursor, type JsonValue } from "../batchSource.ts";
import type { DocumentSource } from "../documents.ts";
import { RowBatches, rowOf, type Row, type RowBatchesOptions, type RowSource } from "./rows.ts";
import { SequenceSource, textSequences, type DocumentEncoder, type LengthLimit, type SequenceCounts } from "./sequences.ts";

export interface PaddedBatchesOptions extends RowBatchesOptions {
  /** what becomes of documents of more than contextLength tokens before their end-of-text; both are counted */
  readonly whenLonger?: LengthLimit["whenLonger"];
  /** "all" reads special tokens that stand in a text as such */
  readonly allowedSpecial?: "all" | "none";
}

/** Batches of one document a row, padded to the longest of the batch rounded up to padToMultiple (16 unless given).
 *  @throws ConfigError E_BATCH_SHAPE, E_PAD_MULTIPLE, E_END_OF_TEXT */
export function paddedBatches(documents: DocumentSource, encoder: DocumentEncoder, { whenLonger = "truncate", padToMultiple = 16, allowedSpecial, ...options }: PaddedBatchesOptions): RowBatches {
  const sequences = new SequenceSource(documents, textSequences(encoder, allowedSpecial), { maxTokens: options.contextLength + 1, whenLonger });
  return new RowBatches(new SequenceRows(sequences), { ...options, padToMultiple });
}

/** One sequence a row. */
export class SequenceRows implements RowSource {
  private readonly sequences: SequenceSource;

  /** @param sequences limited to contextLength + 1 tokens */
  constructor(sequences: SequenceSource) {
    this.sequences = sequences;
  }

  async next(): Promise<Row | undefined> {
    const sequence = await this.sequences.next();
    return sequence && rowOf([{ sequence, from: 0, to: sequence.ids.length - 1 }], 0);
  }

  cursor(): JsonValue {
    return { packing: "none", sequences: this.sequences.cursor() };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const { packing, sequences } = cursorFields(cursor);
    if (packing !== "none") refuseCursor("the cursor was taken with a packing");
    await this.sequences.restore(sequences);
  }

  report(): SequenceCounts {
    return this.sequences.report();
  }

  close(): Promise<void> {
    return this.sequences.close();
  }
}
