import { cutPieces, lineBorder, withoutLineEnd } from "./pieces.ts";
import { badRecord, textOf, type BadRecord, type DataRecord, type RecordPlace, type RecordReader } from "./record.ts";

/** JSON Lines: one JSON value a line; lines of nothing but white space are left out. */
export const readJsonl: RecordReader = async function* (file, { maxRecordBytes }, from) {
  for await (const piece of cutPieces(file, lineBorder, maxRecordBytes, from)) {
    const { line, byte, after } = piece;
    const place = { file, line, byte, after };
    if (piece.isTooLong) yield tooLong(place, piece.bytes, maxRecordBytes);
    else {
      const bytes = withoutLineEnd(piece.bytes);
      if (!isBlank(bytes)) yield parseJson(place, bytes);
    }
  }
};

/** A record of the JSON value in some bytes, or what is wrong with them. */
export function parseJson(place: RecordPlace, bytes: Uint8Array): DataRecord | BadRecord {
  const text = textOf(bytes);
  if (text === undefined) return badRecord(place, "not-utf8", "its bytes are not UTF-8", bytes);
  try {
    return { kind: "record", ...place, value: JSON.parse(text) as unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return badRecord(place, "not-json", error.message, bytes);
  }
}

export function tooLong(place: RecordPlace, bytes: Uint8Array, maxRecordBytes: number): BadRecord {
  return badRecord(place, "too-long", `it has more than maxRecordBytes, ${maxRecordBytes} bytes`, bytes);
}

/** White space as JSON has it. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 32 || byte === 9 || byte === 10 || byte === 13);
}
