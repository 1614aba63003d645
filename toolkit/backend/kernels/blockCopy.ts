import type { NumericArray } from "../arrays.ts";
import type { NativeBinding } from "../binding.ts";

/** A side of a copy: element (i0, i1, …) of the block is at offset + Σ i_d · strides[d]. */
export interface Place {
  readonly values: NumericArray;
  readonly strides: readonly number[];
  readonly offset: number;
}

const MOST_DIMENSIONS = 8; // kMostDimensions in native/include/elementwise.h

/** True when copyBlock can copy blocks of this many dimensions. */
export function isCopyable(rank: number): boolean {
  return rank <= MOST_DIMENSIONS;
}

/** Copies a block of `sizes` elements; dimensions that lie adjacent on both sides are copied as one. */
export function copyBlock(native: NativeBinding, sizes: readonly number[], from: Place, to: Place): void {
  const merged: { size: number; fromStride: number; toStride: number }[] = [];
  for (let d = sizes.length - 1; d >= 0; d -= 1) {
    const size = sizes[d];
    if (size === 0) return;
    if (size === 1) continue;
    const inner = merged.at(-1);
    const isAdjacent = inner !== undefined
      && from.strides[d] === inner.fromStride * inner.size && to.strides[d] === inner.toStride * inner.size;
    if (isAdjacent) inner.size *= size;
    else merged.push({ size, fromStride: from.strides[d], toStride: to.strides[d] });
  }
  if (merged.length === 0) merged.push({ size: 1, fromStride: 1, toStride: 1 });
  merged.reverse();
  const layout = Float64Array.of(
    ...merged.map(({ size }) => size), ...merged.map(({ fromStride }) => fromStride), ...merged.map(({ toStride }) => toStride));
  native.copyBlock(merged.length, layout, from.offset, to.offset, from.values, to.values);
}
