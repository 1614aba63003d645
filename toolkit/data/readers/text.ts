import { isBlank, tooLong } from "./jsonl.ts";
import { cutPieces, lineBorder, type Border } from "./pieces.ts";
import { badRecord, textOf, type BadRecord, type DataRecord, type ReadPosition, type RecordPlace, type RecordReader } from "./record.ts";

/** Plain text: each run of lines between blank ones is a document, or the file is one. Records are {text}; line
 *  ends inside a document stay as they are. */
export const readTextDocuments: RecordReader = async function* (file, { maxRecordBytes, textDocuments }, from) {
  if (textDocuments === "file") {
    for await (const { bytes, isTooLong, ...piece } of cutPieces(file, wholeFile, maxRecordBytes, from)) {
      const place = { file, line: piece.line, byte: piece.byte, after: piece.after };
      yield isTooLong ? tooLong(place, bytes, maxRecordBytes) : documentOf(place, bytes);
    }
    return;
  }
  let open = new OpenDocument(maxRecordBytes);
  for await (const piece of cutPieces(file, lineBorder, maxRecordBytes, from)) {
    const isBorder = !piece.isTooLong && isBlank(piece.bytes);
    if (!isBorder) open.append(piece.bytes, piece.isTooLong, piece);
    else if (open.place) {
      // Reading goes on after the blank line: the document before it is whole.
      yield open.close(file, piece.after);
      open = new OpenDocument(maxRecordBytes);
    }
  }
  if (open.place) yield open.close(file, open.end);
};

const wholeFile: Border = { isText: true, find: () => -1, reset: () => undefined };

class OpenDocument {
  place: { readonly line: number; readonly byte: number } | undefined;
  end: ReadPosition = { byte: 0, line: 0 };
  private readonly maxRecordBytes: number;
  private parts: Buffer[] = [];
  private length = 0;
  private isTooLong = false;

  constructor(maxRecordBytes: number) {
    this.maxRecordBytes = maxRecordBytes;
  }

  append(bytes: Buffer, isTooLong: boolean, { line, byte, after }: RecordPlace): void {
    this.place ??= { line, byte };
    this.end = after;
    this.length += bytes.length;
    if (!this.isTooLong) this.parts.push(bytes);
    this.isTooLong ||= isTooLong || this.length > this.maxRecordBytes;
  }

  close(file: string, after: ReadPosition): DataRecord | BadRecord {
    const { line, byte } = this.place ?? { line: 0, byte: 0 };
    const place = { file, line, byte, after };
    const bytes = Buffer.concat(this.parts);
    return this.isTooLong ? tooLong(place, bytes, this.maxRecordBytes) : documentOf(place, bytes);
  }
}

function documentOf(place: RecordPlace, bytes: Uint8Array): DataRecord | BadRecord {
  const text = textOf(bytes);
  if (text === undefined) return badRecord(place, "not-utf8", "its bytes are not UTF-8", bytes);
  return { kind: "record", ...place, value: { text: text.replace(/\r?\n$/, "") } };
}
