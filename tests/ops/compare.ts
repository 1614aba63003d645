import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import type { OpDescription, OpSample } from "../../toolkit/ops/opSample.ts";
import { definitions, type Operands } from "./definitions.ts";

/** Inputs of a sample as the definitions take them. */
export function operands(sample: OpSample): Operands {
  return Object.fromEntries(Object.entries(sample.inputs).map(([name, { shape, values }]) => [name, { shape, values: Float64Array.from(values) }]));
}

/** Inputs of a sample as tensors of the current backend. */
export function tensors(sample: OpSample): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(sample.inputs).map(([name, { shape, dtype, values }]) => [name, tf.tensor(values.slice(), [...shape], dtype)]));
}

/** Largest distance between two arrays, over `absolute + relative · largest magnitude wanted`: at most 1 is right.
 *  NaN anywhere gives infinity. */
export function excess(got: ArrayLike<number>, wanted: ArrayLike<number>, bound: { absolute: number; relative: number }): number {
  expect(got.length).toBe(wanted.length);
  let [distance, magnitude] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const d = Math.abs(got[i] - wanted[i]);
    if (Number.isNaN(d)) return Infinity;
    distance = Math.max(distance, d);
    magnitude = Math.max(magnitude, Math.abs(wanted[i]));
  }
  if (distance === 0) return 0;
  return distance / (bound.absolute + bound.relative * magnitude);
}

/** Fixed factors that make one number out of outputs: Σ cotangent · output. */
export function cotangent(length: number, output: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(1 + i * 1.7 + output * 0.9));
}

/** Gradients of Σ cotangent · output by the op's own backward pass. */
export function opGradients(op: OpDescription, sample: OpSample): Record<string, Float32Array> {
  return tf.tidy(() => {
    const inputs = tensors(sample);
    const gradients = tf.grads((...xs: tf.Tensor[]) => {
      const outputs = op.run({ ...inputs, ...Object.fromEntries(op.differentiable.map((name, i) => [name, xs[i]])) }, sample.settings);
      const terms = op.differentiableOutputs.map((o) => tf.sum(tf.mul(outputs[o], tf.tensor(cotangent(outputs[o].size, o), outputs[o].shape))));
      return tf.addN(terms);
    })(op.differentiable.map((name) => inputs[name]));
    return Object.fromEntries(op.differentiable.map((name, i) => [name, gradients[i].dataSync<"float32">().slice()]));
  });
}

/** Step of the central differences; in double the error is about step² + 1e-16 / step, far below any float32 bound. */
const step = 1e-5;

/** The same gradients from the definition, by central differences in double. */
export function definitionGradients(op: OpDescription, sample: OpSample): Record<string, Float64Array> {
  const inputs = operands(sample);
  const total = (): number => {
    const outputs = definitions[op.name](inputs, sample.settings);
    return op.differentiableOutputs.reduce((sum, o) => {
      const factors = cotangent(outputs[o].length, o);
      return sum + outputs[o].reduce((part, value, i) => part + value * factors[i], 0);
    }, 0);
  };
  return Object.fromEntries(op.differentiable.map((name) => {
    const { values } = inputs[name];
    const gradient = values.map((value, i) => {
      values[i] = value + step;
      const above = total();
      values[i] = value - step;
      const below = total();
      values[i] = value;
      return (above - below) / (2 * step);
    });
    return [name, gradient];
  }));
}
