import type { MergeTable } from "./mergeTable.ts";

/** Symbols that the reused buffers hold; longer words get buffers of their own, freed afterwards. */
const REUSED_SYMBOLS = 4096;
const NONE = -1;
/** A queue entry is order · POSITIONS + position, one float64: exact for orders below 2²¹ and 2³² positions. */
const POSITIONS = 2 ** 32;

/** Merges the bytes of one word into tokens: a queue of pairs by order over a linked list of symbols,
 *  O(n log n) in the word's bytes. The pair of the lowest order goes first, then the leftmost. */
export class WordMerger {
  private readonly table: MergeTable;
  private readonly tokenOfByte: Int32Array;
  private readonly reused = new MergeBuffers(REUSED_SYMBOLS);

  /** @param tokenOfByte the id of each single-byte token, [256] int32 */
  constructor(table: MergeTable, tokenOfByte: Int32Array) {
    this.table = table;
    this.tokenOfByte = tokenOfByte;
  }

  /** Writes the word's tokens to `output` from `outputStart` on, at most `length` of them.
   *  @param bytes the word's UTF-8 is bytes[0..length)
   *  @returns how many tokens were written */
  merge(bytes: Uint8Array, length: number, output: Int32Array, outputStart: number): number {
    const buffers = length <= REUSED_SYMBOLS ? this.reused : new MergeBuffers(length);
    this.fill(buffers, bytes, length);
    this.mergeAll(buffers);
    let written = 0;
    for (let at = length > 0 ? 0 : NONE; at !== NONE; at = buffers.next[at]) output[outputStart + written++] = buffers.symbols[at];
    return written;
  }

  private fill(buffers: MergeBuffers, bytes: Uint8Array, length: number): void {
    const { symbols, next, previous } = buffers;
    for (let i = 0; i < length; i++) {
      symbols[i] = this.tokenOfByte[bytes[i]];
      next[i] = i + 1 < length ? i + 1 : NONE;
      previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < length; i++) this.enqueue(buffers, i, i + 1);
  }

  private mergeAll(buffers: MergeBuffers): void {
    const { symbols, next, previous, queue } = buffers;
    while (queue.size > 0) {
      const entry = queue.pop();
      const order = Math.floor(entry / POSITIONS);
      const at = entry - order * POSITIONS;
      const right = next[at];
      const merged = this.table.mergedAt(order);
      // A symbol swallowed by its left neighbour is NONE; a pair that changed since makes another token.
      if (symbols[at] === NONE || right === NONE) continue;
      const rankNow = this.table.rankOf(symbols[at], symbols[right]);
      if (rankNow < 0 || this.table.merged[rankNow] !== merged) continue;

      symbols[at] = merged;
      symbols[right] = NONE;
      next[at] = next[right];
      if (next[at] !== NONE) {
        previous[next[at]] = at;
        this.enqueue(buffers, at, next[at]);
      }
      if (previous[at] !== NONE) this.enqueue(buffers, previous[at], at);
    }
  }

  private enqueue(buffers: MergeBuffers, left: number, right: number): void {
    const rank = this.table.rankOf(buffers.symbols[left], buffers.symbols[right]);
    if (rank >= 0) buffers.queue.push(this.table.orderOf(rank) * POSITIONS + left);
  }
}

class MergeBuffers {
  readonly symbols: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  readonly queue: NumberQueue;

  constructor(length: number) {
    this.symbols = new Int32Array(length);
    this.next = new Int32Array(length);
    this.previous = new Int32Array(length);
    // Each of at most length − 1 merges removes one entry and adds at most two.
    this.queue = new NumberQueue(2 * length);
  }
}

/** A binary heap of float64 numbers, smallest first, of fixed capacity. */
class NumberQueue {
  size = 0;
  private readonly heap: Float64Array;

  constructor(capacity: number) {
    this.heap = new Float64Array(capacity);
  }

  push(value: number): void {
    const heap = this.heap;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= value) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = value;
  }

  /** The smallest value; the queue must not be empty. */
  pop(): number {
    const heap = this.heap;
    const smallest = heap[0];
    const moved = heap[--this.size];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= moved) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = moved;
    return smallest;
  }
}
