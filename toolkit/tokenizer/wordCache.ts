/** Slots; direct-mapped, so a new word replaces an old one and memory stays at 6 MB for a tokenizer. */
const SLOTS = 2 ** 16;
/** Longer words and words of more tokens are too rare in text to be worth a place. */
const MAX_UNITS = 24;
const MAX_TOKENS = 8;
/** A slot is one stretch of memory, since most of a look-up is waiting for it: two int32 counts, the tokens as
 *  int32, then the code units as uint16. */
const SLOT_INT32 = 2 + MAX_TOKENS + MAX_UNITS / 2;
const FIRST_TOKEN = 2;
const FIRST_UNIT = 2 * (2 + MAX_TOKENS);

/** Remembers the tokens of words met before, found by their UTF-16 code units without making a string.
 *  After Zipf's law a few thousand words make up most of any text. */
export class WordCache {
  private readonly int32 = new Int32Array(SLOTS * SLOT_INT32);
  private readonly uint16 = new Uint16Array(this.int32.buffer);

  /** The slot where units[start, end) may be, or −1 when the word is too long to be kept. */
  slotOf(units: Uint16Array, start: number, end: number): number {
    if (end - start > MAX_UNITS) return -1;
    // FNV-1a over code units; source: Fowler, Noll, Vo, www.isthe.com/chongo/tech/comp/fnv
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ units[i], 0x01000193);
    return (hash ^ (hash >>> 16)) & (SLOTS - 1);
  }

  /** Copies the word's tokens to output from outputStart on.
   *  @returns how many tokens, 0 when another word or none is in the slot */
  read(slot: number, units: Uint16Array, start: number, end: number, output: Int32Array, outputStart: number): number {
    const { int32, uint16 } = this;
    const slotStart = slot * SLOT_INT32;
    const length = end - start;
    if (int32[slotStart] !== length) return 0;
    const firstUnit = 2 * slotStart + FIRST_UNIT;
    for (let i = 0; i < length; i++) {
      if (uint16[firstUnit + i] !== units[start + i]) return 0;
    }
    const count = int32[slotStart + 1];
    for (let i = 0; i < count; i++) output[outputStart + i] = int32[slotStart + FIRST_TOKEN + i];
    return count;
  }

  /** Keeps output[outputStart, outputStart + count) as the tokens of the word, unless they are too many. */
  write(slot: number, units: Uint16Array, start: number, end: number, output: Int32Array, outputStart: number, count: number): void {
    if (count > MAX_TOKENS) return;
    const slotStart = slot * SLOT_INT32;
    this.int32[slotStart] = end - start;
    this.int32[slotStart + 1] = count;
    this.int32.set(output.subarray(outputStart, outputStart + count), slotStart + FIRST_TOKEN);
    this.uint16.set(units.subarray(start, end), 2 * slotStart + FIRST_UNIT);
  }
}
