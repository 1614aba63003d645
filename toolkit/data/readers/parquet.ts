import type { FileHandle } from "node:fs/promises";
import { parquetMetadataAsync, parquetReadObjects, parquetSchema, type AsyncBuffer, type FileMetaData, type ParquetParsers } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError } from "../../errors.ts";
import { openFile, readAt } from "./fileBytes.ts";
import { badRecord, type BadReason, type BadRecord, type DataRecord, type RecordReader } from "./record.ts";

/** Most uncompressed bytes of a row group that is read: it is held in memory as a whole. */
const maxRowGroupBytes = 2 ** 30;

/** Parquet, one row group in memory at a time. 64-bit integers come as numbers where they are exact, else as
 *  strings; dates and times as ISO 8601 strings.
 *  Source: Apache Parquet format 2.x */
export const readParquet: RecordReader = async function* (file, { columns }, from) {
  const handle = await openFile(file);
  try {
    const buffer = await asyncBufferOf(file, handle);
    const metadata = await guarded(file, "its footer", () => parquetMetadataAsync(buffer, { parsers }));
    const present = columns && columnsOf(file, metadata).filter((name) => columns.includes(name));
    let groupStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      const groupEnd = groupStart + Number(group.num_rows);
      const rowStart = Math.max(groupStart, from?.line ?? 0);
      if (rowStart < groupEnd) {
        checkGroupSize(file, metadata, index, present);
        const rows = await guarded(file, `row group ${index}`, () =>
          parquetReadObjects({ file: buffer, metadata, columns: present, rowStart, rowEnd: groupEnd, compressors, parsers }));
        if (rows.length !== groupEnd - rowStart) throw damaged(file, `row group ${index}`, `it has ${rows.length} rows where the footer names ${groupEnd - rowStart}`);
        for (const [i, row] of rows.entries()) yield recordOf(file, rowStart + i, row);
      }
      groupStart = groupEnd;
    }
  } finally {
    await handle.close();
  }
};

/** What stands in a row for bytes that should be text and are not. */
class Unreadable {
  readonly reason: BadReason;
  readonly bytes: Uint8Array;

  constructor(reason: BadReason, bytes: Uint8Array) {
    this.reason = reason;
    this.bytes = bytes;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** hyparquet's own parsers would put U+FFFD for what is not UTF-8, and give up the row group for broken JSON. */
const parsers: Partial<ParquetParsers> = {
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && decode(bytes, (text) => text),
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && decode(bytes, (text) => JSON.parse(text) as unknown),
};

function decode(bytes: Uint8Array, parse: (text: string) => unknown): unknown {
  try {
    return parse(decoder.decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) return new Unreadable("not-json", bytes);
    if (error instanceof TypeError) return new Unreadable("not-utf8", bytes);
    throw error;
  }
}

function recordOf(file: string, row: number, values: Record<string, unknown>): DataRecord | BadRecord {
  const place = { file, line: row + 1, byte: 0, after: { byte: 0, line: row + 1 } };
  for (const [name, value] of Object.entries(values)) {
    if (value instanceof Unreadable) return badRecord(place, value.reason, `column ${name} is not ${value.reason === "not-json" ? "JSON" : "UTF-8"}`, value.bytes);
  }
  try {
    return { kind: "record", ...place, value: plain(values) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return badRecord(place, "wrong-type", "its values are nested deeper than the stack", Buffer.alloc(0));
  }
}

/** The value in terms of JSON. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return Array.from(value, plain);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

function columnsOf(file: string, metadata: FileMetaData): string[] {
  const names = parquetSchema(metadata).children.map(({ element }) => element.name);
  if (names.length === 0) throw damaged(file, "its schema", "it names no columns");
  return names;
}

function checkGroupSize(file: string, metadata: FileMetaData, index: number, columns: readonly string[] | undefined): void {
  const bytes = metadata.row_groups[index].columns.reduce((sum, { meta_data: column }) =>
    !column || (columns && !columns.includes(column.path_in_schema[0])) ? sum : sum + Number(column.total_uncompressed_size), 0);
  if (bytes <= maxRowGroupBytes) return;
  throw new DataError({ code: "E_DATA_ROW_GROUP", what: `row group ${index} of ${file} has ${bytes} bytes`,
    why: `a row group is held in memory, and at most ${maxRowGroupBytes} bytes are`, fix: "write the file with smaller row groups, or read fewer columns" });
}

async function asyncBufferOf(file: string, handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      // A damaged footer may name any place.
      if (start < 0 || end > size || start > end) throw damaged(file, "its footer", `it names bytes ${start} to ${end} of ${size}`);
      const bytes = await readAt(file, handle, start, end - start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
}

/** hyparquet throws plain errors of many kinds for damaged files. */
async function guarded<T>(file: string, part: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DataError || !(error instanceof Error)) throw error;
    throw damaged(file, part, error.message, error);
  }
}

function damaged(file: string, part: string, why: string, cause?: unknown): DataError {
  return new DataError({ code: "E_DATA_FORMAT", what: `${file}: ${part} can't be read as Parquet`, why, fix: "write the file again, or name its format in the settings", cause });
}
