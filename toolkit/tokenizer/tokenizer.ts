import { TextDecoder } from "node:util";
import { DataError } from "../errors.ts";
import { bytesOfSpelling, byteToChar } from "./byteAlphabet.ts";
import { MergeTable } from "./mergeTable.ts";
import { codeUnits, wordEnd } from "./preTokenize.ts";
import { readTokenizerJson, writeTokenizerJson, type TokenizerJson } from "./tokenizerJson.ts";
import { END_OF_TEXT, splitAtSpecialTokens, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./wordCache.ts";
import { WordMerger } from "./wordMerger.ts";

/** A UTF-16 code unit is at most three bytes of UTF-8 (a surrogate pair is four). */
const MAX_BYTES_PER_UNIT = 3;

/** Turns ids into text piece by piece; text comes out only when its UTF-8 is complete. */
export interface DecodeStream {
  /** @returns the text that this id completes, often "" inside an emoji
   *  @throws DataError E_TOKEN_ID */
  push(id: number): string;
  /** @returns what is left over: "" or one U+FFFD for an unfinished character. The stream can be used anew. */
  end(): string;
}

/** Byte-level byte-pair encoding with GPT-2's pre-tokenisation: any string can be encoded, and
 *  decode(encode(text)) is text again, except that lone surrogates become U+FFFD.
 *  Ids run from 0 to vocabSize − 1. Made by trainTokenizer or Tokenizer.fromJSON. */
export class Tokenizer {
  /** V: special tokens, 256 single bytes and merged tokens. */
  readonly vocabSize: number;
  /** Special token → id, in the order of the ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** The id of "<|endoftext|>"; −1, which no token has, when that is not a special token of this tokenizer. */
  readonly endOfText: number;

  private readonly vocabulary: Vocabulary;
  private readonly tokenBytes: readonly Uint8Array[];
  private readonly merger: WordMerger;
  private readonly encoder = new TextEncoder();
  // Made at the first encode: a tokenizer that only decodes needs no cache.
  private cache: WordCache | undefined;
  private readonly wordBytes = new Uint8Array(1024);

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.vocabSize = vocabulary.tokens.length;
    this.specialTokens = vocabulary.specialTokens;
    this.endOfText = vocabulary.specialTokens.get(END_OF_TEXT) ?? -1;
    this.tokenBytes = vocabulary.tokens.map((token) =>
      (vocabulary.specialTokens.has(token) ? undefined : bytesOfSpelling(token)) ?? this.encoder.encode(token));
    const ids = new Map(vocabulary.tokens.map((token, id) => [token, id]));
    const tokenOfByte = Int32Array.from(byteToChar, (char) => ids.get(char) ?? -1);
    this.merger = new WordMerger(new MergeTable(vocabulary.merges), tokenOfByte);
  }

  /** Special tokens that stand in the text become their ids; lone surrogates are read as U+FFFD.
   *  @returns ids [tokens] int32, empty for "" */
  encode(text: string): Int32Array {
    const ids = new IdBuffer(text.length);
    const units = codeUnits(text);
    for (const span of splitAtSpecialTokens(text, this.specialTokens)) {
      if (span.specialId === undefined) this.encodeOrdinary(text, units, span.start, span.end, ids);
      else ids.append(span.specialId);
    }
    return ids.toArray();
  }

  /** Bytes that are not UTF-8 become U+FFFD; special tokens are written as they stand in text.
   *  @throws DataError E_TOKEN_ID */
  decode(ids: ArrayLike<number>): string {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += this.bytesOf(ids[i]).length;
    const bytes = new Uint8Array(length);
    let end = 0;
    for (let i = 0; i < ids.length; i++) {
      const token = this.bytesOf(ids[i]);
      bytes.set(token, end);
      end += token.length;
    }
    return utf8Decoder().decode(bytes);
  }

  decodeStream(): DecodeStream {
    const decoder = utf8Decoder();
    return {
      push: (id) => decoder.decode(this.bytesOf(id), { stream: true }),
      end: () => decoder.decode(),
    };
  }

  /** One token for showing in tables and plots: "␣" is a space, "\n" and the like are escaped, and bytes that
   *  are not whole UTF-8 are written "\xE2\x80".
   *  @throws DataError E_TOKEN_ID */
  tokenText(id: number): string {
    const bytes = this.bytesOf(id);
    const text = utf8Decoder().decode(bytes);
    if (text.includes("\uFFFD") && !isSameBytes(this.encoder.encode(text), bytes)) {
      return Array.from(bytes, (byte) => (byte < 0x80 ? showChars(String.fromCharCode(byte)) : escapeByte(byte))).join("");
    }
    return showChars(text);
  }

  /** The tokenizer as HuggingFace's tokenizer.json. */
  toJSON(): TokenizerJson {
    return writeTokenizerJson(this.vocabulary);
  }

  /** @param json a parsed tokenizer.json of a byte-level BPE tokenizer with GPT-2's pre-tokenisation
   *  @throws FileFormatError E_TOKENIZER_JSON naming the field that is missing, wrong or not supported */
  static fromJSON(json: unknown): Tokenizer {
    return new Tokenizer(readTokenizerJson(json));
  }

  private encodeOrdinary(text: string, units: Uint16Array, spanStart: number, spanEnd: number, ids: IdBuffer): void {
    const cache = (this.cache ??= new WordCache());
    let end: number;
    for (let start = spanStart; start < spanEnd; start = end) {
      end = wordEnd(units, start, spanEnd);
      const room = ids.reserve((end - start) * MAX_BYTES_PER_UNIT);
      const slot = cache.slotOf(units, start, end);
      let count = slot >= 0 ? cache.read(slot, units, start, end, room, ids.length) : 0;
      if (count === 0) {
        count = this.mergeWord(text.slice(start, end), room, ids.length);
        if (slot >= 0) cache.write(slot, units, start, end, room, ids.length, count);
      }
      ids.length += count;
    }
  }

  private mergeWord(word: string, output: Int32Array, outputStart: number): number {
    const maxBytes = word.length * MAX_BYTES_PER_UNIT;
    const bytes = maxBytes <= this.wordBytes.length ? this.wordBytes : new Uint8Array(maxBytes);
    const { written } = this.encoder.encodeInto(word, bytes);
    return this.merger.merge(bytes, written, output, outputStart);
  }

  private bytesOf(id: number): Uint8Array {
    const bytes = this.tokenBytes[id] as Uint8Array | undefined;
    if (bytes === undefined) {
      throw new DataError({ code: "E_TOKEN_ID",
        what: `${id} is not a token id of this tokenizer`,
        why: `its ids are the integers from 0 to ${this.vocabSize - 1}`,
        fix: "decode with the tokenizer whose vocabSize the model was made for" });
    }
    return bytes;
  }
}

