import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { ShapeError } from "../errors.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Divides each row by its root mean square and scales each channel: y = x / √(mean(x²) + epsilon) · gain.
 *  @param x [..., C] float32
 *  @param gain [C] float32
 *  @returns same shape as x; differentiable in x and gain
 *  @throws ShapeError
 *  Source: Zhang and Sennrich 2019, eq. 4, arXiv:1910.07467; epsilon inside the root as in LLaMA */
export function rmsNorm<R extends tf.Rank>(x: tf.Tensor<R>, gain: tf.Tensor, epsilon = 1e-5): tf.Tensor<R> {
  checkShapes("rmsNorm", { x: [x, "... C"], gain: [gain, "C"] });
  if (!hasNativeKernel("RmsNorm")) return composedRmsNorm(x, gain, epsilon);
  const attrs: RmsNormAttrs = { epsilon, scale: new Kept() };
  return runKernel<tf.Tensor<R>>("RmsNorm", { x, gain }, attrs);
}

/** A residual connection and the norm behind it, in one pass over memory: sum = x + added, y = rmsNorm(sum, gain).
 *  @param x [..., C] float32 @param added as x
 *  @param gain [C] float32
 *  @returns sum and y, shaped as x; differentiable in x, added and gain
 *  @throws ShapeError */
export function addRmsNorm<R extends tf.Rank>(x: tf.Tensor<R>, added: tf.Tensor<R>, gain: tf.Tensor, epsilon = 1e-5): { sum: tf.Tensor<R>; y: tf.Tensor<R> } {
  checkShapes("addRmsNorm", { x: [x, "... C"], added: [added, "... C"], gain: [gain, "C"] });
  if (!tf.util.arraysEqual(x.shape, added.shape)) {
    throw new ShapeError({
      code: "E_SHAPE_SIZE", what: `addRmsNorm got x [${x.shape.join(", ")}] and added [${added.shape.join(", ")}]`,
      why: "they are added element by element", fix: "pass two tensors of one shape",
    });
  }
  if (!hasNativeKernel("AddRmsNorm")) {
    const sum = tf.add<tf.Tensor<R>>(x, added);
    return { sum, y: composedRmsNorm(sum, gain, epsilon) };
  }
  const attrs: RmsNormAttrs = { epsilon, scale: new Kept() };
  const [sum, y] = runKernel<tf.Tensor<R>[]>("AddRmsNorm", { x, added, gain }, attrs);
  return { sum, y };
}

/** rmsNorm out of tfjs ops, for backends without the kernel. */
function composedRmsNorm<R extends tf.Rank>(x: tf.Tensor<R>, gain: tf.Tensor, epsilon: number): tf.Tensor<R> {
  return tf.tidy(() => {
    const meanSquare = tf.mean(tf.square(x), -1, true);
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), gain);
  });
}

interface RmsNormAttrs {
  readonly epsilon: number;
  /** 1 / √(mean(x²) + epsilon) of each row, [rows] */
  readonly scale: Kept;
}

registerNativeKernel<RmsNormAttrs>("RmsNorm", ({ inputs: { x, gain }, attrs, backend, native }) => {
  const [C] = gain.shape;
  const rows = C === 0 ? 0 : backend.floats(x).length / C;
  const y = backend.allocate("float32", rows * C);
  const scale = backend.allocate("float32", rows);
  native.rmsNormForward(rows, C, attrs.epsilon, backend.floats(x), backend.floats(gain), y, scale);
  attrs.scale.keep(backend, scale);
  return backend.activation(x.shape, "float32", y);
});

registerNativeKernel<RmsNormAttrs>("AddRmsNorm", ({ inputs: { x, added, gain }, attrs, backend, native }) => {
  const [C] = gain.shape;
  const rows = C === 0 ? 0 : backend.floats(x).length / C;
  const [sum, y] = [backend.allocate("float32", rows * C), backend.allocate("float32", rows * C)];
  const scale = backend.allocate("float32", rows);
  native.addRmsNormForward(rows, C, attrs.epsilon, backend.floats(x), backend.floats(added), backend.floats(gain), sum, y, scale);
  attrs.scale.keep(backend, scale);
  return [backend.activation(x.shape, "float32", sum), backend.activation(x.shape, "float32", y)];
});

/** Of both ops; dSum is the gradient that reaches the sum on other ways. */
registerNativeKernel<RmsNormAttrs, Record<string, tf.TensorInfo> & { dSum?: tf.TensorInfo }>("RmsNormGradient", ({ inputs, attrs, backend, native }) => {
  const { x, gain, dy, dSum } = inputs;
  const [C] = gain.shape;
  const rows = C === 0 ? 0 : backend.floats(x).length / C;
  const dx = backend.allocate("float32", rows * C);
  const dGain = backend.allocate("float32", C);
  let scale = attrs.scale.take();
  if (!scale) {
    scale = backend.allocate("float32", rows);
    native.rmsNormForward(rows, C, attrs.epsilon, backend.floats(x), backend.floats(gain), dx, scale);
  }
  native.rmsNormBackward(rows, C, backend.floats(x), backend.floats(gain), scale, backend.floats(dy), dSum ? backend.floats(dSum) : null, dx, dGain);
  backend.release(scale);
  return [backend.output(x.shape, "float32", dx), backend.output([C], "float32", dGain)];
});

tf.registerGradient({
  kernelName: "RmsNorm",
  inputsToSave: ["x", "gain"],
  gradFunc: (dy, [x, gain], attrs) => {
    const [dx, dGain] = runKernel<tf.Tensor[]>("RmsNormGradient", { x, gain, dy: dy as tf.Tensor }, attrs);
    return { x: () => dx, gain: () => dGain };
  },
});

tf.registerGradient({
  kernelName: "AddRmsNorm",
  inputsToSave: ["gain"],
  outputsToSave: [true, false],
  gradFunc: (dy, [gain, sum], attrs) => {
    const [dSum, dNormed] = dy as tf.Tensor[];
    const [dx, dGain] = runKernel<tf.Tensor[]>("RmsNormGradient", { x: sum, gain, dy: dNormed, dSum }, attrs);
    return { x: () => dx, added: () => tf.clone(dx), gain: () => dGain };
  },
});
