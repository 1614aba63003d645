/** A pair's two ids as one number, ordered like (left, right): exact for ids below 2²⁶. */
const ID_RANGE = 2 ** 26;

/** A token pair and where it stands. */
export interface CountedPair {
  readonly left: number;
  readonly right: number;
  /** Positions of the left token, ascending; the pair may have left some of them. */
  readonly positions: readonly number[];
}

interface PairRecord {
  count: number;
  readonly positions: number[];
}

/** Counts of token pairs, the most frequent first; of equally frequent ones the one with the lower left id,
 *  then the lower right id.
 *
 *  A pair is met first in the merge that makes the younger of its tokens, and after that merge it only gets
 *  rarer. So each pair has one entry in the heap, made when the next pair is taken, and an entry whose pair
 *  became rarer goes back with the new count when it comes up. */
export class PairQueue {
  private readonly records = new Map<number, PairRecord>();
  /** Pairs met since the last one was taken, not in the heap yet. */
  private readonly met: number[] = [];
  /** A binary heap of (count, key). */
  private readonly counts: number[] = [];
  private readonly keys: number[] = [];

  /** Counts `count` more of the pair, standing at a position above all those it was added with before. */
  add(left: number, right: number, count: number, position: number): void {
    const key = left * ID_RANGE + right;
    let record = this.records.get(key);
    if (record === undefined) {
      this.records.set(key, (record = { count: 0, positions: [] }));
      this.met.push(key);
    }
    record.count += count;
    record.positions.push(position);
  }

  /** Counts `count` fewer of the pair; the pair just taken is no longer counted. */
  remove(left: number, right: number, count: number): void {
    const record = this.records.get(left * ID_RANGE + right);
    if (record !== undefined) record.count -= count;
  }

  /** Takes the most frequent pair out of the queue; undefined when there is none. */
  takeMostFrequent(): CountedPair | undefined {
    for (const key of this.met) this.push(key, this.countOf(key));
    this.met.length = 0;
    while (this.keys.length > 0) {
      const queuedCount = this.counts[0];
      const key = this.keys[0];
      this.dropFirst();
      const count = this.countOf(key);
      if (count > 0 && count < queuedCount) {
        this.push(key, count);
        continue;
      }
      const positions = this.records.get(key)?.positions ?? [];
      this.records.delete(key);
      const left = Math.floor(key / ID_RANGE);
      if (count > 0) return { left, right: key - left * ID_RANGE, positions };
    }
    return undefined;
  }

  private countOf(key: number): number {
    return this.records.get(key)?.count ?? 0;
  }

  private isBefore(a: number, b: number): boolean {
    return this.counts[a] > this.counts[b] || (this.counts[a] === this.counts[b] && this.keys[a] < this.keys[b]);
  }

  private swap(a: number, b: number): void {
    [this.counts[a], this.counts[b]] = [this.counts[b], this.counts[a]];
    [this.keys[a], this.keys[b]] = [this.keys[b], this.keys[a]];
  }

  private push(key: number, count: number): void {
    let at = this.keys.push(key) - 1;
    this.counts.push(count);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  private dropFirst(): void {
    const last = this.keys.length - 1;
    this.swap(0, last);
    this.keys.pop();
    this.counts.pop();
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.isBefore(child + 1, child)) child++;
      if (!this.isBefore(child, at)) break;
      this.swap(at, child);
      at = child;
    }
  }
}