/** An Int32Array that grows. */
class IdBuffer {
  length = 0;
  private ids: Int32Array;

  /** @param textLength code units of the text; English takes about one token for four of them */
  constructor(textLength: number) {
    this.ids = new Int32Array((textLength >> 2) + 16);
  }

  /** Makes room for more ids and returns the array to write them to, from index `length` on. */
  reserve(count: number): Int32Array {
    const needed = this.length + count;
    if (needed > this.ids.length) {
      const grown = new Int32Array(Math.max(needed, this.ids.length * 2));
      grown.set(this.ids.subarray(0, this.length));
      this.ids = grown;
    }
    return this.ids;
  }

  append(id: number): void {
    this.reserve(1)[this.length++] = id;
  }

  toArray(): Int32Array {
    return this.ids.slice(0, this.length);
  }
}

/** Keeps a leading U+FEFF, which the decoder would else drop as a byte order mark. */
function utf8Decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const ESCAPES: ReadonlyMap<string, string> = new Map([[" ", "␣"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

/** Makes spaces and control characters visible. */
function showChars(text: string): string {
  return text.replace(/[ \p{Cc}\p{Zl}\p{Zp}]/gu, (char) => ESCAPES.get(char) ?? `\\u{${char.charCodeAt(0).toString(16).toUpperCase()}}`);
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
