import { fileBytes } from "./fileBytes.ts";
import { fileStart, rawBytesKept, type ReadPosition, type RecordPlace } from "./record.ts";

/** Finds where pieces of a byte stream end. It keeps its own state from chunk to chunk. */
export interface Border {
  /** whether a byte order mark at the start of the file is dropped */
  readonly isText: boolean;
  /** @returns the index after the border that ends the piece, or −1 when the chunk has none */
  find(chunk: Uint8Array, from: number): number;
  /** Forgets the piece it is in; called when that is over its limit. */
  reset(): void;
}

/** A stretch of a file that ends with a border or with the file. */
export interface Piece extends RecordPlace {
  /** its bytes with the border; only the first rawBytesKept of a piece that is too long */
  readonly bytes: Buffer;
  readonly isTooLong: boolean;
  /** false for the last piece of a file that doesn't end with a border */
  readonly isClosed: boolean;
}

const newline = 10;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** Cuts the bytes of a file into pieces, of which at most one is held in memory.
 *  @throws DataError as fileBytes */
export async function* cutPieces(file: string, border: Border, maxBytes: number, from: ReadPosition = fileStart): AsyncGenerator<Piece> {
  const piece = new OpenPiece(file, border, maxBytes, from);
  for await (const whole of fileBytes(file, from.byte)) {
    let chunk = whole;
    if (border.isText && piece.isAtFileStart && chunk.subarray(0, 3).equals(byteOrderMark)) chunk = piece.dropBytes(chunk, 3);
    for (let start = 0; start < chunk.length;) {
      const found = border.find(chunk, start);
      const end = found < 0 ? chunk.length : found;
      piece.append(chunk.subarray(start, end));
      if (found >= 0) yield piece.close(true);
      start = end;
    }
  }
  if (piece.length > 0) yield piece.close(false);
}

class OpenPiece {
  length = 0;
  private readonly file: string;
  private readonly border: Border;
  private readonly maxBytes: number;
  private parts: Buffer[] = [];
  private byte: number;
  private line: number;
  private newlines = 0;

  constructor(file: string, border: Border, maxBytes: number, from: ReadPosition) {
    this.file = file;
    this.border = border;
    this.maxBytes = maxBytes;
    this.byte = from.byte;
    this.line = from.line;
  }

  get isAtFileStart(): boolean {
    return this.byte === 0 && this.length === 0;
  }

  dropBytes(chunk: Buffer, count: number): Buffer {
    this.byte += count;
    return chunk.subarray(count);
  }

  append(bytes: Buffer): void {
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) this.newlines += 1;
    const isTooLong = this.length > this.maxBytes;
    this.length += bytes.length;
    if (isTooLong) return;
    this.parts.push(bytes);
    if (this.length <= this.maxBytes) return;
    this.parts = [Buffer.from(this.joined().subarray(0, rawBytesKept))];
    this.border.reset();
  }

  close(isClosed: boolean): Piece {
    const after = { byte: this.byte + this.length, line: this.line + this.newlines };
    const piece = { file: this.file, line: this.line + 1, byte: this.byte, after, bytes: this.joined(), isTooLong: this.length > this.maxBytes, isClosed };
    ({ byte: this.byte, line: this.line } = after);
    this.length = this.newlines = 0;
    this.parts = [];
    return piece;
  }

  private joined(): Buffer {
    return this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
  }
}

/** Pieces are lines, ended by \n or \r\n. */
export const lineBorder: Border = {
  isText: true,
  find: (chunk, from) => chunk.indexOf(newline, from) + 1 || -1,
  reset: () => undefined,
};

/** The bytes of a line without its end. */
export function withoutLineEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === newline) end -= 1;
  if (bytes[end - 1] === 13) end -= 1;
  return end === bytes.length ? bytes : bytes.subarray(0, end);
}
