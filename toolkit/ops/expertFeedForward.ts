import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import type { NativeBackend } from "../backend/storage.ts";
import { combine } from "./combine.ts";
import { dispatch, type DispatchPlan } from "./dispatch.ts";
import { groupedMatmul } from "./groupedMatmul.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkOffsets, checkShapes } from "./shapes.ts";

/** The experts of a layer, from tokens to tokens: y[n] = Σₖ weights[n, k] · down[e](silu(gate[e](x[n])) ∘ up[e](x[n])),
 *  e the expert of slot tokenSlot[n, k]. The work grows with K, not with E.
 *  @param x [N, C] float32
 *  @param weights combine weights [N, K] float32
 *  @param gateUp [E, C, 2H] float32: the first H columns are the gate, the last H the up projection
 *  @param down [E, H, C] float32
 *  @returns [N, C]; differentiable in x, weights, gateUp and down
 *  @throws ShapeError, DataError E_OFFSETS
 *  Source: SwiGLU: Shazeer 2020, arXiv:2002.05202; grouped form: Gale et al. 2022, arXiv:2211.15841 */
export function expertFeedForward(x: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan, gateUp: tf.Tensor, down: tf.Tensor): tf.Tensor2D {
  checkShapes("expertFeedForward", {
    x: [x, "N C"], weights: [weights, "N K"], down: [down, "E H C"], gateUp: [gateUp, "E C 2*H"],
    offsets: [plan.offsets, "E+1", "int32"], slotToken: [plan.slotToken, "S", "int32"], tokenSlot: [plan.tokenSlot, "N K", "int32"],
  });
  if (!hasNativeKernel("ExpertFeedForward")) return composedExpertFeedForward(x, weights, plan, gateUp, down);
  const attrs: ExpertFeedForwardAttrs = { activations: new Kept() };
  const { offsets, slotToken, tokenSlot } = plan;
  return runKernel<tf.Tensor2D>("ExpertFeedForward", { x, weights, gateUp, down, offsets, slotToken, tokenSlot }, attrs);
}

/** The same out of the single ops. */
function composedExpertFeedForward(x: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan, gateUp: tf.Tensor, down: tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => {
    const [gate, up] = tf.split(groupedMatmul(dispatch(x, plan), gateUp, plan.offsets), 2, 1);
    const hidden = tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
    return combine(groupedMatmul(hidden, down, plan.offsets), weights, plan);
  });
}

interface ExpertFeedForwardAttrs {
  /** gate and up projection of each slot before the activation, [S, 2H] */
  readonly activations: Kept;
}

type Sizes = [N: number, K: number, C: number, H: number, E: number, S: number];

function sizesOf({ weights, down, slotToken }: Record<string, tf.TensorInfo>): Sizes {
  const [N, K] = weights.shape;
  const [E, H, C] = down.shape;
  return [N, K, C, H, E, slotToken.shape[0]];
}

/** The arrays that forward and backward read first, in the order of the native functions. */
function arraysOf(backend: NativeBackend, inputs: Record<string, tf.TensorInfo>) {
  const { x, weights, gateUp, down, offsets, slotToken, tokenSlot } = inputs;
  return [
    backend.ints(offsets), backend.ints(slotToken), backend.ints(tokenSlot),
    backend.floats(x), backend.floats(weights), backend.floats(gateUp), backend.floats(down),
  ] as const;
}

registerNativeKernel<ExpertFeedForwardAttrs>("ExpertFeedForward", ({ inputs, attrs, backend, native }) => {
  const sizes = sizesOf(inputs);
  const [N, , C, H, , S] = sizes;
  checkOffsets("expertFeedForward", backend.ints(inputs.offsets), S);
  const activations = backend.allocate("float32", S * 2 * H);
  const y = backend.allocate("float32", N * C);
  native.expertFeedForward(...sizes, ...arraysOf(backend, inputs), activations, y);
  attrs.activations.keepActivation(backend, activations);
  return backend.activation([N, C], "float32", y);
});

registerNativeKernel<ExpertFeedForwardAttrs>("ExpertFeedForwardGradient", ({ inputs, attrs, backend, native }) => {
  const sizes = sizesOf(inputs);
  const [N, K, C, H, E, S] = sizes;
  const arrays = arraysOf(backend, inputs);
  const dx = backend.allocate("float32", N * C);
  const dWeights = backend.allocate("float32", N * K);
  const dGateUp = backend.allocate("float32", E * C * 2 * H);
  const dDown = backend.allocate("float32", E * H * C);
  let activations = attrs.activations.take();
  if (!activations) {
    activations = backend.allocate("float32", S * 2 * H);
    native.expertFeedForward(...sizes, ...arrays, activations, dx);
  }
  native.expertFeedForwardBackward(...sizes, ...arrays, backend.floats(inputs.dy), activations, dx, dWeights, dGateUp, dDown);
  backend.release(activations);
  return [
    backend.output([N, C], "float32", dx), backend.output([N, K], "float32", dWeights),
    backend.output([E, C, 2 * H], "float32", dGateUp), backend.output([E, H, C], "float32", dDown),
  ];
});

tf.registerGradient({
  kernelName: "ExpertFeedForward",
  inputsToSave: ["x", "weights", "gateUp", "down", "offsets", "slotToken", "tokenSlot"],
  gradFunc: (dy, [x, weights, gateUp, down, offsets, slotToken, tokenSlot], attrs) => {
    const inputs = { x, weights, gateUp, down, offsets, slotToken, tokenSlot, dy: dy as tf.Tensor };
    const [dx, dWeights, dGateUp, dDown] = runKernel<tf.Tensor[]>("ExpertFeedForwardGradient", inputs, attrs);
    return { x: () => dx, weights: () => dWeights, gateUp: () => dGateUp, down: () => dDown };
  },
});
