import type { JsonValue } from "./batchSource.ts";
import type { DataReport } from "./dataReport.ts";

/** One document: what a model learns from at a time, and where it came from. */
export interface DataDocument {
  /** its text, where the settings name a textField */
  readonly text?: string;
  /** its token ids [tokens] int32, where they name an idsField */
  readonly ids?: Int32Array;
  /** the whole record, of Parquet only the columns that are needed */
  readonly record: Readonly<Record<string, unknown>>;
  readonly file: string;
  /** number of its first line (in Parquet of its row), from 1 */
  readonly line: number;
  /** index of the source that it came from in a mixture, else 0 */
  readonly domain: number;
}

/** A stream of documents that can go on where it stood. After `restore(cursor)` the documents are exactly those that
 *  would have followed when the cursor was taken. */
export interface DocumentSource extends AsyncIterable<DataDocument> {
  /** @returns undefined when the data is used up */
  next(): Promise<DataDocument | undefined>;
  /** Plain JSON. */
  cursor(): JsonValue;
  /** @throws DataError E_DATA_CURSOR when the cursor belongs to other data or other settings */
  restore(cursor: JsonValue): Promise<void>;
  /** What was read so far, and what became of it. */
  report(): DataReport;
  close(): Promise<void>;
}

/** The documents that are left, as an iteration; stopping it half way leaves the source open. */
export async function* iterateDocuments(source: Pick<DocumentSource, "next">): AsyncGenerator<DataDocument> {
  for (let document = await source.next(); document !== undefined; document = await source.next()) yield document;
}
