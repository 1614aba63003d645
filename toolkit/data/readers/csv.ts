import { parse, CsvError } from "csv-parse/sync";
import { DataError } from "../../errors.ts";
import { tooLong } from "./jsonl.ts";
import { cutPieces, withoutLineEnd, type Border, type Piece } from "./pieces.ts";
import { badRecord, textOf, type BadReason, type BadRecord, type DataRecord, type RecordReader } from "./record.ts";

const quote = 34;
const newline = 10;

/** CSV as RFC 4180 has it, with a header line: records are objects of strings. Quoted fields may hold line ends.
 *  Empty lines are left out. */
export const readCsv: RecordReader = async function* (file, { maxRecordBytes, delimiter }, from) {
  const columns = await readHeader(file, delimiter, maxRecordBytes);
  let isHeaderNext = from === undefined || from.byte === 0;
  for await (const piece of cutPieces(file, new CsvBorder(delimiter), maxRecordBytes, from)) {
    const { line, byte, after } = piece;
    const place = { file, line, byte, after };
    if (piece.isTooLong) yield tooLong(place, piece.bytes, maxRecordBytes);
    else if (withoutLineEnd(piece.bytes).length === 0) continue;
    else if (isHeaderNext) isHeaderNext = false;
    else yield recordOf(piece, columns, delimiter);
  }
};

/** Ends pieces at each line end outside quotes. A quote opens only at the start of a field, so that a stray one
 *  spoils its own record and no other. */
class CsvBorder implements Border {
  readonly isText = true;
  private readonly delimiter: number;
  private isQuoted = false;
  private isAtFieldStart = true;

  constructor(delimiter: string) {
    this.delimiter = delimiter.charCodeAt(0);
  }

  find(chunk: Uint8Array, from: number): number {
    for (let i = from; i < chunk.length; i++) {
      if (this.isQuoted) {
        i = chunk.indexOf(quote, i);
        if (i < 0) return -1;
        // A doubled quote closes and opens again, which comes to the same.
        this.isQuoted = false;
        this.isAtFieldStart = true;
        continue;
      }
      const byte = chunk[i];
      if (byte === newline) {
        this.isAtFieldStart = true;
        return i + 1;
      }
      if (byte === quote && this.isAtFieldStart) this.isQuoted = true;
      this.isAtFieldStart = byte === this.delimiter;
    }
    return -1;
  }

  reset(): void {
    this.isQuoted = false;
  }
}

async function readHeader(file: string, delimiter: string, maxRecordBytes: number): Promise<readonly string[]> {
  for await (const piece of cutPieces(file, new CsvBorder(delimiter), maxRecordBytes)) {
    if (!piece.isTooLong && withoutLineEnd(piece.bytes).length === 0) continue;
    const fields = piece.isTooLong ? [] : fieldsOf(piece, delimiter);
    if (isHeader(fields)) return fields;
    throw new DataError({ code: "E_DATA_FORMAT", what: `${file}, line ${piece.line}: the header can't be used`,
      why: "the first line names the columns, in UTF-8, each name once and none empty", fix: "write such a line at the top of the file, or set the delimiter that the file has" });
  }
  return [];
}

interface Mistake {
  readonly reason: BadReason;
  readonly detail: string;
}

function isHeader(fields: readonly string[] | Mistake): fields is readonly string[] {
  return !("reason" in fields) && fields.length > 0 && new Set(fields).size === fields.length && !fields.includes("");
}

/** The fields of one record. */
function fieldsOf(piece: Piece, delimiter: string): readonly string[] | Mistake {
  const text = textOf(withoutLineEnd(piece.bytes));
  if (text === undefined) return { reason: "not-utf8", detail: "its bytes are not UTF-8" };
  const fields = splitFields(text, delimiter);
  if (fields) return fields;
  try {
    // The piece is one record, line ends in it belong to fields; only a NUL outside quotes could cut it in two.
    const records = parse(text, { delimiter, record_delimiter: "\u0000", relax_column_count: true });
    return records.length === 1 ? records[0] : { reason: "not-csv", detail: "a NUL stands in it" };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return { reason: error.code === "CSV_QUOTE_NOT_CLOSED" ? "truncated" : "not-csv", detail: error.message };
  }
}

/** The fields of a record that keeps to RFC 4180; undefined for one that doesn't, of which csv-parse tells what is
 *  wrong. Calling that for each record would cost many times as much. */
function splitFields(text: string, delimiter: string): string[] | undefined {
  if (!text.includes('"')) return text.split(delimiter);
  const fields: string[] = [];
  for (let at = 0; ;) {
    let end: number;
    if (text[at] === '"') {
      let close = text.indexOf('"', at + 1);
      while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
      if (close < 0) return undefined;
      end = close + 1;
      if (end < text.length && text[end] !== delimiter) return undefined;
      fields.push(text.slice(at + 1, close).replaceAll('""', '"'));
    } else {
      const found = text.indexOf(delimiter, at);
      end = found < 0 ? text.length : found;
      const field = text.slice(at, end);
      if (field.includes('"')) return undefined;
      fields.push(field);
    }
    if (end === text.length) return fields;
    at = end + 1;
  }
}

function recordOf(piece: Piece, columns: readonly string[], delimiter: string): DataRecord | BadRecord {
  const { file, line, byte, after } = piece;
  const place = { file, line, byte, after };
  const fields = fieldsOf(piece, delimiter);
  if ("reason" in fields) return badRecord(place, fields.reason, fields.detail, piece.bytes);
  if (fields.length !== columns.length) return badRecord(place, "column-count", `it has ${fields.length} fields, the header ${columns.length}`, piece.bytes);
  return { kind: "record", ...place, value: Object.fromEntries(columns.map((name, i) => [name, fields[i]])) };
}
