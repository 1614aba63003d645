import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { NumericType } from "../arrays.ts";

/** Number of elements. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/** Strides, in elements, of a contiguous row-major array. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d -= 1) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

/** True for the dtypes that native kernels hold in typed arrays. */
export function isNumericType(dtype: TensorInfo["dtype"]): dtype is NumericType {
  return dtype === "float32" || dtype === "int32" || dtype === "bool";
}

/** True when all are float32. */
export function areFloat32(...tensors: readonly TensorInfo[]): boolean {
  return tensors.every(({ dtype }) => dtype === "float32");
}

/** True when all have one of the numeric dtypes. */
export function areNumeric(...tensors: readonly TensorInfo[]): boolean {
  return tensors.every(({ dtype }) => isNumericType(dtype));
}
