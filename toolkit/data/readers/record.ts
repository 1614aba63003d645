import { isUtf8 } from "node:buffer";

/** Where reading goes on after a record. `byte` counts the bytes of the file, of a compressed one those of its
 *  content; in Parquet it is 0 and `line` counts rows. Plain JSON. */
export type ReadPosition = {
  readonly byte: number;
  /** lines (rows) before this position */
  readonly line: number;
};

export const fileStart: ReadPosition = { byte: 0, line: 0 };

/** Where a record stands in its file. */
export interface RecordPlace {
  readonly file: string;
  /** number of its first line, from 1; of its row in Parquet, of its document in tokenised files */
  readonly line: number;
  /** offset of its first byte in the (uncompressed) file; 0 in Parquet */
  readonly byte: number;
  readonly after: ReadPosition;
}

/** One record as the file has it, before any field is looked at. */
export interface DataRecord extends RecordPlace {
  readonly kind: "record";
  readonly value: unknown;
}

/** Why a record can't be used. */
export type BadReason = "not-json" | "not-utf8" | "too-long" | "truncated" | "not-csv" | "column-count"
  | "missing-field" | "wrong-type" | "lone-surrogate" | "token-id";

/** A record that can't be used; reading goes on after it. */
export interface BadRecord extends RecordPlace {
  readonly kind: "bad";
  readonly reason: BadReason;
  readonly detail: string;
  /** its bytes, at most rawBytesKept of them */
  readonly raw: Uint8Array;
}

/** Most bytes of a bad record that are kept for the quarantine file. */
export const rawBytesKept = 65_536;

/** How readers read. */
export interface ReadSettings {
  /** most bytes of one record; longer ones are bad records */
  readonly maxRecordBytes: number;
  /** whether records are lines, runs of lines between blank ones, or the file; plain text only */
  readonly textDocuments: "blankLines" | "file";
  /** field separator of CSV, one ASCII character */
  readonly delimiter: string;
  /** columns to read; undefined for all; Parquet only */
  readonly columns: readonly string[] | undefined;
}

export const defaultReadSettings: ReadSettings = {
  maxRecordBytes: 16 * 2 ** 20, textDocuments: "blankLines", delimiter: ",", columns: undefined,
};

/** Streams the records of one file, from its start or from where an earlier reading stood. Memory is bounded by
 *  maxRecordBytes and the read buffer (in Parquet by the largest row group).
 *  @throws DataError E_DATA_MISSING, E_DATA_UNREADABLE, E_DATA_GZIP, E_DATA_FORMAT for damage that makes the rest of
 *  the file unreadable */
export type RecordReader = (file: string, settings: ReadSettings, from?: ReadPosition) => AsyncGenerator<DataRecord | BadRecord>;

/** A bad record at a place. */
export function badRecord(place: RecordPlace, reason: BadReason, detail: string, raw: Uint8Array): BadRecord {
  return { kind: "bad", ...place, reason, detail, raw: raw.subarray(0, rawBytesKept) };
}

/** The text of UTF-8 bytes; undefined when they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") : undefined;
}
