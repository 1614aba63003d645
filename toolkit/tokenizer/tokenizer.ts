import { ConfigError, DataError } from "../errors.ts";
import { AddedTokenFinder } from "./addedTokens.ts";
import { bytesOfSpelling, byteToChar } from "./byteAlphabet.ts";
import { IdBuffer } from "./idBuffer.ts";
import { MergeTable } from "./mergeTable.ts";
import { codeUnits } from "./preTokenize.ts";
import { readRanks, type RanksOptions } from "./ranks.ts";
import { readTokenizerJson } from "./readTokenizerJson.ts";
import { writeTokenizerJson, type TokenizerJson } from "./tokenizerJson.ts";
import { tokenText, utf8Decoder } from "./tokenText.ts";
import { END_OF_TEXT, type AddedToken, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./wordCache.ts";
import { wordCutter, type WordCutter } from "./wordCutter.ts";
import { WordMerger } from "./wordMerger.ts";

/** A UTF-16 code unit is at most three bytes of UTF-8 (a surrogate pair is four). */
const MAX_BYTES_PER_UNIT = 3;

export interface EncodeOptions {
  /** Special tokens that become their ids where they stand in the text: "all" when left out, as in HuggingFace tokenizers,
   *  so that texts joined by "<|endoftext|>" are read as they were written. Pass "none" for text of strangers: what looks
   *  like a special token in it is then encoded as ordinary text and can't end a turn or begin one of another role.
   *  Added tokens that are not special are always found. */
  readonly allowedSpecial?: "all" | "none" | Iterable<string>;
  /** Puts the tokens of the post-processor's template around the text, e.g. "<|begin_of_text|>" before it; false when left out. */
  readonly addSpecialTokens?: boolean;
}

/** Turns ids into text piece by piece; text comes out only when its UTF-8 is complete. */
export interface DecodeStream {
  /** @returns the text that this id completes, often "" inside an emoji
   *  @throws DataError E_TOKEN_ID */
  push(id: number): string;
  /** @returns what is left over: "" or one U+FFFD for an unfinished character. The stream can be used anew. */
  end(): string;
}

/** Byte-level byte-pair encoding: any string can be encoded, and decode(encode(text)) is text again, except that lone
 *  surrogates become U+FFFD, and that a normalizer or tokens that take white space along change what they are told to.
 *  Ids run from 0 to vocabSize − 1. Made by trainTokenizer, Tokenizer.fromJSON or Tokenizer.fromRanks. */
export class Tokenizer {
  /** V: added tokens, 256 single bytes and merged tokens, and the ids between them that are not used. */
  readonly vocabSize: number;
  /** Special token → id, in the order of the ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** All tokens that are found in text as a whole, special or not, in the order of their ids. */
  readonly addedTokens: readonly AddedToken[];
  /** The id of "<|endoftext|>"; −1, which no token has, when that is not a special token of this tokenizer. */
  readonly endOfText: number;

  private readonly vocabulary: Vocabulary;
  private readonly tokenBytes: readonly (Uint8Array | undefined)[];
  private readonly merger: WordMerger;
  private readonly rawTokens: AddedTokenFinder;
  private readonly normalizedTokens: AddedTokenFinder | undefined;
  private readonly words: WordCutter;
  private readonly encoder = new TextEncoder();
  /** Tokens by their bytes as Latin-1, where whole words become them without merging. */
  private readonly wholeWords: ReadonlyMap<string, number> | undefined;
  // Made at the first encode: a tokenizer that only decodes needs no cache.
  private cache: WordCache | undefined;
  private readonly wordBytes = Buffer.alloc(1024);

  constructor(vocabulary: Vocabulary) {
    const { tokens, addedTokens, normalizer } = vocabulary;
    this.vocabulary = vocabulary;
    this.vocabSize = tokens.length;
    this.addedTokens = addedTokens;
    this.specialTokens = new Map(addedTokens.filter(({ special }) => special).map(({ content, id }) => [content, id]));
    this.endOfText = this.specialTokens.get(END_OF_TEXT) ?? -1;
    // A token that is looked for in normalised text is written as it is found there.
    const asFound = addedTokens.map((token) => (token.normalized && normalizer !== undefined ? { ...token, content: token.content.normalize(normalizer) } : token));
    const added = new Map(asFound.map((token) => [token.id, token]));
    this.tokenBytes = tokens.map((token, id) => {
      const text = added.get(id)?.content;
      return text !== undefined ? this.encoder.encode(text) : token !== undefined ? bytesOfSpelling(token) ?? this.encoder.encode(token) : undefined;
    });
    const ids = new Map(tokens.map((token, id) => [token, id]));
    const tokenOfByte = Int32Array.from(byteToChar, (char) => ids.get(char) ?? -1);
    this.merger = new WordMerger(new MergeTable(vocabulary.merges, vocabulary.mergeOrder), tokenOfByte);
    // An added token is never made of ordinary text, also where a file lists it in the vocabulary.
    this.wholeWords = !vocabulary.ignoreMerges ? undefined
      : new Map(this.tokenBytes.flatMap((bytes, id) => (bytes === undefined || added.has(id) ? [] : [[Buffer.from(bytes).toString("latin1"), id] as const])));
    this.rawTokens = new AddedTokenFinder(asFound.filter((token) => !token.normalized));
    const normalized = asFound.filter((token) => token.normalized);
    this.normalizedTokens = normalized.length > 0 || normalizer !== undefined ? new AddedTokenFinder(normalized) : undefined;
    this.words = wordCutter(vocabulary.splitSteps);
  }

  /** Lone surrogates are read as U+FFFD.
   *  @returns ids [tokens] int32, empty for ""
   *  @throws ConfigError E_TOKENIZER_ALLOWED_SPECIAL
   *  @throws DataError E_TOKENIZER_LONG_WORD when a pattern other than GPT-2's meets a word of millions of characters */
  encode(text: string, { allowedSpecial = "all", addSpecialTokens = false }: EncodeOptions = {}): Int32Array {
    const isParsed = this.parsedTokens(allowedSpecial);
    const ids = new IdBuffer(text.length);
    const units = codeUnits(text);
    if (addSpecialTokens) for (const id of this.vocabulary.template.before) ids.append(id);
    for (const { start, end, tokenId } of this.rawTokens.split(text, isParsed)) {
      if (tokenId !== undefined) ids.append(tokenId);
      else if (this.normalizedTokens === undefined) this.encodeOrdinary(text, units, start, end, ids);
      else this.encodeNormalized(text.slice(start, end), this.normalizedTokens, isParsed, ids);
    }
    if (addSpecialTokens) for (const id of this.vocabulary.template.after) ids.append(id);
    return ids.toArray();
  }

  /** Bytes that are not UTF-8 become U+FFFD; added tokens are written as they stand in text.
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
    return tokenText(this.bytesOf(id));
  }

  /** The tokenizer as HuggingFace's tokenizer.json. The merges of one made by fromRanks become a list: pairs that make the same
   *  token at places that overlap then go by the list, no longer from left to right. */
  toJSON(): TokenizerJson {
    return writeTokenizerJson(this.vocabulary);
  }

  /** @param json a parsed tokenizer.json of a byte-level BPE tokenizer, as GPT-2, Llama 3, Qwen and DeepSeek have
   *  @throws FileFormatError E_TOKENIZER_JSON naming the field that is missing, wrong or not supported */
  static fromJSON(json: unknown): Tokenizer {
    return new Tokenizer(readTokenizerJson(json));
  }

  /** A tokenizer of the tiktoken family.
   *  @param ranks the text of a .tiktoken file: a line "base64-of-bytes rank" for each token; the rank is the id
   *  @throws FileFormatError E_TOKENIZER_RANKS, ConfigError E_TOKENIZER_SPECIAL_TOKEN */
  static fromRanks(ranks: string, options: RanksOptions): Tokenizer {
    return new Tokenizer(readRanks(ranks, options));
  }

  private parsedTokens(allowedSpecial: NonNullable<EncodeOptions["allowedSpecial"]>): (token: AddedToken) => boolean {
    if (allowedSpecial === "all") return () => true;
    const allowed = new Set(allowedSpecial === "none" ? [] : allowedSpecial);
    const unknown = [...allowed].find((token) => !this.specialTokens.has(token));
    if (unknown !== undefined) {
      throw new ConfigError({ code: "E_TOKENIZER_ALLOWED_SPECIAL",
        what: `allowedSpecial has ${JSON.stringify(unknown)}`,
        why: "that is not a special token of this tokenizer",
        fix: `choose from ${[...this.specialTokens.keys()].slice(0, 10).join(" ") || "none"}, or pass "all" or "none"` });
    }
    return ({ special, content }) => !special || allowed.has(content);
  }

  private encodeNormalized(piece: string, tokens: AddedTokenFinder, isParsed: (token: AddedToken) => boolean, ids: IdBuffer): void {
    const { normalizer } = this.vocabulary;
    const text = normalizer === undefined ? piece : piece.normalize(normalizer);
    const units = codeUnits(text);
    for (const { start, end, tokenId } of tokens.split(text, isParsed)) {
      if (tokenId === undefined) this.encodeOrdinary(text, units, start, end, ids);
      else ids.append(tokenId);
    }
  }

  private encodeOrdinary(text: string, units: Uint16Array, spanStart: number, spanEnd: number, ids: IdBuffer): void {
    const cache = (this.cache ??= new WordCache());
    const words = this.words;
    words.begin(text, units, spanStart, spanEnd);
    while (words.next()) {
      const { start, end } = words;
      const room = ids.reserve((end - start) * MAX_BYTES_PER_UNIT);
      const slot = cache.slotOf(units, start, end);
      let count = slot >= 0 ? cache.read(slot, units, start, end, room, ids.length) : 0;
      if (count === 0) {
        count = this.encodeWord(text.slice(start, end), room, ids.length);
        if (slot >= 0) cache.write(slot, units, start, end, room, ids.length, count);
      }
      ids.length += count;
    }
  }

  private encodeWord(word: string, output: Int32Array, outputStart: number): number {
    const maxBytes = word.length * MAX_BYTES_PER_UNIT;
    const bytes = maxBytes <= this.wordBytes.length ? this.wordBytes : Buffer.alloc(maxBytes);
    const { written } = this.encoder.encodeInto(word, bytes);
    const whole = this.wholeWords?.get(bytes.toString("latin1", 0, written));
    if (whole === undefined) return this.merger.merge(bytes, written, output, outputStart);
    output[outputStart] = whole;
    return 1;
  }

  private bytesOf(id: number): Uint8Array {
    const bytes = this.tokenBytes[id];
    if (bytes === undefined) {
      throw new DataError({ code: "E_TOKEN_ID",
        what: `${id} is not a token id of this tokenizer`,
        why: `its ids are the integers from 0 to ${this.vocabSize - 1}${this.tokenBytes.includes(undefined) ? " but for some that are not used" : ""}`,
        fix: "decode with the tokenizer whose vocabSize the model was made for" });
    }
    return bytes;
  }
}
