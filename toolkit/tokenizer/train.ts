import { ConfigError, DataError } from "../errors.ts";
import { AddedTokenFinder } from "./addedTokens.ts";
import { alphabet, byteToChar } from "./byteAlphabet.ts";
import { PairQueue } from "./pairQueue.ts";
import { codeUnits, wordEnd } from "./preTokenize.ts";
import { Tokenizer } from "./tokenizer.ts";
import { checkSpecialTokens, END_OF_TEXT, gpt2Vocabulary, specialToken, type Merge } from "./vocabulary.ts";

/** Token ids stay below 2²⁰, so that a pair of them is one exact float64. */
const MAX_VOCAB_SIZE = 2 ** 20;
const NONE = -1;
/** Merges between two reports of progress. */
const PROGRESS_MERGES = 256;

export interface TrainTokenizerOptions {
  /** V: special tokens + 256 single bytes + merged tokens; fewer when the text has no more pairs. */
  readonly vocabSize: number;
  /** Get the ids 0, 1, … and are never split or learned from; ["<|endoftext|>"] when left out. */
  readonly specialTokens?: readonly string[];
  /** Called now and then while tokens are learned, at last with vocabSize reached. */
  readonly onProgress?: (progress: TrainTokenizerProgress) => void;
}

export interface TrainTokenizerProgress {
  readonly tokensLearned: number;
  readonly vocabSize: number;
}

/** Learns a byte-level BPE tokenizer: again and again the most frequent pair of neighbouring tokens inside
 *  words becomes a token; equally frequent pairs go by their ids, as in HuggingFace tokenizers. The result
 *  depends on nothing but the arguments.
 *  @param text one text, or texts that words do not reach across
 *  @throws ConfigError E_TOKENIZER_VOCAB_SIZE, E_TOKENIZER_SPECIAL_TOKEN
 *  @throws DataError E_TOKENIZER_EMPTY_TEXT
 *  Source: Sennrich et al. 2016, arXiv:1508.07909; bytes after Radford et al. 2019 (GPT-2) */
export function trainTokenizer(text: string | Iterable<string>, options: TrainTokenizerOptions): Tokenizer {
  const specialTokens = options.specialTokens ?? [END_OF_TEXT];
  checkSpecialTokens(specialTokens);
  checkVocabSize(options.vocabSize, specialTokens.length);
  const wordCounts = countWords(typeof text === "string" ? [text] : text, new AddedTokenFinder(specialTokens.map(specialToken)));
  if (wordCounts.size === 0) {
    throw new DataError({ code: "E_TOKENIZER_EMPTY_TEXT",
      what: "trainTokenizer got no text",
      why: "merges are learned from the words of the text",
      fix: "pass a text that is not empty; an iterator can be read only once" });
  }
  const tokens = [...specialTokens, ...alphabet];
  const merges = learnMerges(new WordSymbols(wordCounts, tokens), tokens, options);
  return new Tokenizer(gpt2Vocabulary(tokens, merges, specialTokens));
}

function checkVocabSize(vocabSize: number, specialCount: number): void {
  const smallest = specialCount + 256;
  if (Number.isInteger(vocabSize) && vocabSize >= smallest && vocabSize <= MAX_VOCAB_SIZE) return;
  throw new ConfigError({ code: "E_TOKENIZER_VOCAB_SIZE",
    what: `vocabSize is ${vocabSize}`,
    why: `${specialCount} special tokens and 256 bytes need ${smallest}, and at most ${MAX_VOCAB_SIZE} tokens are supported`,
    fix: `set vocabSize to an integer from ${smallest} to ${MAX_VOCAB_SIZE}, for a small model about 4096` });
}

function countWords(texts: Iterable<string>, specialTokens: AddedTokenFinder): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    const units = codeUnits(text);
    for (const span of specialTokens.split(text, () => true)) {
      if (span.tokenId !== undefined) continue;
      let end: number;
      for (let start = span.start; start < span.end; start = end) {
        end = wordEnd(units, start, span.end);
        const word = text.slice(start, end);
        const count = counts.get(word);
        // A slice keeps its whole text in memory: words that stay are copied out.
        if (count === undefined) counts.set(Buffer.from(word, "utf16le").toString("utf16le"), 1);
        else counts.set(word, count + 1);
      }
    }
  }
  return counts;
}

/** The symbols (token ids) of all different words in one row, each linked to its neighbours in the word. */
class WordSymbols {
  /** Token id at each position, NONE where the left neighbour has swallowed it. */
  readonly symbols: Int32Array;
  /** Neighbouring positions in the same word, or NONE. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** How often the position's word stands in the text. */
  readonly counts: Float64Array;

  constructor(wordCounts: ReadonlyMap<string, number>, tokens: readonly string[]) {
    const idOfByte = Int32Array.from(byteToChar, (char) => tokens.lastIndexOf(char));
    const words = Array.from(wordCounts, ([word, count]) => ({ bytes: Buffer.from(word, "utf8"), count }));
    const length = words.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.symbols = new Int32Array(length);
    this.next = new Int32Array(length).fill(NONE);
    this.previous = new Int32Array(length).fill(NONE);
    this.counts = new Float64Array(length);
    let start = 0;
    for (const { bytes, count } of words) {
      for (let i = 0; i < bytes.length; i++) {
        const at = start + i;
        this.symbols[at] = idOfByte[bytes[i]];
        this.counts[at] = count;
        if (i > 0) this.previous[at] = at - 1;
        if (i + 1 < bytes.length) this.next[at] = at + 1;
      }
      start += bytes.length;
    }
  }
}

/** Appends the learned tokens to `tokens`. No two merges spell the same token: wherever a token's letters stand
 *  between the same borders they go through the same merges, so all its occurrences are made by one pair. */
function learnMerges(words: WordSymbols, tokens: string[], { vocabSize, onProgress }: TrainTokenizerOptions): Merge[] {
  const { symbols, next } = words;
  const queue = new PairQueue();
  for (let at = 0; at < symbols.length; at++) {
    if (next[at] !== NONE) queue.add(symbols[at], symbols[next[at]], words.counts[at], at);
  }
  const merges: Merge[] = [];
  while (tokens.length < vocabSize) {
    const pair = queue.takeMostFrequent();
    if (pair === undefined) break;
    const { left, right } = pair;
    const merged = tokens.push(tokens[left] + tokens[right]) - 1;
    merges.push({ left, right, merged });
    for (const at of pair.positions) mergeAt(words, queue, at, left, right, merged);
    if (merges.length % PROGRESS_MERGES === 0) onProgress?.({ tokensLearned: tokens.length, vocabSize });
  }
  onProgress?.({ tokensLearned: tokens.length, vocabSize });
  return merges;
}

/** Merges the pair at a position, if it is still there, and counts the neighbours' pairs anew. */
function mergeAt({ symbols, next, previous, counts }: WordSymbols, queue: PairQueue, at: number, left: number, right: number, merged: number): void {
  const second = next[at];
  if (symbols[at] !== left || second === NONE || symbols[second] !== right) return;
  const before = previous[at];
  const after = next[second];
  symbols[at] = merged;
  symbols[second] = NONE;
  next[at] = after;
  if (before !== NONE) {
    queue.remove(symbols[before], left, counts[at]);
    queue.add(symbols[before], merged, counts[at], before);
  }
  if (after !== NONE) {
    previous[after] = at;
    queue.remove(right, symbols[after], counts[at]);
    queue.add(merged, symbols[after], counts[at], at);
  }
}
