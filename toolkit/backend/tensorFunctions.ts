import type { Bytes, Floats, Halves, Ints, NumericArray } from "./arrays.ts";

/** Sizes and strides of a block; a Float64Array where one may exceed int32. */
type Layout = Int32Array | Float64Array;

/** f(rank, layout, a, b, out): elementwise over two operands. layout [3 · rank] holds the output's sizes, a's strides
 *  and b's strides; a stride of 0 repeats the operand. See kernels/broadcast.ts. */
type BinaryFunction = (rank: number, layout: Layout, a: Floats, b: Floats, out: Floats) => void;
type IntBinaryFunction = (rank: number, layout: Layout, a: Ints, b: Ints, out: Ints) => void;
type CompareFunction = (rank: number, layout: Layout, a: Floats, b: Floats, out: Bytes) => void;
type CompareIntsFunction = (rank: number, layout: Layout, a: Ints, b: Ints, out: Bytes) => void;
type LogicalFunction = (rank: number, layout: Layout, a: Bytes, b: Bytes, out: Bytes) => void;

export type BinaryName = "add" | "subtract" | "multiply" | "divide" | "maximum" | "minimum" | "squaredDifference" | "power" | "prelu"
  | "modulo" | "atan2";
export type IntBinaryName = "addInts" | "subtractInts" | "multiplyInts" | "maximumInts" | "minimumInts" | "squaredDifferenceInts"
  | "floorDivideInts" | "moduloInts";
export type CompareName = "equal" | "notEqual" | "greater" | "greaterEqual" | "less" | "lessEqual";
export type LogicalName = "logicalAnd" | "logicalOr";

/** f(count, first, second, x, out); first and second are the function's settings, 0 where it has none. */
type UnaryFunction = (count: number, first: number, second: number, x: Floats, out: Floats) => void;
export type UnaryName = "negate" | "exp" | "log" | "sqrt" | "rsqrt" | "square" | "relu" | "relu6" | "elu" | "leakyRelu"
  | "sigmoid" | "tanh" | "abs" | "step" | "reciprocal" | "clip" | "sin" | "cos" | "erf" | "log1p" | "expm1" | "floor" | "ceil";

type IntUnaryFunction = (count: number, first: number, second: number, x: Ints, out: Ints) => void;
export type IntUnaryName = "negateInts" | "absInts" | "squareInts" | "signInts" | "reluInts" | "clipInts";

/** f(count, x, out) without settings */
type MathFunction = (count: number, x: Floats, out: Floats) => void;
export type MathName = "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh" | "asinh" | "acosh" | "atanh" | "softplus" | "selu" | "round" | "sign";
type ClassFunction = (count: number, x: Floats, out: Bytes) => void;
export type ClassName = "isNaN" | "isInf" | "isFinite";

/** f(outer, length, inner, scale, x, out): out [outer, inner] from x [outer, length, inner]. */
type ReduceFunction = (outer: number, length: number, inner: number, scale: number, x: Floats, out: Floats) => void;
export type ReduceName = "sum" | "product" | "largest" | "smallest";
type IntReduceFunction = (outer: number, length: number, inner: number, x: Ints, out: Ints) => void;
export type IntReduceName = "sumInts" | "productInts" | "largestInts" | "smallestInts";
type BoolReduceFunction = (outer: number, length: number, inner: number, x: Bytes, out: Bytes) => void;
export type BoolReduceName = "all" | "any";
type IndexFunction = (outer: number, length: number, inner: number, x: Floats, out: Ints) => void;
export type IndexName = "indexOfLargest" | "indexOfSmallest";

/** f(outer, length, inner, isExclusive, isReversed, x, out): running sums or products along the middle dimension. */
type RunningFunction<T> = (outer: number, length: number, inner: number, isExclusive: boolean, isReversed: boolean, x: T, out: T) => void;
export type RunningName = "cumulativeSum" | "cumulativeProduct";

type AnyArray = NumericArray;

interface MatmulFunctions {
  /** out [batch, m, n] = A · B; aBatches and bBatches are batch, or 1 for a matrix shared by all. */
  matmul(batch: number, m: number, n: number, k: number, transposeA: boolean, transposeB: boolean,
    aBatches: number, bBatches: number, a: Floats, b: Floats, out: Floats): void;
  /** out [rows, columns]: rows offsets[g] … offsets[g+1] of a [rows, inner] times weights[g]
   *  ([inner, columns], or [columns, inner] when transposed). */
  matmulGroups(groups: number, rows: number, inner: number, columns: number, transposeWeights: boolean,
    offsets: Ints, a: Floats, weights: Floats, out: Floats): void;
  /** out [groups, inner, columns]: Aᵀ · G over each group's rows. */
  matmulGroupsWeightGradient(groups: number, rows: number, inner: number, columns: number,
    offsets: Ints, a: Floats, gradient: Floats, out: Floats): void;
}

interface LayoutFunctions {
  /** Copies a block; layout [3 · rank] holds its sizes, its strides in `from` and its strides in `to`. */
  copyBlock(rank: number, layout: Layout, fromOffset: number, toOffset: number, from: AnyArray, to: AnyArray): void;
  /** out [batch, outer, count, slice] = x [batch, outer, length, slice] at indices [batch, count]. */
  gather(batch: number, outer: number, length: number, slice: number, count: number,
    indices: Ints, x: AnyArray, out: AnyArray): void;
  /** out [length, slice] = sums of updates [count, slice] by index [count]; other indices are dropped. */
  scatterAdd(length: number, slice: number, count: number, indices: Ints, updates: Floats, out: Floats): void;
  /** The same for int32, whose sums wrap. */
  scatterAddInts(length: number, slice: number, count: number, indices: Ints, updates: Ints, out: Ints): void;
  /** out [count] = condition is 1 ? yes : no */
  select(count: number, condition: Bytes, yes: AnyArray, no: AnyArray, out: AnyArray): void;
}

