/** f(rank, layout, a, b, out): elementwise over two operands. layout [3 · rank] holds the output's sizes, a's strides
 *  and b's strides; a stride of 0 repeats the operand. See kernels/broadcast.ts. */
type BinaryFunction = (rank: number, layout: Int32Array, a: Float32Array, b: Float32Array, out: Float32Array) => void;
type CompareFunction = (rank: number, layout: Int32Array, a: Float32Array, b: Float32Array, out: Uint8Array) => void;
type CompareIntsFunction = (rank: number, layout: Int32Array, a: Int32Array, b: Int32Array, out: Uint8Array) => void;
type LogicalFunction = (rank: number, layout: Int32Array, a: Uint8Array, b: Uint8Array, out: Uint8Array) => void;

export type BinaryName = "add" | "subtract" | "multiply" | "divide" | "maximum" | "minimum" | "squaredDifference" | "power" | "prelu";
export type CompareName = "equal" | "notEqual" | "greater" | "greaterEqual" | "less" | "lessEqual";
export type LogicalName = "logicalAnd" | "logicalOr";

/** f(count, first, second, x, out); first and second are the function's settings, 0 where it has none. */
type UnaryFunction = (count: number, first: number, second: number, x: Float32Array, out: Float32Array) => void;
export type UnaryName = "negate" | "exp" | "log" | "sqrt" | "rsqrt" | "square" | "relu" | "relu6" | "elu" | "leakyRelu"
  | "sigmoid" | "tanh" | "abs" | "step" | "reciprocal" | "clip" | "sin" | "cos" | "erf" | "log1p" | "expm1" | "floor" | "ceil";

/** f(outer, length, inner, scale, x, out): out [outer, inner] from x [outer, length, inner]. */
type ReduceFunction = (outer: number, length: number, inner: number, scale: number, x: Float32Array, out: Float32Array) => void;
export type ReduceName = "sum" | "product" | "largest" | "smallest";
type IndexFunction = (outer: number, length: number, inner: number, x: Float32Array, out: Int32Array) => void;
export type IndexName = "indexOfLargest" | "indexOfSmallest";

type AnyArray = Float32Array | Int32Array | Uint8Array;

interface MatmulFunctions {
  /** out [batch, m, n] = A · B; aBatches and bBatches are batch, or 1 for a matrix shared by all. */
  matmul(batch: number, m: number, n: number, k: number, transposeA: boolean, transposeB: boolean,
    aBatches: number, bBatches: number, a: Float32Array, b: Float32Array, out: Float32Array): void;
  /** out [rows, columns]: rows offsets[g] … offsets[g+1] of a [rows, inner] times weights[g]
   *  ([inner, columns], or [columns, inner] when transposed). */
  matmulGroups(groups: number, rows: number, inner: number, columns: number, transposeWeights: boolean,
    offsets: Int32Array, a: Float32Array, weights: Float32Array, out: Float32Array): void;
  /** out [groups, inner, columns]: Aᵀ · G over each group's rows. */
  matmulGroupsWeightGradient(groups: number, rows: number, inner: number, columns: number,
    offsets: Int32Array, a: Float32Array, gradient: Float32Array, out: Float32Array): void;
}

interface LayoutFunctions {
  /** Copies a block; layout [3 · rank] holds its sizes, its strides in `from` and its strides in `to`. */
  copyBlock(rank: number, layout: Int32Array, fromOffset: number, toOffset: number, from: AnyArray, to: AnyArray): void;
  /** out [batch, outer, count, slice] = x [batch, outer, length, slice] at indices [batch, count]. */
  gather(batch: number, outer: number, length: number, slice: number, count: number,
    indices: Int32Array, x: AnyArray, out: AnyArray): void;
  /** out [length, slice] = sums of updates [count, slice] by index [count]; other indices are dropped. */
  scatterAdd(length: number, slice: number, count: number, indices: Int32Array, updates: Float32Array, out: Float32Array): void;
  /** out [count] = condition is 1 ? yes : no */
  select(count: number, condition: Uint8Array, yes: Float32Array, no: Float32Array, out: Float32Array): void;
  bytesToFloats(count: number, x: Uint8Array, out: Float32Array): void;
  intsToFloats(count: number, x: Int32Array, out: Float32Array): void;
}

interface RowFunctions {
  /** out [outer, length, inner] = running sums along the middle dimension. */
  cumulativeSum(outer: number, length: number, inner: number, isExclusive: boolean, isReversed: boolean,
    x: Float32Array, out: Float32Array): void;
  softmax(rows: number, columns: number, x: Float32Array, out: Float32Array): void;
  /** values and indices [rows, k], largest first, ties to the lower index. */
  topK(rows: number, columns: number, k: number, x: Float32Array, values: Float32Array, indices: Int32Array): void;
}

interface ControlFunctions {
  /** Threads that share work, JavaScript's own included. */
  threads(): number;
  setThreads(threads: number): void;
  /** "avx512" | "avx2" | "baseline", or "none" when the addon holds nothing this processor can run. */
  instructionSet(): string;
  /** The class of errors that the addon throws: new errorClass({code, what, why, fix}). */
  setErrorClass(errorClass: unknown): void;
}

/** Functions of the addon behind TensorFlow.js's own kernels; native/binding has their C++ side. All arrays are
 *  row-major and contiguous; outputs come last and are wholly overwritten. */
export type TensorFunctions = ControlFunctions & MatmulFunctions & LayoutFunctions & RowFunctions
  & Record<BinaryName, BinaryFunction> & Record<CompareName, CompareFunction>
  & Record<`${CompareName}Ints`, CompareIntsFunction> & Record<LogicalName, LogicalFunction>
  & Record<UnaryName, UnaryFunction> & Record<ReduceName, ReduceFunction> & Record<IndexName, IndexFunction>;
