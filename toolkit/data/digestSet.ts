import { createHash } from "node:crypto";
import { dedupFull, normaliseText, type DuplicateFinder } from "./duplicateFinder.ts";

const digestWords = 4;

/** A set of the first 128 bits of SHA-256 digests: among 10⁹ texts two of the same digest have a chance of 10⁻²¹. */
export class DigestSet implements DuplicateFinder {
  private readonly maxDocuments: number;
  private count = 0;
  /** Open addressing: digestWords words a slot, all 0 where it is free. */
  private slots = new Uint32Array(1024 * digestWords);

  constructor(maxDocuments: number) {
    this.maxDocuments = maxDocuments;
  }

  isDuplicate(text: string): boolean {
    const digest = createHash("sha256").update(normaliseText(text)).digest();
    const words = Uint32Array.from({ length: digestWords }, (_, i) => digest.readUInt32LE(4 * i));
    const slot = this.find(this.slots, words);
    if (this.slots.subarray(slot, slot + digestWords).some((word) => word !== 0)) return true;
    if (this.count === this.maxDocuments) throw dedupFull(this.maxDocuments);
    this.slots.set(words, slot);
    this.count += 1;
    if (this.count * digestWords * 2 > this.slots.length) this.grow();
    return false;
  }

  /** Where a digest stands, or the free slot where it would. */
  private find(slots: Uint32Array, words: Uint32Array): number {
    const mask = slots.length / digestWords - 1;
    for (let place = words[0] & mask; ; place = (place + 1) & mask) {
      const slot = place * digestWords;
      let isFree = true, isSame = true;
      for (let i = 0; i < digestWords; i++) {
        isFree &&= slots[slot + i] === 0;
        isSame &&= slots[slot + i] === words[i];
      }
      if (isFree || isSame) return slot;
    }
  }

  private grow(): void {
    const slots = new Uint32Array(this.slots.length * 2);
    for (let slot = 0; slot < this.slots.length; slot += digestWords) {
      const words = this.slots.subarray(slot, slot + digestWords);
      if (words.some((word) => word !== 0)) slots.set(words, this.find(slots, words));
    }
    this.slots = slots;
  }
}
