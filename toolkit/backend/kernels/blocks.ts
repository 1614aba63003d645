import {
  backend_util, type BatchToSpaceNDAttrs, type MirrorPadAttrs, type PadV2Attrs, type SliceAttrs, type SpaceToBatchNDAttrs, type TensorInfo,
} from "@tensorflow/tfjs-core";
import type { NumericArray } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { copyBlock, isCopyable } from "./blockCopy.ts";
import { pad, slice, transpose } from "./layout.ts";
import { areNumeric, isNumericType, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}

/** The same values in another shape, for a kernel that is called from a kernel. */
const shaped = (x: TensorInfo, shape: number[]): TensorInfo => ({ dataId: x.dataId, shape, dtype: x.dtype });

/** Cuts the dimensions behind the first into blocks; the places within a block become batches. */
function spaceToBatch({ inputs: { x }, attrs: { blockShape, paddings }, ...tools }: NativeCall<SpaceToBatchNDAttrs, Operand>): TensorInfo {
  const complete = x.shape.map((_, d): [number, number] => (d >= 1 && d <= blockShape.length ? [paddings[d - 1][0], paddings[d - 1][1]] : [0, 0]));
  const attrs: PadV2Attrs = { paddings: complete, constantValue: 0 };
  const padded = pad({ inputs: { x }, attrs, ...tools });
  const inBlocks = backend_util.getReshaped(padded.shape, blockShape, sizeOf(blockShape), false);
  const perm = backend_util.getPermuted(inBlocks.length, blockShape.length, false);
  const result = transpose({ inputs: { x: shaped(padded, inBlocks) }, attrs: { perm }, ...tools });
  tools.backend.disposeIntermediateTensorInfo(padded);
  return shaped(result, backend_util.getReshapedPermuted(padded.shape, blockShape, sizeOf(blockShape), false));
}

/** The other way round, then cuts off what `crops` says. */
function batchToSpace({ inputs: { x }, attrs: { blockShape, crops }, ...tools }: NativeCall<BatchToSpaceNDAttrs, Operand>): TensorInfo {
  const inBlocks = backend_util.getReshaped(x.shape, blockShape, sizeOf(blockShape));
  const perm = backend_util.getPermuted(inBlocks.length, blockShape.length);
  const joined = transpose({ inputs: { x: shaped(x, inBlocks) }, attrs: { perm }, ...tools });
  const shape = backend_util.getReshapedPermuted(x.shape, blockShape, sizeOf(blockShape));
  const attrs: SliceAttrs = {
    begin: backend_util.getSliceBeginCoords(crops, blockShape.length), size: backend_util.getSliceSize(shape, crops, blockShape.length),
  };
  const result = slice({ inputs: { x: shaped(joined, shape) }, attrs, ...tools });
  tools.backend.disposeIntermediateTensorInfo(joined);
  return result;
}

/** Pads one dimension after the other with its own values in reverse; "reflect" leaves out the one at the edge. */
function mirrorPad({ inputs: { x }, attrs: { paddings, mode }, backend, native }: NativeCall<MirrorPadAttrs, Operand>): TensorInfo {
  const dtype = isNumericType(x.dtype) ? x.dtype : "float32";
  const skipped = mode === "reflect" ? 1 : 0;
  let [values, shape]: [NumericArray, number[]] = [backend.values(x), x.shape];
  for (const [d, [before, after]] of paddings.entries()) {
    const [outer, length, inner] = [sizeOf(shape.slice(0, d)), shape[d], sizeOf(shape.slice(d + 1))];
    const wide = before + length + after;
    const out = backend.allocate(dtype, outer * wide * inner);
    const copy = (count: number, fromRow: number, step: number, toRow: number): void => {
      copyBlock(native, [outer, count, inner], { values, strides: [length * inner, step * inner, 1], offset: fromRow * inner },
        { values: out, strides: [wide * inner, inner, 1], offset: toRow * inner });
    };
    copy(before, before - 1 + skipped, -1, 0);
    copy(length, 0, 1, before);
    copy(after, length - 1 - skipped, -1, before + length);
    if (d > 0) backend.release(values);
    [values, shape] = [out, shape.with(d, wide)];
  }
  return backend.activation(shape, dtype, values);
}

/** tfjs's own checks of blocks and paddings have run when a kernel is called. */
const accepts = ({ x }: Operand, { blockShape }: { blockShape: number[] }): boolean => areNumeric(x) && isCopyable(x.shape.length + blockShape.length);

/** What would be read from outside the tensor is left to tfjs. */
function acceptsMirror({ x }: Operand, { paddings, mode }: MirrorPadAttrs): boolean {
  const most = mode === "reflect" ? 1 : 0;
  return areNumeric(x) && x.shape.length > 0 && paddings.every(([before, after], d) => [before, after].every((count) => count >= 0 && count <= x.shape[d] - most));
}

export const blockKernels: readonly NamedKernel[] = [
  tensorKernel<SpaceToBatchNDAttrs, Operand>("SpaceToBatchND", { accepts, run: spaceToBatch }),
  tensorKernel<BatchToSpaceNDAttrs, Operand>("BatchToSpaceND", { accepts, run: batchToSpace }),
  tensorKernel<MirrorPadAttrs, Operand>("MirrorPad", { accepts: acceptsMirror, run: mirrorPad }),
];
