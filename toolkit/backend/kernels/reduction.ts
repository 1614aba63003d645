import {
  backend_util, util, type ArgMaxAttrs, type CumsumAttrs, type MaxAttrs, type SoftmaxAttrs, type SumAttrs, type TensorInfo, type TopKAttrs,
} from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { IndexName, ReduceName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { copyBlock } from "./blockCopy.ts";
import { areFloat32, sizeOf, stridesOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}
type Call = NativeCall<unknown, Operand>;

/** A tensor seen as [outer, length, inner], where the middle dimension is the one to reduce. */
interface Middle {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly values: Float32Array;
  /** true when `values` is a rearranged copy, to be released after use */
  readonly isCopy: boolean;
}

/** Brings the axes together: as they lie if they are neighbours, else in a copy that has them last. */
function middleOf({ inputs: { x }, backend, native }: Call, axes: readonly number[]): Middle {
  const values = backend.floats(x);
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
  const copy = backend.allocate("float32", values.length);
  const strides = stridesOf(x.shape);
  copyBlock(native, shape, { values, strides: order.map((d) => strides[d]), offset: 0 }, { values: copy, strides: stridesOf(shape), offset: 0 });
  const kept = shape.length - sorted.length;
  return { outer: sizeOf(shape.slice(0, kept)), length: sizeOf(shape.slice(kept)), inner: 1, values: copy, isCopy: true };
}

function runReduce(name: ReduceName, call: Call, axis: number | number[], keepDims: boolean, takesMean = false): TensorInfo {
  const { inputs: { x }, backend, native } = call;
  const axes = util.parseAxisParam(axis, x.shape);
  const { outer, length, inner, values, isCopy } = middleOf(call, axes);
  const out = backend.allocate("float32", outer * inner);
  native[name](outer, length, inner, takesMean && length > 0 ? 1 / length : 1, values, out);
  if (isCopy) backend.release(values);
  const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  return backend.output(keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape, "float32", out);
}

function runIndex(name: IndexName, call: NativeCall<ArgMaxAttrs, Operand>): TensorInfo {
  const { inputs: { x }, attrs, backend, native } = call;
  const axes = util.parseAxisParam(attrs.axis, x.shape).slice(0, 1);
  const { outer, length, inner, values } = middleOf(call, axes);
  const out = backend.allocate("int32", outer * inner);
  native[name](outer, length, inner, values, out);
  return backend.output(backend_util.computeOutAndReduceShapes(x.shape, axes)[0], "int32", out);
}

function cumulativeSum(call: NativeCall<CumsumAttrs, Operand>): TensorInfo {
  const { inputs: { x }, attrs, backend, native } = call;
  const { outer, length, inner, values } = middleOf(call, util.parseAxisParam(attrs.axis, x.shape));
  const out = backend.allocate("float32", values.length);
  native.cumulativeSum(outer, length, inner, attrs.exclusive, attrs.reverse, values, out);
  return backend.output(x.shape, "float32", out);
}

interface Logits {
  readonly logits: TensorInfo;
}

function softmax({ inputs: { logits }, backend, native }: NativeCall<SoftmaxAttrs, Logits>): TensorInfo {
  const columns = logits.shape.at(-1) ?? 1;
  const size = sizeOf(logits.shape);
  const out = backend.allocate("float32", size);
  native.softmax(columns === 0 ? 0 : size / columns, columns, backend.floats(logits), out);
  return backend.output(logits.shape, "float32", out);
}

function topK({ inputs: { x }, attrs: { k }, backend, native }: NativeCall<TopKAttrs, Operand>): TensorInfo[] {
  const columns = x.shape.at(-1) ?? 1;
  const rows = sizeOf(x.shape) / columns;
  const values = backend.allocate("float32", rows * k);
  const indices = backend.allocate("int32", rows * k);
  native.topK(rows, columns, k, backend.floats(x), values, indices);
  const shape = [...x.shape.slice(0, -1), k];
  return [backend.output(shape, "float32", values), backend.output(shape, "int32", indices)];
}

const accepts = ({ x }: Operand): boolean => areFloat32(x);
const isFilled = ({ x }: Operand): boolean => areFloat32(x) && sizeOf(x.shape) > 0; // a maximum of nothing has no value

export const reductionKernels: readonly NamedKernel[] = [
  tensorKernel<SumAttrs, Operand>("Sum", { accepts, run: (call) => runReduce("sum", call, call.attrs.axis, call.attrs.keepDims) }),
  tensorKernel<SumAttrs, Operand>("Mean", { accepts, run: (call) => runReduce("sum", call, call.attrs.axis, call.attrs.keepDims, true) }),
  tensorKernel<SumAttrs, Operand>("Prod", { accepts, run: (call) => runReduce("product", call, call.attrs.axis, call.attrs.keepDims) }),
  tensorKernel<SumAttrs, Operand>("Min", { accepts: isFilled, run: (call) => runReduce("smallest", call, call.attrs.axis, call.attrs.keepDims) }),
  tensorKernel<MaxAttrs, Operand>("Max", {
    accepts: isFilled, run: (call) => runReduce("largest", call, call.attrs.reductionIndices, call.attrs.keepDims),
  }),
  tensorKernel<ArgMaxAttrs, Operand>("ArgMax", { accepts: isFilled, run: (call) => runIndex("indexOfLargest", call) }),
  tensorKernel<ArgMaxAttrs, Operand>("ArgMin", { accepts: isFilled, run: (call) => runIndex("indexOfSmallest", call) }),
  tensorKernel<CumsumAttrs, Operand>("Cumsum", { accepts, run: cumulativeSum }),
  tensorKernel<SoftmaxAttrs, Logits>("Softmax", {
    accepts: ({ logits }, { dim }) => areFloat32(logits) && (dim === -1 || dim === logits.shape.length - 1), run: softmax,
  }),
  tensorKernel<TopKAttrs, Operand>("TopK", { accepts: ({ x }, { k }) => isFilled({ x }) && k >= 1 && x.shape.length > 0, run: topK }),
];
