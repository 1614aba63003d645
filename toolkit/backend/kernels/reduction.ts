import {
  backend_util, util, type ArgMaxAttrs, type CumsumAttrs, type MaxAttrs, type SoftmaxAttrs, type SumAttrs, type TensorInfo, type TopKAttrs,
} from "@tensorflow/tfjs-core";
import type { ArrayOfType, NumericType } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import type { BoolReduceName, IndexName, ReduceName, RunningName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { middleOf, type Middle } from "./middle.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}
type Call = NativeCall<unknown, Operand>;

/** Which dimensions are reduced, and whether they stay with length 1. */
interface Reduced {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

/** Reduces x by `compute` into a tensor of the same dtype. */
function reduced<T extends NumericType>(dtype: T, { inputs: { x }, ...tools }: Call, { axis, keepDims }: Reduced,
  compute: (middle: Middle<T>, out: ArrayOfType[T]) => void): TensorInfo {
  const { backend } = tools;
  const axes = util.parseAxisParam(axis, x.shape);
  const middle = middleOf(dtype, x, tools, axes);
  const out = backend.allocate(dtype, middle.outer * middle.inner);
  compute(middle, out);
  if (middle.isCopy) backend.release(middle.values);
  const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  return backend.output(keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape, dtype, out);
}

function runReduce(name: ReduceName, call: Call, dimensions: Reduced): TensorInfo {
  const { native } = call;
  if (call.inputs.x.dtype === "int32") {
    return reduced("int32", call, dimensions, ({ outer, length, inner, values }, out) => native[`${name}Ints`](outer, length, inner, values, out));
  }
  return reduced("float32", call, dimensions, ({ outer, length, inner, values }, out) => native[name](outer, length, inner, 1, values, out));
}

/** The mean of integers is float32. */
function mean(call: NativeCall<SumAttrs, Operand>): TensorInfo {
  const { inputs: { x }, backend, native } = call;
  if (x.dtype === "float32") {
    return reduced("float32", call, call.attrs, ({ outer, length, inner, values }, out) =>
      native.sum(outer, length, inner, length > 0 ? 1 / length : 1, values, out));
  }
  const size = sizeOf(x.shape);
  const converted = backend.allocate("float32", size);
  native.intsToFloats(size, backend.ints(x), converted);
  const floats = backend.output(x.shape, "float32", converted);
  const result = mean({ ...call, inputs: { x: floats } });
  backend.disposeIntermediateTensorInfo(floats);
  return result;
}

function runBools(name: BoolReduceName, call: NativeCall<SumAttrs, Operand>): TensorInfo {
  return reduced("bool", call, call.attrs, ({ outer, length, inner, values }, out) => call.native[name](outer, length, inner, values, out));
}

function runIndex(name: IndexName, { inputs: { x }, attrs, ...tools }: NativeCall<ArgMaxAttrs, Operand>): TensorInfo {
  const { backend, native } = tools;
  const axes = util.parseAxisParam(attrs.axis, x.shape).slice(0, 1);
  const shape = backend_util.computeOutAndReduceShapes(x.shape, axes)[0];
  const out = backend.allocate("int32", sizeOf(shape));
  if (x.dtype === "int32") {
    const { outer, length, inner, values } = middleOf("int32", x, tools, axes);
    native[`${name}Ints`](outer, length, inner, values, out);
  } else {
    const { outer, length, inner, values } = middleOf("float32", x, tools, axes);
    native[name](outer, length, inner, values, out);
  }
  return backend.output(shape, "int32", out);
}

function runAlong(name: RunningName, { inputs: { x }, attrs, ...tools }: NativeCall<CumsumAttrs, Operand>): TensorInfo {
  const { backend, native } = tools;
  const axes = util.parseAxisParam(attrs.axis, x.shape);
  if (x.dtype === "int32") {
    const { outer, length, inner, values } = middleOf("int32", x, tools, axes);
    const out = backend.allocate("int32", values.length);
    native[`${name}Ints`](outer, length, inner, attrs.exclusive, attrs.reverse, values, out);
    return backend.output(x.shape, "int32", out);
  }
  const { outer, length, inner, values } = middleOf("float32", x, tools, axes);
  const out = backend.allocate("float32", values.length);
  native[name](outer, length, inner, attrs.exclusive, attrs.reverse, values, out);
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
  const shape = [...x.shape.slice(0, -1), k];
  const indices = backend.allocate("int32", rows * k);
  if (x.dtype === "int32") {
    const values = backend.allocate("int32", rows * k);
    native.topKInts(rows, columns, k, backend.ints(x), values, indices);
    return [backend.output(shape, "int32", values), backend.output(shape, "int32", indices)];
  }
  const values = backend.allocate("float32", rows * k);
  native.topK(rows, columns, k, backend.floats(x), values, indices);
  return [backend.output(shape, "float32", values), backend.output(shape, "int32", indices)];
}

const accepts = ({ x }: Operand): boolean => areFloat32(x) || x.dtype === "int32";
const isFilled = ({ x }: Operand): boolean => accepts({ x }) && sizeOf(x.shape) > 0; // a maximum of nothing has no value
const isBool = ({ x }: Operand): boolean => x.dtype === "bool";

export const reductionKernels: readonly NamedKernel[] = [
  tensorKernel<SumAttrs, Operand>("Sum", { accepts, run: (call) => runReduce("sum", call, call.attrs) }),
  tensorKernel<SumAttrs, Operand>("Mean", { accepts, run: mean }),
  tensorKernel<SumAttrs, Operand>("Prod", { accepts, run: (call) => runReduce("product", call, call.attrs) }),
  tensorKernel<SumAttrs, Operand>("Min", { accepts: isFilled, run: (call) => runReduce("smallest", call, call.attrs) }),
  tensorKernel<MaxAttrs, Operand>("Max", {
    accepts: isFilled, run: (call) => runReduce("largest", call, { axis: call.attrs.reductionIndices, keepDims: call.attrs.keepDims }),
  }),
  tensorKernel<SumAttrs, Operand>("All", { accepts: isBool, run: (call) => runBools("all", call) }),
  tensorKernel<SumAttrs, Operand>("Any", { accepts: isBool, run: (call) => runBools("any", call) }),
  tensorKernel<ArgMaxAttrs, Operand>("ArgMax", { accepts: isFilled, run: (call) => runIndex("indexOfLargest", call) }),
  tensorKernel<ArgMaxAttrs, Operand>("ArgMin", { accepts: isFilled, run: (call) => runIndex("indexOfSmallest", call) }),
  tensorKernel<CumsumAttrs, Operand>("Cumsum", { accepts, run: (call) => runAlong("cumulativeSum", call) }),
  tensorKernel<CumsumAttrs, Operand>("Cumprod", { accepts, run: (call) => runAlong("cumulativeProduct", call) }),
  tensorKernel<SoftmaxAttrs, Logits>("Softmax", {
    accepts: ({ logits }, { dim }) => areFloat32(logits) && (dim === -1 || dim === logits.shape.length - 1), run: softmax,
  }),
  tensorKernel<TopKAttrs, Operand>("TopK", { accepts: ({ x }, { k }) => isFilled({ x }) && k >= 1 && x.shape.length > 0, run: topK }),
];
