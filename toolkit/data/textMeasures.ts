/** How much of a text repeats itself. */
export interface Repetition {
  /** share of the parts that stood before */
  readonly share: number;
  /** share of the characters in such parts */
  readonly characterShare: number;
}

/** What quality filters look at. Words are runs of characters between white space; their length is in characters.
 *  Shares are 0 for a text without words or lines.
 *  Source: Rae et al. 2021, arXiv:2112.11446, appendix A.1.1; lines that end in punctuation: Raffel et al. 2019, arXiv:1910.10683 */
export interface TextMeasures {
  readonly characters: number;
  readonly words: number;
  readonly meanWordLength: number;
  /** (# signs + ellipses) / words */
  readonly symbolToWordRatio: number;
  /** share of words with a letter */
  readonly alphabeticWords: number;
  /** how many of the, be, to, of, and, that, have, with stand in it */
  readonly stopWords: number;
  readonly bulletLines: number;
  readonly ellipsisLines: number;
  readonly punctuatedLines: number;
  /** lines that aren't blank, compared without white space around them */
  duplicateLines(): Repetition;
  /** runs of lines between blank ones */
  duplicateParagraphs(): Repetition;
  /** word n-grams: shares of the characters of all words. `topShare` is occurrences × length of the commonest n-gram
   *  (of equally common ones the longest), 0 when it stands only once; `duplicateShare` counts the words that lie in
   *  any n-gram that stands more than once, each once. */
  ngrams(n: number): { readonly topShare: number; readonly duplicateShare: number };
}

const stopWords = new Set(["the", "be", "to", "of", "and", "that", "have", "with"]);

export function measureText(text: string): TextMeasures {
  const words = text.match(/\S+/g) ?? [];
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const wordCharacters = words.reduce((sum, word) => sum + word.length, 0);
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const lineShare = (pattern: RegExp) => ratio(lines.filter((line) => pattern.test(line)).length, lines.length);
  let grams: WordGrams | undefined;
  return {
    characters: text.length,
    words: words.length,
    meanWordLength: ratio(wordCharacters, words.length),
    symbolToWordRatio: ratio(text.match(/#|\.\.\.|…/g)?.length ?? 0, words.length),
    alphabeticWords: ratio(words.filter((word) => /\p{Alphabetic}/u.test(word)).length, words.length),
    stopWords: new Set(words.map((word) => word.toLowerCase().replace(/^[^a-z]+|[^a-z]+$/g, "")).filter((word) => stopWords.has(word))).size,
    bulletLines: lineShare(/^[•‣▪●◦*-](?:\s|$)/u),
    ellipsisLines: lineShare(/(?:\.\.\.|…)$/u),
    punctuatedLines: lineShare(/[.!?"”’]$/u),
    duplicateLines: () => repetition(lines),
    duplicateParagraphs: () => repetition(text.split(/\n\s*\n/).map((paragraph) => paragraph.trim()).filter((paragraph) => paragraph !== "")),
    ngrams: (n) => (grams ??= new WordGrams(words, wordCharacters)).measure(n),
  };
}

function repetition(parts: readonly string[]): Repetition {
  const seen = new Set<string>();
  let repeated = 0, repeatedCharacters = 0, characters = 0;
  for (const part of parts) {
    characters += part.length;
    if (seen.has(part)) {
      repeated += 1;
      repeatedCharacters += part.length;
    } else seen.add(part);
  }
  return { share: parts.length === 0 ? 0 : repeated / parts.length, characterShare: characters === 0 ? 0 : repeatedCharacters / characters };
}

/** Numbers n-grams so that equal ones have equal numbers: one of n words is the pair of that of its first n − 1 words
 *  and its last word. */
class WordGrams {
  private readonly words: readonly string[];
  private readonly characters: number;
  private readonly wordIds: readonly number[];
  /** gramIds[n − 1][i] is the number of the n-gram that begins at word i. */
  private readonly gramIds: (readonly number[])[];

  constructor(words: readonly string[], characters: number) {
    this.words = words;
    this.characters = characters;
    const ids = new Map<string, number>();
    this.wordIds = words.map((word) => numberOf(ids, word));
    this.gramIds = [this.wordIds];
  }

  measure(n: number): { topShare: number; duplicateShare: number } {
    const ids = this.idsOf(n);
    const counts = new Uint32Array(this.words.length + 1);
    for (const id of ids) counts[id] += 1;
    const isRepeated = new Uint8Array(this.words.length);
    let topCount = 1, topCharacters = 0;
    for (const [i, id] of ids.entries()) {
      if (counts[id] < 2) continue;
      isRepeated.fill(1, i, i + n);
      if (counts[id] < topCount) continue;
      const length = this.words.slice(i, i + n).reduce((sum, word) => sum + word.length, 0);
      topCharacters = counts[id] > topCount ? counts[id] * length : Math.max(topCharacters, counts[id] * length);
      topCount = counts[id];
    }
    const repeated = this.words.reduce((sum, word, i) => sum + isRepeated[i] * word.length, 0);
    // Occurrences that overlap count their characters more than once.
    return this.characters === 0 ? { topShare: 0, duplicateShare: 0 } : { topShare: Math.min(1, topCharacters / this.characters), duplicateShare: repeated / this.characters };
  }

  private idsOf(n: number): readonly number[] {
    for (let length = this.gramIds.length + 1; length <= n; length++) {
      const pairs = new Map<number, number>();
      const shorter = this.gramIds[length - 2];
      const ids: number[] = [];
      for (let i = 0; i + length <= this.words.length; i++) ids.push(numberOf(pairs, shorter[i] * (this.words.length + 1) + this.wordIds[i + length - 1]));
      this.gramIds.push(ids);
    }
    return this.gramIds[n - 1];
  }
}

function numberOf<Key>(numbers: Map<Key, number>, key: Key): number {
  let number = numbers.get(key);
  if (number === undefined) numbers.set(key, (number = numbers.size));
  return number;
}
