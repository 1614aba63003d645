/** GPT-2 pre-tokenisation: text is cut into words before byte pairs are merged, so that no token reaches
 *  across a word border. It is this expression, as a scanner:
 *
 *    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 *  A scanner, because a regular expression makes a string for each word and runs out of stack on words of
 *  many megabytes. \s is Unicode White_Space as in HuggingFace tokenizers, not the \s of JavaScript (which
 *  lacks U+0085 and has U+FEFF).
 *  Letters and numbers are those of the Unicode version that Node was built with: a program with an older one
 *  cuts text in the newest scripts otherwise (Node 20 has 17.0; tokenizers 0.23 has 16.0, 4657 letters and digits fewer).
 *  Source: Radford et al. 2019, github.com/openai/gpt-2 src/encoder.py */

const UNKNOWN = 0;
const LETTER = 1;
const NUMBER = 2;
const WHITE_SPACE = 3;
const OTHER = 4;
/** Added to the class of a character of two code units. */
const PAIR = 8;

const SPACE = 0x20;
const APOSTROPHE = 0x27;
const ONE_LETTER_CONTRACTIONS = "stmd";
const TWO_LETTER_CONTRACTIONS = ["re", "ve", "ll"];

const letterPattern = /^\p{L}$/u;
const numberPattern = /^\p{N}$/u;
const whiteSpacePattern = /^\p{White_Space}$/u;

/** Classes of the basic plane's code points, filled as they are met. */
const basicPlaneClasses = new Uint8Array(0x10000);

function classify(codePoint: number): number {
  const char = String.fromCodePoint(codePoint);
  if (letterPattern.test(char)) return LETTER;
  if (numberPattern.test(char)) return NUMBER;
  return whiteSpacePattern.test(char) ? WHITE_SPACE : OTHER;
}

/** The UTF-16 code units of a text: reading a typed array is twice as fast as charCodeAt. */
export function codeUnits(text: string): Uint16Array {
  const bytes = Buffer.from(text, "utf16le");
  return new Uint16Array(bytes.buffer, bytes.byteOffset, text.length);
}

/** The class of the character at an index below units.length, plus PAIR when it takes two units.
 *  A lone surrogate is OTHER, as is the U+FFFD it becomes. */
function classAt(units: Uint16Array, index: number): number {
  const unit = units[index];
  const known = basicPlaneClasses[unit];
  if (known !== UNKNOWN) return known;
  if (unit >= 0xd800 && unit <= 0xdbff) {
    const low = index + 1 < units.length ? units[index + 1] : 0;
    return low >= 0xdc00 && low <= 0xdfff ? PAIR + classify(0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff)) : OTHER;
  }
  return (basicPlaneClasses[unit] = classify(unit));
}

/** The end of the run of characters of one class that starts at an index. */
function runEnd(units: Uint16Array, start: number, end: number, charClass: number): number {
  let index = start;
  while (index < end) {
    const found = classAt(units, index);
    if (found === charClass) index += 1;
    else if (found === PAIR + charClass) index += 2;
    else break;
  }
  return index;
}

/** Units of the contraction after an apostrophe, 0 when there is none. */
function contractionLength(units: Uint16Array, start: number, end: number): number {
  if (start >= end) return 0;
  const letters = String.fromCharCode(units[start], start + 1 < end ? units[start + 1] : SPACE);
  if (ONE_LETTER_CONTRACTIONS.includes(letters[0])) return 1;
  return TWO_LETTER_CONTRACTIONS.includes(letters) ? 2 : 0;
}

/** The end (exclusive) of the word that starts at `start`; words follow each other without gaps.
 *  @param units the text's code units
 *  @param start index of a code unit, start < end, never inside a surrogate pair
 *  @param end where the text to cut ends, at most units.length */
export function wordEnd(units: Uint16Array, start: number, end: number): number {
  const first = units[start];
  if (first === APOSTROPHE) {
    const length = contractionLength(units, start + 1, end);
    if (length > 0) return start + 1 + length;
  }
  if (first === SPACE && start + 1 < end) {
    const nextClass = classAt(units, start + 1) % PAIR;
    if (nextClass !== WHITE_SPACE) return runEnd(units, start + 1, end, nextClass);
  }
  const firstClass = classAt(units, start) % PAIR;
  const last = runEnd(units, start, end, firstClass);
  // \s+(?!\S): the last white space before a word is left over, where a space joins that word.
  const isFollowed = firstClass === WHITE_SPACE && last < end && last - start > 1;
  return isFollowed ? last - 1 : last;
}
