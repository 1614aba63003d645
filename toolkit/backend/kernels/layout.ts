import {
  backend_util, slice_util, util, type ConcatAttrs, type PackAttrs, type PadV2Attrs, type ReverseAttrs, type SliceAttrs,
  type SplitVAttrs, type StridedSliceAttrs, type TensorInfo, type TileAttrs, type TransposeAttrs, type UnpackAttrs,
} from "@tensorflow/tfjs-core";
import { ShapeError } from "../../errors.ts";
import type { NumericArray, NumericType } from "../arrays.ts";
import type { NativeBinding } from "../binding.ts";
import type { KernelStorage } from "../kernelStorage.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { copyBlock, isCopyable, type Place } from "./blockCopy.ts";
import { areNumeric, isNumericType, sizeOf, stridesOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}
type Tools = Pick<NativeCall, "backend" | "native">;

/** A new tensor of x's dtype, filled by copying one block of x. */
function copied({ backend, native }: Tools, x: TensorInfo, shape: number[], sizes: readonly number[], from: Omit<Place, "values">, toStrides = stridesOf(shape)): TensorInfo {
  const out = backend.allocate(numericType(x), sizeOf(shape));
  copyBlock(native, sizes, { ...from, values: backend.values(x) }, { values: out, strides: toStrides, offset: 0 });
  return backend.activation(shape, numericType(x), out);
}

/** The kernels here run only on what areNumeric accepts. */
function numericType({ dtype }: TensorInfo): NumericType {
  return isNumericType(dtype) ? dtype : "float32";
}

export function transpose({ inputs: { x }, attrs: { perm }, ...tools }: NativeCall<TransposeAttrs, Operand>): TensorInfo {
  const strides = stridesOf(x.shape);
  const shape = perm.map((d) => x.shape[d]);
  return copied(tools, x, shape, shape, { strides: perm.map((d) => strides[d]), offset: 0 });
}

/** Rows begin … begin + size of each dimension. */
function sliceOf(tools: Tools, x: TensorInfo, begin: readonly number[], size: number[]): TensorInfo {
  const strides = stridesOf(x.shape);
  const offset = begin.reduce((sum, start, d) => sum + start * strides[d], 0);
  return copied(tools, x, size, size, { strides, offset });
}

export function slice({ inputs: { x }, attrs, ...tools }: NativeCall<SliceAttrs, Operand>): TensorInfo {
  const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size);
  slice_util.assertParamsValid(x, begin, size);
  // tfjs lets a slice through that begins behind the tensor and goes to its end
  if (size.some((length) => length < 0)) {
    throw new ShapeError({
      code: "E_SLICE_RANGE", what: `slice from [${begin.join(", ")}] of a tensor [${x.shape.join(", ")}]`, why: "it begins behind the tensor's end",
      fix: "begin at most at the length of each dimension",
    });
  }
  return sliceOf(tools, x, begin, size);
}

/** tfjs's own kernel fails or reads wrong elements when it drops a dimension beside one with a stride; this one doesn't. */
function stridedSlice({ inputs: { x }, attrs, ...tools }: NativeCall<StridedSliceAttrs, Operand>): TensorInfo {
  const { begin, end, strides, finalShape } = slice_util.sliceInfo(x.shape, attrs.begin, attrs.end, attrs.strides,
    attrs.beginMask, attrs.endMask, attrs.ellipsisMask, attrs.newAxisMask, attrs.shrinkAxisMask);
  const sizes = slice_util.computeOutShape(begin, end, strides).map((size) => Math.max(0, size));
  const xStrides = stridesOf(x.shape);
  const offset = begin.reduce((sum, start, d) => sum + start * xStrides[d], 0);
  return copied(tools, x, finalShape, sizes, { strides: xStrides.map((stride, d) => stride * strides[d]), offset }, stridesOf(sizes));
}

function splitV({ inputs: { x }, attrs, ...tools }: NativeCall<SplitVAttrs, Operand>): TensorInfo[] {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  let start = 0;
  return backend_util.prepareSplitSize(x, attrs.numOrSizeSplits, axis).map((length) => {
    const part = sliceOf(tools, x, x.shape.map((_, d) => (d === axis ? start : 0)), x.shape.with(axis, length));
    start += length;
    return part;
  });
}

/** Copies each tensor to its place along one dimension of `out`; `starts[i]` is where tensor i begins. */
function placeAll(native: NativeBinding, backend: KernelStorage, tensors: readonly TensorInfo[], sizes: readonly (readonly number[])[],
  starts: readonly number[], outShape: readonly number[], axis: number, out: NumericArray): void {
  const strides = stridesOf(outShape);
  tensors.forEach((tensor, i) => {
    copyBlock(native, sizes[i], { values: backend.values(tensor), strides: stridesOf(sizes[i]), offset: 0 },
      { values: out, strides, offset: starts[i] * strides[axis] });
  });
}

