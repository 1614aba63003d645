import type { Merge } from "./vocabulary.ts";

const EMPTY = -1;

/** Finds the rank of a token pair: an open-addressing hash table over typed arrays, since a Map with one
 *  number for a pair would make a heap object for each look-up. */
export class MergeTable {
  /** merged[rank]: the token that the pair of this rank becomes, [merges] int32. */
  readonly merged: Int32Array;
  /** When a pair merges: its rank, or the id of the token that it becomes. */
  private readonly mergeOrder: "list" | "token";
  private readonly left: Int32Array;
  private readonly right: Int32Array;
  /** Rank in each slot or EMPTY; the length is a power of two, at most half full. */
  private readonly slots: Int32Array;

  /** @param merges by rank; of a pair given twice the later rank counts, as in HuggingFace tokenizers
   *  @param mergeOrder "list": the rank is the order; "token": the id of the merged token is */
  constructor(merges: readonly Merge[], mergeOrder: "list" | "token") {
    this.left = Int32Array.from(merges, (merge) => merge.left);
    this.right = Int32Array.from(merges, (merge) => merge.right);
    this.merged = Int32Array.from(merges, (merge) => merge.merged);
    this.mergeOrder = mergeOrder;
    this.slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * merges.length + 2))).fill(EMPTY);
    for (let rank = 0; rank < merges.length; rank++) this.slots[this.slotOf(this.left[rank], this.right[rank])] = rank;
  }

  /** The rank of a pair, or −1 when the pair never merges. */
  rankOf(left: number, right: number): number {
    return this.slots[this.slotOf(left, right)];
  }

  /** The order of a rank: lower goes first, and pairs of the same order from left to right. */
  orderOf(rank: number): number {
    return this.mergeOrder === "token" ? this.merged[rank] : rank;
  }

  /** The token that pairs of an order become. */
  mergedAt(order: number): number {
    return this.mergeOrder === "token" ? order : this.merged[order];
  }

  /** The slot that holds the pair, or the empty one where it belongs. */
  private slotOf(left: number, right: number): number {
    const mask = this.slots.length - 1;
    // Odd multipliers near 2³²/φ and its square (Knuth's multiplicative hashing); the high bits mix best.
    const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca77);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    for (;;) {
      const rank = this.slots[slot];
      if (rank === EMPTY || (this.left[rank] === left && this.right[rank] === right)) return slot;
      slot = (slot + 1) & mask;
    }
  }
}
