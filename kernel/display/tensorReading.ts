import { methodOf, propertyOf } from "./duck.ts";
import { Array, Error, Math, Number, Reflect, String } from "../runner/intrinsics.ts";

/** A tensor of TensorFlow.js, known by its looks: the kernel doesn't depend on it.
 *  Source: js.tensorflow.org/api/latest/#class:Tensor */
export interface TensorLike {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly size: number;
  readonly isDisposed: boolean;
  readonly dataSync: () => ArrayLike<number | string>;
}

/** Over the finite values, but for the counts. */
export interface Statistics {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly std: number;
  readonly numNan: number;
  readonly numInfinite: number;
}

/** The part of a tensor that is shown, and what is known of all of it. */
export interface TensorReading {
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Values of the box that starts at the first value, row-major. */
  readonly corner: readonly (number | string)[];
  /** Size of the box, as many dimensions as the shape. */
  readonly cornerShape: readonly number[];
  readonly statistics: Statistics | null;
}

/** Tensors up to this are read whole: 4 MiB of float32, a millisecond from any device. */
export const WHOLE_READ_VALUES = 1 << 20;
/** Statistics of larger ones are computed where they are, up to this: the squares need a second tensor of the size. */
export const STATISTICS_VALUES = 1 << 26;
/** Values shown along the last two dimensions, and matrices along the third from the end. */
const CORNER = { rows: 8, columns: 8, matrices: 3 };

export function asTensor(value: object): TensorLike | null {
  const shape = propertyOf(value, "shape");
  const dtype = propertyOf(value, "dtype");
  const size = propertyOf(value, "size");
  const dataSync = methodOf(value, "dataSync");
  if (!Array.isArray(shape) || !shape.every((length) => typeof length === "number") || typeof dtype !== "string" || typeof size !== "number" || dataSync === undefined) return null;
  // dataSync gives a typed array, or for strings an array of them.
  return { shape, dtype, size, isDisposed: propertyOf(value, "isDisposed") === true, dataSync: () => dataSync() as ArrayLike<number | string> };
}

/** Reads the corner and the statistics. A large tensor stays where it is but for its corner. */
export function readTensor(value: object, tensor: TensorLike): TensorReading {
  const { shape, dtype, size } = tensor;
  const cornerShape = cornerOf(shape);
  const known = { shape, dtype, cornerShape };
  if (size <= WHOLE_READ_VALUES) {
    const values = tensor.dataSync();
    return { ...known, corner: boxOf(values, shape, cornerShape, dtype), statistics: hasStatistics(dtype) ? statisticsOf(values as ArrayLike<number>) : null };
  }
  const ops = opsOf(value);
  const corner = ops?.corner(cornerShape) ?? null;
  const isReducible = size <= STATISTICS_VALUES && (dtype === "float32" || dtype === "int32");
  return {
    ...known, cornerShape: corner === null ? shape.map(() => 0) : cornerShape, corner: corner ?? [],
    statistics: isReducible ? ops?.statistics() ?? null : null,
  };
}

function hasStatistics(dtype: string): boolean {
  return dtype !== "string" && dtype !== "complex64";
}

/** Statistics of values in memory, in two passes so that the deviation is exact. */
export function statisticsOf(values: ArrayLike<number>): Statistics {
  let [min, max, sum, numNan, numInfinite] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (Number.isNaN(value)) numNan++;
    else if (!Number.isFinite(value)) numInfinite++;
    else {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
    }
  }
  const count = values.length - numNan - numInfinite;
  const mean = count === 0 ? NaN : sum / count;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (Number.isFinite(value)) squares += (value - mean) ** 2;
  }
  return { min: count === 0 ? NaN : min, max: count === 0 ? NaN : max, mean, std: count === 0 ? NaN : Math.sqrt(squares / count), numNan, numInfinite };
}

function cornerOf(shape: readonly number[]): number[] {
  return shape.map((length, axis) => {
    const fromEnd = shape.length - 1 - axis;
    const shown = fromEnd === 0 ? CORNER.columns : fromEnd === 1 ? CORNER.rows : fromEnd === 2 ? CORNER.matrices : 1;
    return Math.min(length, shown);
  });
}

/** The box at the start of row-major values. */
function boxOf(values: ArrayLike<number | string>, shape: readonly number[], box: readonly number[], dtype: string): (number | string)[] {
  const numShown = box.reduce((product, length) => product * length, 1);
  return Array.from({ length: numShown }, (_, index) => {
    let rest = index;
    let offset = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const length = box[axis] ?? 1;
      offset += (rest % length) * stride;
      rest = Math.floor(rest / length);
      stride *= shape[axis] ?? 1;
    }
    if (dtype === "complex64") return `${String(values[2 * offset])}${Number(values[2 * offset + 1]) < 0 ? "-" : "+"}${String(values[2 * offset + 1]).replace(/^-/, "")}i`;
    if (dtype === "bool") return values[offset] === 0 ? "false" : "true";
    return values[offset] ?? "";
  });
}

/** What TensorFlow.js does for a tensor that is too large to be read. */
interface TensorOps { corner(shape: readonly number[]): (number | string)[] | null; statistics(): Statistics | null }

type RunKernel = (name: string, inputs: Readonly<Record<string, unknown>>, attributes?: object) => unknown;

/** TensorFlow.js keeps its engine, one for all its packages, under this global name; its chained methods (`x.slice`)
 *  are there only where a program asked for them. Source: tfjs-core/src/engine.ts, getOrMakeEngine */
const ENGINE_NAME = "_tfengine";

function opsOf(tensor: object): TensorOps | null {
  const engine: unknown = Reflect.get(globalThis, ENGINE_NAME);
  const runKernel = typeof engine === "object" && engine !== null ? methodOf(engine, "runKernel") : undefined;
  const tidy = typeof engine === "object" && engine !== null ? methodOf(engine, "tidy") : undefined;
  if (tidy === undefined || runKernel === undefined) return null;
  const { shape, dtype } = tensor as TensorLike;
  const read = (made: unknown): ArrayLike<number | string> => (typeof made === "object" && made !== null ? asTensor(made)?.dataSync() : undefined) ?? [];
  const run: RunKernel = (name, inputs, attributes = {}) => runKernel(name, inputs, attributes);
  return {
    corner: (size) => orNull(() => tidy(() =>
      boxOf(read(run("Slice", { x: tensor }, { begin: size.map(() => 0), size: [...size] })), size, size, dtype)) as (number | string)[]),
    statistics: () => orNull(() => tidy(() => statisticsByOps(tensor, shape, run, (made) => Number(read(made)[0]))) as Statistics | null),
  };
}

/** Null where a backend lacks an op, or the op refuses the dtype: the tensor is shown without. */
function orNull<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null;
  }
}

/** Minimum, maximum, mean and deviation where the tensor is. Null when it holds NaN or infinities, which would hide them. */
function statisticsByOps(x: object, shape: readonly number[], run: RunKernel, scalar: (made: unknown) => number): Statistics | null {
  const all = { axis: shape.map((_, axis) => axis), keepDims: false };
  const floats = run("Cast", { x }, { dtype: "float32" });
  const mean = run("Mean", { x: floats }, all);
  if (!Number.isFinite(scalar(mean))) return null;
  const squares = run("SquaredDifference", { a: floats, b: mean });
  return {
    min: scalar(run("Min", { x: floats }, all)), max: scalar(run("Max", { x: floats }, all)), mean: scalar(mean),
    std: Math.sqrt(scalar(run("Mean", { x: squares }, all))), numNan: 0, numInfinite: 0,
  };
}
