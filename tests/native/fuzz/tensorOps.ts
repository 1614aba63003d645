import * as tf from "@tensorflow/tfjs-core";
import { MoeLabError } from "../../../toolkit/errors.ts";
import type { Chance } from "./chance.ts";
import { opMakers, type OpCase } from "./opMakers.ts";
import { errorText, tensorOf } from "./samples.ts";

export const opNames: readonly string[] = Object.keys(opMakers);

interface Outcome {
  readonly error?: unknown;
  readonly results?: readonly { readonly shape: readonly number[]; readonly dtype: string; readonly values: ArrayLike<number> }[];
}

/** Runs an op of tfjs with random inputs on "native" and on "cpu".
 *  @returns what differs, or undefined */
export function fuzzOp(name: string, chance: Chance): string | undefined {
  const made = opMakers[name](chance);
  const disposed = chance.isTrue(0.03) && made.inputs.length > 0 ? chance.int(0, made.inputs.length - 1) : -1;
  const isMoved = chance.isTrue(0.05); // its inputs live on the other backend
  const expected = runOn("cpu", made, disposed, isMoved);
  const actual = runOn("native", made, disposed, isMoved);
  const difference = compare(actual, expected, made);
  if (difference === undefined) return undefined;
  const shapes = made.inputs.map(({ dtype, shape }) => `${dtype}[${shape.join(",")}]`).join(" ");
  return `${difference}; inputs ${shapes}${made.settings === undefined ? "" : `, settings ${JSON.stringify(made.settings)}`}`;
}

function runOn(backend: string, made: OpCase, disposed: number, isMoved: boolean): Outcome {
  const other = backend === "cpu" ? "native" : "cpu";
  tf.engine().startScope();
  try {
    use(isMoved ? other : backend);
    const tensors = made.inputs.map(tensorOf);
    use(backend);
    if (disposed >= 0) tensors[disposed].dispose();
    return { results: [made.run(tensors)].flat().map((tensor) => ({ shape: tensor.shape, dtype: tensor.dtype, values: tensor.dataSync<"float32">().slice() })) };
  } catch (error) {
    return { error };
  } finally {
    tf.engine().endScope();
  }
}

/** Both backends are there already, so this takes effect at once. */
function use(backend: string): void {
  void tf.setBackend(backend);
}

function compare(actual: Outcome, expected: Outcome, made: OpCase): string | undefined {
  if (actual.error !== undefined && !(actual.error instanceof Error)) return `threw ${errorText(actual.error)}`;
  if (actual.error instanceof MoeLabError && actual.error.code === "E_NATIVE_ARGUMENT") return `a kernel called the addon wrongly: ${actual.error.message}`;
  // what cpu refuses, or makes a tensor of negative size of, may be refused or computed
  if (expected.error !== undefined || expected.results?.some(({ shape }) => shape.some((length) => length < 0))) return undefined;
  // native refuses every index outside its dimension, cpu only what lies outside the whole tensor
  if (actual.error instanceof MoeLabError && actual.error.code === "E_INDEX_OUTSIDE") return undefined;
  if (actual.error !== undefined) return `threw ${String(actual.error)}, where cpu computes`;
  const [got, wanted] = [actual.results ?? [], expected.results ?? []];
  if (got.length !== wanted.length) return `gave ${got.length} outputs, cpu ${wanted.length}`;
  for (const [i, { shape, dtype, values }] of got.entries()) {
    const other = wanted[i];
    if (shape.join() !== other.shape.join() || dtype !== other.dtype) return `gave ${dtype}[${shape.join()}], cpu ${other.dtype}[${other.shape.join()}]`;
    const at = firstDifference(values, other.values, made);
    if (at >= 0) return `value ${at} is ${values[at]}, on cpu ${other.values[at]}`;
  }
  return undefined;
}

function firstDifference(got: ArrayLike<number>, wanted: ArrayLike<number>, { relative = 1e-6, absolute = 1e-44 }: OpCase): number {
  if (got.length !== wanted.length) return Math.min(got.length, wanted.length);
  for (let i = 0; i < got.length; i += 1) {
    const [a, b] = [got[i], wanted[i]];
    const isSame = a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= absolute + relative * Math.abs(b);
    if (!isSame) return i;
  }
  return -1;
}
