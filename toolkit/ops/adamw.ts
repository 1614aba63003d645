import * as tf from "@tensorflow/tfjs-core";
import type { Floats } from "../backend/arrays.ts";
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
  /** Factor on every gradient, e.g. from clipByGlobalNorm. Where it is NaN or infinite, nothing is updated. */
  readonly gradientScale: number | tf.Scalar;
}

/** L2 norm over all values of all tensors, added in double.
 *  @param tensors any shapes, float32 */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => clipByGlobalNorm(tensors, Infinity).norm);
}

/** What adamwStep needs so that the gradients' global norm is at most maxNorm. Copies no gradient, and waits for no device.
 *  @returns norm before clipping, and gradientScale = min(1, maxNorm / norm); NaN where the norm is NaN or infinite
 *  Source: Pascanu et al. 2013, arXiv:1211.5063 */
export function clipByGlobalNorm(gradients: readonly tf.Tensor[], maxNorm: number): { norm: tf.Scalar; gradientScale: tf.Scalar } {
  if (!hasNativeKernel("GlobalNorm")) return composedClip(gradients, maxNorm);
  const attrs: GlobalNormAttrs = { tensors: gradients, maxNorm };
  const [norm, gradientScale] = runKernel<tf.Scalar[]>("GlobalNorm", {}, attrs);
  return { norm, gradientScale };
}

/** clipByGlobalNorm on the host, because tfjs has no sums in double. */
function composedClip(gradients: readonly tf.Tensor[], maxNorm: number): { norm: tf.Scalar; gradientScale: tf.Scalar } {
  const squares = (x: tf.Tensor): number => x.dataSync<"float32">().reduce((sum, value) => sum + value * value, 0);
  const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + squares(gradient), 0));
  const scale = norm <= maxNorm ? 1 : maxNorm / norm;
  return { norm: tf.scalar(norm), gradientScale: tf.scalar(Number.isFinite(Math.fround(norm)) ? scale : Number.NaN) };
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
  if (hasNativeKernel("AdamwUpdate")) { nativeUpdate(parameters, settings); return; }
  const { gradientScale } = settings;
  const scale = typeof gradientScale === "number" ? gradientScale : gradientScale.dataSync<"float32">()[0];
  if (Number.isFinite(scale)) for (const parameter of parameters) composedUpdate(parameter, settings);
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

interface GlobalNormAttrs {
  /** Not inputs of the kernel: no gradient goes through a norm that steers an update. */
  readonly tensors: readonly tf.Tensor[];
  readonly maxNorm: number;
}

registerNativeKernel<GlobalNormAttrs>("GlobalNorm", ({ attrs: { tensors, maxNorm }, backend, native }) => {
  const [norm, gradientScale] = [backend.allocate("float32", 1), backend.allocate("float32", 1)];
  native.globalNorm(maxNorm, tensors.map((tensor) => backend.floats(tensor)), norm, gradientScale);
  return [backend.output([], "float32", norm), backend.output([], "float32", gradientScale)];
});

interface AdamwUpdateAttrs extends AdamwSettings {
  readonly gradientScale: tf.Scalar;
  readonly parameters: readonly AdamwParameter[];
  /** Filled by the kernel: the variables that are to hold its outputs, in their order. */
  readonly replaced: tf.Variable[];
}

/** One call for all parameters. Values that somebody else can see stay as they are: their variable gets new ones. */
function nativeUpdate(parameters: readonly AdamwParameter[], settings: AdamwSettings): void {
  tf.tidy(() => {
    const { gradientScale } = settings;
    const attrs: AdamwUpdateAttrs = { ...settings, gradientScale: typeof gradientScale === "number" ? tf.scalar(gradientScale) : gradientScale, parameters, replaced: [] };
    const outputs = runKernel<tf.Tensor[]>("AdamwUpdate", {}, attrs);
    attrs.replaced.forEach((variable, i) => { variable.assign(outputs[i]); });
  });
}

registerNativeKernel<AdamwUpdateAttrs>("AdamwUpdate", ({ attrs, backend, native }) => {
  const { parameters, replaced, learningRate, beta1, beta2, epsilon, step, gradientScale } = attrs;
  const copies: Floats[] = [];
  const changing = (variable: tf.Variable): Floats => {
    const own = backend.writable(variable);
    if (own) return own;
    const copy = backend.copyOf("float32", backend.floats(variable));
    copies.push(copy);
    replaced.push(variable);
    return copy;
  };
  native.adamwUpdate(beta1, beta2, 1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step), epsilon, learningRate,
    parameters.map(({ gradient }) => backend.floats(gradient)), parameters.map(({ value }) => changing(value)),
    parameters.map(({ firstMoment }) => changing(firstMoment)), parameters.map(({ secondMoment }) => changing(secondMoment)),
    Float32Array.from(parameters, ({ weightDecay }) => learningRate * weightDecay), backend.floats(gradientScale));
  return replaced.map(({ shape }, i) => backend.output(shape, "float32", copies[i]));
});
