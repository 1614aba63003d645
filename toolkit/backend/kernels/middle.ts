import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { ArrayOfType, NumericType } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { copyBlock } from "./blockCopy.ts";
import { sizeOf, stridesOf } from "./shape.ts";

/** A tensor seen as [outer, length, inner], where the middle dimension is the one to reduce or to run along. */
export interface Middle<T extends NumericType> {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly values: ArrayOfType[T];
  /** true when `values` is a rearranged copy, to be released after use */
  readonly isCopy: boolean;
}

/** Brings the axes together: as they lie if they are neighbours, else in a copy that has them last.
 *  @param dtype x's */
export function middleOf<T extends NumericType>(dtype: T, x: TensorInfo, { backend, native }: Pick<NativeCall, "backend" | "native">, axes: readonly number[]): Middle<T> {
  const values = backend.values(x) as ArrayOfType[T]; // the array of x's dtype, which the caller names
  const sorted = [...axes].sort((a, b) => a - b);
  const first = sorted[0] ?? x.shape.length;
  const areNeighbours = sorted.every((axis, i) => axis === first + i);
  if (areNeighbours) {
    const end = first + sorted.length;
    return {
      outer: sizeOf(x.shape.slice(0, first)), length: sizeOf(x.shape.slice(first, end)), inner: sizeOf(x.shape.slice(end)),
      values, isCopy: false,
    };
  }
  const order = [...x.shape.keys()].filter((d) => !sorted.includes(d)).concat(sorted);
  const shape = order.map((d) => x.shape[d]);
  const copy = backend.allocate(dtype, values.length);
  const strides = stridesOf(x.shape);
  copyBlock(native, shape, { values, strides: order.map((d) => strides[d]), offset: 0 }, { values: copy, strides: stridesOf(shape), offset: 0 });
  const kept = shape.length - sorted.length;
  return { outer: sizeOf(shape.slice(0, kept)), length: sizeOf(shape.slice(kept)), inner: 1, values: copy, isCopy: true };
}
