/** An Int32Array that grows. */
export class IdBuffer {
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