function concat({ inputs, attrs, backend, native }: NativeCall<ConcatAttrs, TensorInfo[]>): TensorInfo {
  const [axis] = util.parseAxisParam(attrs.axis, inputs[0].shape);
  const shapes = inputs.map((input) => input.shape);
  backend_util.assertParamsConsistent(shapes, axis);
  const shape = backend_util.computeOutShape(shapes, axis);
  const filled = inputs.filter((input) => sizeOf(input.shape) > 0);
  if (filled.length === 1) {
    backend.incRef(filled[0].dataId);
    return { dataId: filled[0].dataId, shape, dtype: filled[0].dtype };
  }
  const out = backend.allocate(numericType(inputs[0]), sizeOf(shape));
  let end = 0;
  const starts = filled.map((input) => (end += input.shape[axis]) - input.shape[axis]);
  placeAll(native, backend, filled, filled.map((input) => input.shape), starts, shape, axis, out);
  return backend.activation(shape, numericType(inputs[0]), out);
}

/** tf.stack */
function pack({ inputs, attrs, backend, native }: NativeCall<PackAttrs, TensorInfo[]>): TensorInfo {
  const [first] = inputs;
  const axis = attrs.axis < 0 ? attrs.axis + first.shape.length + 1 : attrs.axis;
  for (const input of inputs) util.assertShapesMatch(first.shape, input.shape, "All tensors passed to stack must have matching shapes");
  const size = first.shape.toSpliced(axis, 0, 1);
  const shape = first.shape.toSpliced(axis, 0, inputs.length);
  const out = backend.allocate(numericType(first), sizeOf(shape));
  placeAll(native, backend, inputs, inputs.map(() => size), [...inputs.keys()], shape, axis, out);
  return backend.activation(shape, numericType(first), out);
}

/** tf.unstack */
function unpack({ inputs: { value }, attrs, ...tools }: NativeCall<UnpackAttrs, { value: TensorInfo }>): TensorInfo[] {
  const axis = attrs.axis < 0 ? attrs.axis + value.shape.length : attrs.axis;
  const strides = stridesOf(value.shape);
  const shape = value.shape.toSpliced(axis, 1);
  return Array.from({ length: value.shape[axis] }, (_, i) =>
    copied(tools, value, shape, shape, { strides: strides.toSpliced(axis, 1), offset: i * strides[axis] }));
}

export function pad({ inputs: { x }, attrs: { paddings, constantValue }, backend, native }: NativeCall<PadV2Attrs, Operand>): TensorInfo {
  const shape = x.shape.map((length, d) => paddings[d][0] + length + paddings[d][1]);
  const strides = stridesOf(shape);
  const out = backend.allocate(numericType(x), sizeOf(shape));
  backend.fill(out, constantValue);
  const offset = strides.reduce((sum, stride, d) => sum + paddings[d][0] * stride, 0);
  copyBlock(native, x.shape, { values: backend.values(x), strides: stridesOf(x.shape), offset: 0 }, { values: out, strides, offset });
  return backend.activation(shape, numericType(x), out);
}

/** Each dimension of x becomes two of the block: its repetitions, with stride 0 in x, and itself. */
function tile({ inputs: { x }, attrs: { reps }, ...tools }: NativeCall<TileAttrs, Operand>): TensorInfo {
  const shape = x.shape.map((length, d) => length * reps[d]);
  const [xStrides, outStrides] = [stridesOf(x.shape), stridesOf(shape)];
  const sizes = x.shape.flatMap((length, d) => [reps[d], length]);
  return copied(tools, x, shape, sizes, { strides: xStrides.flatMap((stride) => [0, stride]), offset: 0 },
    outStrides.flatMap((stride, d) => [stride * x.shape[d], stride]));
}

function reverse({ inputs: { x }, attrs: { dims }, ...tools }: NativeCall<ReverseAttrs, Operand>): TensorInfo {
  const reversed = util.parseAxisParam(dims, x.shape);
  const strides = stridesOf(x.shape);
  const offset = reversed.reduce((sum, d) => sum + Math.max(0, x.shape[d] - 1) * strides[d], 0);
  return copied(tools, x, x.shape, x.shape, { strides: strides.map((stride, d) => (reversed.includes(d) ? -stride : stride)), offset });
}

const accepts = ({ x }: Operand): boolean => areNumeric(x);
const areOfOneType = (inputs: readonly TensorInfo[]): boolean =>
  areNumeric(...inputs) && inputs.every(({ dtype }) => dtype === inputs[0].dtype);

export const layoutKernels: readonly NamedKernel[] = [
  tensorKernel<TransposeAttrs, Operand>("Transpose", { accepts, run: transpose }),
  tensorKernel<SliceAttrs, Operand>("Slice", { accepts, run: slice }),
  tensorKernel<StridedSliceAttrs, Operand>("StridedSlice", { accepts, run: stridedSlice }),
  tensorKernel<SplitVAttrs, Operand>("SplitV", { accepts, run: splitV }),
  tensorKernel<ConcatAttrs, TensorInfo[]>("Concat", { accepts: areOfOneType, run: concat }),
  tensorKernel<PackAttrs, TensorInfo[]>("Pack", { accepts: areOfOneType, run: pack }),
  tensorKernel<UnpackAttrs, { value: TensorInfo }>("Unpack", { accepts: ({ value }) => areNumeric(value), run: unpack }),
  tensorKernel<PadV2Attrs, Operand>("PadV2", { accepts, run: pad }),
  tensorKernel<TileAttrs, Operand>("Tile", { accepts: ({ x }) => areNumeric(x) && isCopyable(2 * x.shape.length), run: tile }),
  tensorKernel<ReverseAttrs, Operand>("Reverse", { accepts, run: reverse }),
];
