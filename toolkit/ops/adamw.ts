import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { ConfigError } from "../errors.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** One weight with all that its update needs; the four tensors have one shape, float32. */
export interface AdamwParameter {
  readonly value: tf.Variable;
  readonly gradient: tf.Tensor;
  readonly firstMoment: tf.Variable;
  readonly secondMoment: tf.Variable;
  /** Decoupled decay: the weight loses learningRate · weightDecay of itself each step. */
  readonly weightDecay: number;
}

export interface AdamwSettings {
  readonly learningRate: number;
  /** Decay of the first moment, e.g. 0.9. */
  readonly beta1: number;
  /** Decay of the second moment, e.g. 0.95. */
  readonly beta2: number;
  readonly epsilon: number;
  /** Number of this update, from 1: bias correction divides by 1 − beta^step. */
  readonly step: number;
  /** Factor on every gradient, e.g. from clipByGlobalNorm. */
  readonly gradientScale: number;
}

/** L2 norm over all values of all tensors, accumulated in double.
 *  @param tensors any shapes, float32 */
export function globalNorm(tensors: readonly tf.Tensor[]): number {
  if (!hasNativeKernel("SumOfSquares")) return Math.sqrt(tensors.reduce((sum, tensor) => sum + composedSumOfSquares(tensor), 0));
  const attrs: SumOfSquaresAttrs = { tensors, sum: 0 };
  runKernel("SumOfSquares", {}, attrs);
  return Math.sqrt(attrs.sum);
}

function composedSumOfSquares(x: tf.Tensor): number {
  return x.dataSync<"float32">().reduce((sum, value) => sum + value * value, 0);
}

/** What adamwStep needs so that the gradients' global norm is at most maxNorm. Copies no gradient.
 *  @returns norm before clipping, and gradientScale = min(1, maxNorm / norm); NaN when the norm is
 *  Source: Pascanu et al. 2013, arXiv:1211.5063 */
export function clipByGlobalNorm(gradients: readonly tf.Tensor[], maxNorm: number): { norm: number; gradientScale: number } {
  const norm = globalNorm(gradients);
  return { norm, gradientScale: norm <= maxNorm ? 1 : maxNorm / norm };
}

/** One AdamW update of all parameters in place:
 *  m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p − lr·(weightDecay·p + m̂/(√v̂ + ε)), g the scaled gradient.
 *  @throws ShapeError, ConfigError E_ADAMW_STEP
 *  Source: Loshchilov and Hutter 2019, algorithm 2, arXiv:1711.05101 (schedule multiplier in learningRate) */
export function adamwStep(parameters: readonly AdamwParameter[], settings: AdamwSettings): void {
  if (!Number.isInteger(settings.step) || settings.step < 1) {
    throw new ConfigError({
      code: "E_ADAMW_STEP", what: `adamwStep got step ${settings.step}`, why: "bias correction divides by 1 − beta^step", fix: "count updates from 1",
    });
  }
  for (const { value, gradient, firstMoment, secondMoment } of parameters) {
    const letters = sameShapeLetters(value.rank);
    checkShapes("adamwStep", { value: [value, letters], gradient: [gradient, letters], firstMoment: [firstMoment, letters], secondMoment: [secondMoment, letters] });
  }
  if (hasNativeKernel("AdamwUpdate")) nativeUpdate(parameters, settings);
  else for (const parameter of parameters) composedUpdate(parameter, settings);
}

/** A letter for each dimension: checkShapes then asks for equal shapes. */
function sameShapeLetters(rank: number): string {
  return Array.from({ length: rank }, (_, axis) => `d${axis}`).join(" ");
}

/** The update of one parameter out of tfjs ops. */
function composedUpdate({ value, gradient, firstMoment, secondMoment, weightDecay }: AdamwParameter, settings: AdamwSettings): void {
  const { learningRate, beta1, beta2, epsilon, step, gradientScale } = settings;
  tf.tidy(() => {
    const scaled = tf.mul(gradient, gradientScale);
    const first = tf.add(tf.mul(firstMoment, beta1), tf.mul(scaled, 1 - beta1));
    const second = tf.add(tf.mul(secondMoment, beta2), tf.mul(tf.square(scaled), 1 - beta2));
    const direction = tf.div(tf.div(first, 1 - beta1 ** step), tf.add(tf.sqrt(tf.div(second, 1 - beta2 ** step)), epsilon));
    const update = tf.add(tf.mul(value, weightDecay), direction);
    value.assign(tf.sub(value, tf.mul(update, learningRate)));
    firstMoment.assign(first);
    secondMoment.assign(second);
  });
}

interface SumOfSquaresAttrs {
  readonly tensors: readonly tf.Tensor[];
  /** Filled by the kernel, which has no output: a tensor would round it to float32. */
  sum: number;
}

registerNativeKernel<SumOfSquaresAttrs>("SumOfSquares", ({ attrs, backend, native }) => {
  attrs.sum = native.sumOfSquares(attrs.tensors.map((tensor) => backend.floats(tensor)));
  return [];
});

interface AdamwUpdateAttrs extends AdamwSettings {
  readonly parameters: readonly AdamwParameter[];
  /** Filled by the kernel: the variables that are to hold its outputs, in their order. */
  readonly replaced: tf.Variable[];
}

/** One call for all parameters. Values that somebody else can see stay as they are: their variable gets new ones. */
function nativeUpdate(parameters: readonly AdamwParameter[], settings: AdamwSettings): void {
  const attrs: AdamwUpdateAttrs = { ...settings, parameters, replaced: [] };
  tf.tidy(() => {
    const outputs = runKernel<tf.Tensor[]>("AdamwUpdate", {}, attrs);
    attrs.replaced.forEach((variable, i) => { variable.assign(outputs[i]); });
  });
}

registerNativeKernel<AdamwUpdateAttrs>("AdamwUpdate", ({ attrs, backend, native }) => {
  const { parameters, replaced, learningRate, beta1, beta2, epsilon, step, gradientScale } = attrs;
  const copies: Float32Array[] = [];
  const changing = (variable: tf.Variable): Float32Array => {
    const values = backend.floats(variable);
    if (backend.isExclusive(variable)) return values;
    const copy = backend.allocate("float32", values.length);
    copy.set(values);
    copies.push(copy);
    replaced.push(variable);
    return copy;
  };
  native.adamwUpdate(gradientScale, beta1, beta2, 1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step), epsilon, learningRate,
    parameters.map(({ gradient }) => backend.floats(gradient)), parameters.map(({ value }) => changing(value)),
    parameters.map(({ firstMoment }) => changing(firstMoment)), parameters.map(({ secondMoment }) => changing(secondMoment)),
    Float32Array.from(parameters, ({ weightDecay }) => learningRate * weightDecay));
  return replaced.map(({ shape }, i) => backend.output(shape, "float32", copies[i]));
});