/** out [count] = x as another dtype: fractions are dropped, integers wrap, all but 0 is true. */
interface ConvertFunctions {
  bytesToFloats(count: number, x: Bytes, out: Floats): void;
  intsToFloats(count: number, x: Ints, out: Floats): void;
  floatsToInts(count: number, x: Floats, out: Ints): void;
  bytesToInts(count: number, x: Bytes, out: Ints): void;
  floatsToBytes(count: number, x: Floats, out: Bytes): void;
  intsToBytes(count: number, x: Ints, out: Bytes): void;
  logicalNot(count: number, x: Bytes, out: Bytes): void;
}

/** out [count] = x in another storage: rounded to the nearest, ties to even, or widened exactly. */
interface StorageFunctions {
  toBfloat16(count: number, x: Floats, out: Halves): void;
  toFloat16(count: number, x: Floats, out: Halves): void;
  fromBfloat16(count: number, x: Halves, out: Floats): void;
  fromFloat16(count: number, x: Halves, out: Floats): void;
}

/** Windows over a batch of images x [batch, H, W, channels]. window [12]: in, out, filter, stride, dilation, padding of
 *  the rows, then of the columns. y [batch, outH, outW, outChannels]; filter [fH, fW, channels, outChannels or multiplier]. */
interface WindowFunctions {
  convolve(batch: number, channels: number, window: Int32Array, outChannels: number, x: Floats, filter: Floats, y: Floats): void;
  convolveInputGradient(batch: number, channels: number, window: Int32Array, outChannels: number, dy: Floats, filter: Floats, dx: Floats): void;
  convolveFilterGradient(batch: number, channels: number, window: Int32Array, outChannels: number, x: Floats, dy: Floats, dFilter: Floats): void;
  convolveDepthwise(batch: number, channels: number, window: Int32Array, multiplier: number, x: Floats, filter: Floats, y: Floats): void;
  depthwiseInputGradient(batch: number, channels: number, window: Int32Array, multiplier: number, dy: Floats, filter: Floats, dx: Floats): void;
  depthwiseFilterGradient(batch: number, channels: number, window: Int32Array, multiplier: number, x: Floats, dy: Floats, dFilter: Floats): void;
  maxPool(batch: number, channels: number, window: Int32Array, x: Floats, y: Floats): void;
  meanPool(batch: number, channels: number, window: Int32Array, x: Floats, y: Floats): void;
  maxPoolGradient(batch: number, channels: number, window: Int32Array, x: Floats, dy: Floats, dx: Floats): void;
  meanPoolGradient(batch: number, channels: number, window: Int32Array, dy: Floats, dx: Floats): void;
}

interface RowFunctions {
  softmax(rows: number, columns: number, x: Floats, out: Floats): void;
  /** values and indices [rows, k], largest first, ties to the lower index. */
  topK(rows: number, columns: number, k: number, x: Floats, values: Floats, indices: Ints): void;
  topKInts(rows: number, columns: number, k: number, x: Ints, values: Ints, indices: Ints): void;
}

interface ControlFunctions {
  /** Threads that share work, JavaScript's own included. */
  threads(): number;
  setThreads(threads: number): void;
  /** "avx512" | "avx2" | "neon" | "baseline", or "none" when the addon holds nothing this processor can run. */
  instructionSet(): string;
  /** Asks the system for large pages where they fit; returns where in fresh memory a cache line begins, 0 … 63. */
  prepareMemory(memory: Uint8Array): number;
  /** The class of errors that the addon throws: new errorClass({code, what, why, fix}). */
  setErrorClass(errorClass: unknown): void;
}

/** Functions of the addon behind TensorFlow.js's own kernels; native/binding has their C++ side. All arrays are
 *  row-major and contiguous; outputs come last and are wholly overwritten. Layouts and windows are typed arrays in
 *  JavaScript's memory even where the rest is a device's. */
export type TensorFunctions = ControlFunctions & MatmulFunctions & LayoutFunctions & WindowFunctions & ConvertFunctions & StorageFunctions & RowFunctions
  & Record<BinaryName, BinaryFunction> & Record<IntBinaryName, IntBinaryFunction> & Record<CompareName, CompareFunction>
  & Record<`${CompareName}Ints`, CompareIntsFunction> & Record<LogicalName | `${CompareName}Bytes`, LogicalFunction>
  & Record<UnaryName, UnaryFunction> & Record<IntUnaryName, IntUnaryFunction> & Record<MathName, MathFunction> & Record<ClassName, ClassFunction>
  & Record<ReduceName, ReduceFunction> & Record<IntReduceName, IntReduceFunction> & Record<BoolReduceName, BoolReduceFunction>
  & Record<IndexName, IndexFunction> & Record<`${IndexName}Ints`, IntReduceFunction>
  & Record<RunningName, RunningFunction<Floats>> & Record<`${RunningName}Ints`, RunningFunction<Ints>>;
