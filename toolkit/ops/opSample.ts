import type * as tf from "@tensorflow/tfjs-core";

/** One input of a sample call, on the host. */
export interface SampleInput {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  readonly values: Float32Array | Int32Array;
}

/** One call of an op with all that it needs. */
export interface OpSample {
  /** What is special about it, e.g. "one token". */
  readonly label: string;
  readonly inputs: Readonly<Record<string, SampleInput>>;
  readonly settings: Readonly<Record<string, number | boolean | string>>;
}

/** One op as tests and benchmarks see it. */
export interface OpDescription {
  readonly name: string;
  /** Small calls: every edge of the op. */
  readonly samples: readonly OpSample[];
  /** A call large enough that a native kernel uses blocks, panels and threads. */
  readonly largeSample: OpSample;
  /** Calls the op; several outputs where it has several. */
  readonly run: (inputs: Readonly<Record<string, tf.Tensor>>, settings: Readonly<Record<string, number | boolean | string>>) => tf.Tensor[];
  /** Inputs that have a gradient. */
  readonly differentiable: readonly string[];
  /** Outputs that carry a gradient, by index. */
  readonly differentiableOutputs: readonly number[];
  readonly errorBound: ErrorBound;
  /** Floating point operations of one forward call, one multiply-add counted as 2. */
  readonly flops: (sample: OpSample) => number;
}

/** |result − definition| ≤ absolute + relative · (largest magnitude of that result), for outputs and for gradients. */
export interface ErrorBound {
  readonly forward: { readonly absolute: number; readonly relative: number };
  readonly gradient: { readonly absolute: number; readonly relative: number };
  /** Why it is as it is. */
  readonly reason: string;
}

/** Float32 inputs from −scale to scale, even, different for each seed and the same on every run. */
export function floats(shape: readonly number[], seed: number, scale = 1): SampleInput {
  const next = uniform(seed);
  return { shape, dtype: "float32", values: Float32Array.from({ length: sizeOf(shape) }, () => (2 * next() - 1) * scale) };
}

/** Int32 inputs from 0 to below − 1. */
export function integers(shape: readonly number[], seed: number, below: number): SampleInput {
  const next = uniform(seed);
  return { shape, dtype: "int32", values: Int32Array.from({ length: sizeOf(shape) }, () => Math.floor(next() * below)) };
}

/** Chosen experts: K different ones a token, out of the given ones only, [N, K]. */
export function choices(N: number, K: number, experts: readonly number[], seed: number): SampleInput {
  const next = uniform(seed);
  const values = new Int32Array(N * K);
  for (let n = 0; n < N; n++) {
    const left = [...experts];
    for (let k = 0; k < K; k++) values[n * K + k] = left.splice(Math.floor(next() * left.length), 1)[0];
  }
  return { shape: [N, K], dtype: "int32", values };
}

/** Given int32 values. */
export function exactly(shape: readonly number[], values: readonly number[]): SampleInput {
  return { shape, dtype: "int32", values: Int32Array.from(values) };
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Numbers from 0 to 1. Source: mulberry32, T. Ettinger, public domain. */
function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
