import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Gives each row mean 0 and variance 1, then scales and shifts each channel:
 *  y = (x − mean(x)) / √(variance(x) + epsilon) · gain + bias, the variance with divisor C.
 *  @param x [..., C] float32
 *  @param gain [C] float32
 *  @param bias [C] float32
 *  @returns same shape as x; differentiable in x, gain and bias
 *  @throws ShapeError
 *  Source: Ba, Kiros and Hinton 2016, eq. 4, arXiv:1607.06450; epsilon inside the root as in GPT-2 */
export function layerNorm<R extends tf.Rank>(x: tf.Tensor<R>, gain: tf.Tensor, bias: tf.Tensor, epsilon = 1e-5): tf.Tensor<R> {
  checkShapes("layerNorm", { x: [x, "... C"], gain: [gain, "C"], bias: [bias, "C"] });
  if (!hasNativeKernel("LayerNorm")) return composedLayerNorm(x, gain, bias, epsilon);
  const attrs: LayerNormAttrs = { epsilon, mean: new Kept(), scale: new Kept() };
  return runKernel<tf.Tensor<R>>("LayerNorm", { x, gain, bias }, attrs);
}

/** layerNorm out of tfjs ops, for backends without the kernel. */
function composedLayerNorm<R extends tf.Rank>(x: tf.Tensor<R>, gain: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor<R> {
  return tf.tidy(() => {
    const distance = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(distance), -1, true);
    return tf.add(tf.mul(tf.mul(distance, tf.rsqrt(tf.add(variance, epsilon))), gain), bias);
  });
}

interface LayerNormAttrs {
  readonly epsilon: number;
  /** mean(x) of each row, [rows] */
  readonly mean: Kept;
  /** 1 / √(variance(x) + epsilon) of each row, [rows] */
  readonly scale: Kept;
}

registerNativeKernel<LayerNormAttrs>("LayerNorm", ({ inputs: { x, gain, bias }, attrs, backend, native }) => {
  const [C] = gain.shape;
  const rows = C === 0 ? 0 : backend.floats(x).length / C;
  const y = backend.allocate("float32", rows * C);
  const mean = backend.allocate("float32", rows);
  const scale = backend.allocate("float32", rows);
  native.layerNormForward(rows, C, attrs.epsilon, backend.floats(x), backend.floats(gain), backend.floats(bias), y, mean, scale);
  attrs.mean.keep(backend, mean);
  attrs.scale.keep(backend, scale);
  return backend.activation(x.shape, "float32", y);
});

registerNativeKernel<LayerNormAttrs>("LayerNormGradient", ({ inputs: { x, gain, dy }, attrs, backend, native }) => {
  const [C] = gain.shape;
  const rows = C === 0 ? 0 : backend.floats(x).length / C;
  const dx = backend.allocate("float32", rows * C);
  const dGain = backend.allocate("float32", C);
  const dBias = backend.allocate("float32", C);
  let [mean, scale] = [attrs.mean.take(), attrs.scale.take()];
  if (!mean || !scale) {
    mean = backend.allocate("float32", rows);
    scale = backend.allocate("float32", rows);
    // Both don't depend on the bias: any C values do for it.
    native.layerNormForward(rows, C, attrs.epsilon, backend.floats(x), backend.floats(gain), backend.floats(gain), dx, mean, scale);
  }
  native.layerNormBackward(rows, C, backend.floats(x), backend.floats(gain), mean, scale, backend.floats(dy), dx, dGain, dBias);
  backend.release(mean);
  backend.release(scale);
  return [backend.output(x.shape, "float32", dx), backend.output([C], "float32", dGain), backend.output([C], "float32", dBias)];
});

tf.registerGradient({
  kernelName: "LayerNorm",
  inputsToSave: ["x", "gain"],
  gradFunc: (dy, [x, gain], attrs) => {
    const [dx, dGain, dBias] = runKernel<tf.Tensor[]>("LayerNormGradient", { x, gain, dy: dy as tf.Tensor }, attrs);
    return { x: () => dx, gain: () => dGain, bias: () => dBias };
  },
});
