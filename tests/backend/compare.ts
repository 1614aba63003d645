import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { RandomSource } from "../../toolkit/random.ts";

/** A tensor to make on each backend. */
export interface Sample {
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
  readonly values: Float32Array | Int32Array | Uint8Array;
}

export interface Result {
  readonly shape: number[];
  readonly dtype: string;
  readonly values: number[];
}

/** Numbers that break careless code. */
export const specialValues = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-40, 3.4e38, -3.4e38, 1, -1, 89, -104];

const random = new RandomSource(20240607);
export const uniform = (): number => random.next();

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Values between low and high; with `specials`, every fifth or so is one of specialValues. */
export function floats(shape: number[], { low = -3, high = 3, specials = false } = {}): Sample {
  const values = Float32Array.from({ length: sizeOf(shape) }, () =>
    specials && uniform() < 0.2 ? specialValues[Math.floor(uniform() * specialValues.length)] : low + (high - low) * uniform());
  return { shape, dtype: "float32", values };
}

export function ints(shape: number[], low: number, high: number): Sample {
  return { shape, dtype: "int32", values: Int32Array.from({ length: sizeOf(shape) }, () => low + Math.floor(uniform() * (high - low))) };
}

export function bools(shape: number[]): Sample {
  return { shape, dtype: "bool", values: Uint8Array.from({ length: sizeOf(shape) }, () => (uniform() < 0.5 ? 0 : 1)) };
}

/** Runs a tfjs kernel on one backend; inputs by name, or in a list for kernels such as Concat. */
export async function runOn(backend: string, kernel: string, inputs: Record<string, Sample> | Sample[], attrs: object = {}): Promise<Result[]> {
  await chooseBackend(backend);
  return tf.tidy(() => {
    const make = ({ shape, dtype, values }: Sample): tf.Tensor => tf.tensor(values.slice(), shape, dtype);
    const tensors = Array.isArray(inputs) ? inputs.map(make) : Object.fromEntries(Object.entries(inputs).map(([name, sample]) => [name, make(sample)]));
    const out: tf.Tensor | tf.Tensor[] = tf.engine().runKernel(kernel, tensors as unknown as tf.NamedTensorMap, attrs as tf.NamedAttrMap);
    return [out].flat().map((tensor) => ({ shape: tensor.shape, dtype: tensor.dtype, values: Array.from(tensor.dataSync()) }));
  });
}

export interface Tolerance {
  /** allowed difference as a part of the expected value */
  readonly relative?: number;
  /** allowed difference whatever the value */
  readonly absolute?: number;
}

/** Values agree when both are NaN, both the same infinity, or close. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, { relative = 1e-6, absolute = 1e-44 }: Tolerance = {}): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i += 1) {
    const [a, e] = [actual[i], expected[i]];
    const isClose = Object.is(a, e) || a === e || (Number.isNaN(a) && Number.isNaN(e)) || Math.abs(a - e) <= absolute + relative * Math.abs(e);
    if (!isClose) expect.fail(`value ${i} is ${a}, expected ${e}`);
  }
}

/** The native kernel gives what tfjs's cpu kernel gives. */
export async function expectSameAsCpu(kernel: string, inputs: Record<string, Sample> | Sample[], attrs: object = {}, tolerance: Tolerance = {}): Promise<void> {
  const expected = await runOn("cpu", kernel, inputs, attrs);
  const actual = await runOn("native", kernel, inputs, attrs);
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(expected.map(({ shape, dtype }) => ({ shape, dtype })));
  actual.forEach(({ values }, i) => expectClose(values, expected[i].values, tolerance));
}
