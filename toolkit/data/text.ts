import { constants, isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { ConfigError, DataError } from "../errors.ts";

/** The text of a UTF-8 file; a byte order mark at its start is dropped.
 *  @throws DataError E_TEXT_MISSING, E_TEXT_UNREADABLE, E_TEXT_EMPTY, E_TEXT_TOO_LONG, E_TEXT_NOT_UTF8 (with the byte position) */
export function readText(path: string): string {
  const bytes = readBytes(path);
  if (bytes.length === 0) {
    throw new DataError({ code: "E_TEXT_EMPTY", what: `${path} is empty`, why: "there is nothing to train on", fix: "check the path, or write the text into the file" });
  }
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new DataError({ code: "E_TEXT_TOO_LONG",
      what: `${path} has ${bytes.length} bytes`,
      why: `JavaScript strings hold at most ${constants.MAX_STRING_LENGTH}`,
      fix: "split the file, and read its parts one after the other" });
  }
  if (!isUtf8(bytes)) {
    const at = firstInvalidByte(bytes);
    throw new DataError({ code: "E_TEXT_NOT_UTF8",
      what: `${path} is not UTF-8: byte 0x${bytes[at].toString(16).padStart(2, "0")} at position ${at} is out of place`,
      why: "text files are read as UTF-8, and a wrong guess of the encoding would spoil the text unseen",
      fix: `convert it, e.g. iconv -f ISO-8859-1 -t UTF-8 ${path}` });
  }
  const text = bytes.toString("utf8");
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code === "ENOENT") {
      throw new DataError({ code: "E_TEXT_MISSING", what: `there is no file ${path}`, why: "the path is taken from the folder the process runs in", fix: `check the path; the folder is ${process.cwd()}`, cause: error });
    }
    throw new DataError({ code: "E_TEXT_UNREADABLE", what: `${path} can't be read`, why: error.message, fix: "pass the path of a file that may be read", cause: error });
  }
}

/** The first byte that can't stand where it does (or the lead byte of a character cut off at the end), of bytes
 *  that are not UTF-8. Source: The Unicode Standard 15.0, table 3-7 */
function firstInvalidByte(bytes: Uint8Array): number {
  let at = 0;
  for (;;) {
    const lead = bytes[at];
    const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length === 0) return at;
    // Shortest forms only, no surrogates, nothing above U+10FFFF: the second byte has a narrower range after these.
    const secondFrom = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const secondTo = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    for (let i = 1; i < length; i++) {
      if (at + i >= bytes.length) return at;
      const [from, to] = i === 1 ? [secondFrom, secondTo] : [0x80, 0xbf];
      if (bytes[at + i] < from || bytes[at + i] > to) return at + i;
    }
    at += length;
  }
}

export interface SplitTextOptions {
  /** Share of the text that is kept for validation, 0 < validationFraction < 1. */
  readonly validationFraction: number;
}

/** Cuts a text in two: the beginning for training, the rest for validation; train + validation is the text.
 *  The cut is at the paragraph border nearest to the fraction, as long as validation keeps between half and
 *  one and a half times its share; else at the nearest line border, space, or character.
 *  @throws ConfigError E_VALIDATION_FRACTION
 *  @throws DataError E_TEXT_TOO_SHORT when one part would be empty */
export function splitText(text: string, { validationFraction }: SplitTextOptions): { train: string; validation: string } {
  if (!(validationFraction > 0 && validationFraction < 1)) {
    throw new ConfigError({ code: "E_VALIDATION_FRACTION", what: `validationFraction is ${validationFraction}`, why: "both parts need text", fix: "set it between 0 and 1, e.g. 0.1" });
  }
  const wanted = text.length * (1 - validationFraction);
  const reach = (text.length * Math.min(validationFraction, 1 - validationFraction)) / 2;
  for (const border of [/\n(?:[ \t\r]*\n)+/g, /\n/g, /\s+/g, /(?:)/gu]) {
    const cut = nearestBorder(text, border, wanted, reach);
    if (cut !== undefined) return { train: text.slice(0, cut), validation: text.slice(cut) };
  }
  throw new DataError({ code: "E_TEXT_TOO_SHORT",
    what: `a text of ${text.length} characters can't be split with a validationFraction of ${validationFraction}`,
    why: "one part would be empty",
    fix: "take a longer text, or a fraction nearer to 0.5" });
}

/** The end of the border nearest to `wanted`, the first of two equally near; undefined when none is within reach. */
function nearestBorder(text: string, border: RegExp, wanted: number, reach: number): number | undefined {
  let nearest: number | undefined;
  border.lastIndex = Math.max(0, Math.floor(wanted - reach));
  for (let match = border.exec(text); match !== null; match = border.exec(text)) {
    const end = match.index + match[0].length;
    if (end > wanted + reach) break;
    const isInside = end > 0 && end < text.length && end >= wanted - reach;
    if (isInside && (nearest === undefined || Math.abs(end - wanted) < Math.abs(nearest - wanted))) nearest = end;
    if (end >= wanted) break;
    // An empty match would be found again at the same place.
    if (match[0] === "") border.lastIndex += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return nearest;
}
