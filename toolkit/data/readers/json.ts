import { DataError } from "../../errors.ts";
import { fileBytes } from "./fileBytes.ts";
import { isBlank, parseJson, tooLong } from "./jsonl.ts";
import { cutPieces, type Border } from "./pieces.ts";
import { badRecord, type ReadPosition, type RecordReader } from "./record.ts";

const [quote, backslash, comma, colon, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\,:[]{}');

/** JSON: an array of records, or an object whose field `data` is one. Elements are cut out and parsed one by one, so
 *  the file may be larger than memory and one broken element doesn't spoil the others. */
export const readJson: RecordReader = async function* (file, { maxRecordBytes }, from) {
  const { start, isWhole } = await findArray(file);
  let isFirst = from === undefined || from.byte <= start.byte;
  if (from && !isFirst && await byteAt(file, from.byte - 1) === closeBracket) return;
  const border = new ElementBorder();
  for await (const piece of cutPieces(file, border, maxRecordBytes, isFirst ? start : from)) {
    const isLast = border.isArrayClosed;
    if (!piece.isClosed) throw damaged(file, piece.line, "the file ends inside its array", "it was cut off");
    const bytes = piece.isTooLong ? piece.bytes : piece.bytes.subarray(0, -1);
    const place = { file, line: piece.line + leadingLines(bytes), byte: piece.byte, after: piece.after };
    if (piece.isTooLong) yield tooLong(place, bytes, maxRecordBytes);
    else if (!isBlank(bytes)) yield parseJson(place, bytes);
    else if (!(isFirst && isLast)) yield badRecord(place, "not-json", "a comma stands without a record", bytes);
    isFirst = false;
    if (!isLast) continue;
    if (isWhole) await checkRest(file, piece.after);
    return;
  }
  throw damaged(file, start.line + 1, "the file ends inside its array", "it was cut off");
};

async function byteAt(file: string, position: number): Promise<number | undefined> {
  for await (const chunk of fileBytes(file, position)) return chunk[0];
  return undefined;
}

/** Ends pieces at each comma of an array and at its closing bracket. */
class ElementBorder implements Border {
  readonly isText = true;
  isArrayClosed = false;
  private depth = 0;
  private isInString = false;
  private isEscaped = false;

  find(chunk: Uint8Array, from: number): number {
    for (let i = from; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.isInString) {
        if (this.isEscaped) this.isEscaped = false;
        else if (byte === backslash) this.isEscaped = true;
        else if (byte === quote) this.isInString = false;
      } else if (byte === quote) this.isInString = true;
      else if (byte === openBracket || byte === openBrace) this.depth += 1;
      else if (byte === closeBracket && this.depth === 0) {
        this.isArrayClosed = true;
        return i + 1;
      } else if (byte === closeBracket || byte === closeBrace) this.depth = Math.max(0, this.depth - 1);
      else if (byte === comma && this.depth === 0) return i + 1;
    }
    return -1;
  }

  /** Does nothing: an element that is too long is followed to its end, since its depth is known. */
  reset(): void {
    // see above
  }
}

interface FoundArray {
  /** after its opening bracket */
  readonly start: ReadPosition;
  /** true when the array is all that the file holds */
  readonly isWhole: boolean;
}

/** Looks for the opening bracket of the records.
 *  @throws DataError E_DATA_FORMAT when there is none */
async function findArray(file: string): Promise<FoundArray> {
  const scan = new HeadScan();
  let byte = 0;
  for await (const chunk of fileBytes(file)) {
    for (let i = byte === 0 && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0; i < chunk.length; i++) {
      const found = scan.isArrayAt(chunk[i]);
      if (found === undefined) continue;
      if (found) return { start: { byte: byte + i + 1, line: scan.line }, isWhole: scan.depth === 0 };
      throw damaged(file, scan.line + 1, "the file doesn't begin with [ or {", "records are an array, or the field data of an object; one record a line is format jsonl");
    }
    byte += chunk.length;
  }
  throw damaged(file, scan.line + 1, "there is no array of records", "records are an array, or the field data of an object");
}

/** Longest key that is compared with "data". */
const longestKey = 16;

class HeadScan {
  line = 0;
  depth = 0;
  private isInString = false;
  private isEscaped = false;
  private text = "";
  private key = "";

  /** @returns true at the bracket that opens the records, false where the file can't hold any */
  isArrayAt(byte: number): boolean | undefined {
    if (byte === 10) this.line += 1;
    if (this.isInString) {
      if (this.isEscaped) this.isEscaped = false;
      else if (byte === backslash) this.isEscaped = true;
      else if (byte === quote) this.isInString = false;
      if (this.isInString && this.text.length < longestKey) this.text += String.fromCharCode(byte);
      return undefined;
    }
    if (byte === quote) {
      this.isInString = true;
      this.text = "";
    } else if (byte === colon && this.depth === 1) this.key = this.text;
    else if (byte === comma && this.depth === 1) this.key = "";
    else if (byte === openBracket && (this.depth === 0 || (this.depth === 1 && this.key === "data"))) return true;
    else if (byte === openBracket || byte === openBrace) this.depth += 1;
    else if (byte === closeBracket || byte === closeBrace) this.depth -= 1;
    else if (this.depth === 0 && !isBlank(Uint8Array.of(byte))) return false;
    return undefined;
  }
}

/** @throws DataError E_DATA_FORMAT when more than white space follows the array */
async function checkRest(file: string, from: ReadPosition): Promise<void> {
  for await (const chunk of fileBytes(file, from.byte)) {
    if (!isBlank(chunk)) throw damaged(file, from.line + 1, "more follows the array of records", "a JSON file holds one value; one record a line is format jsonl");
  }
}

function leadingLines(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) {
    if (byte === 10) lines += 1;
    else if (byte !== 32 && byte !== 9 && byte !== 13) break;
  }
  return lines;
}

function damaged(file: string, line: number, what: string, why: string): DataError {
  return new DataError({ code: "E_DATA_FORMAT", what: `${file}, line ${line}: ${what}`, why, fix: "write the file again, or name its format in the settings" });
}
