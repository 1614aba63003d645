import * as tf from "@tensorflow/tfjs-core";
import type { KernelStorage } from "../backend/kernelStorage.ts";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { combine } from "./combine.ts";
import { dispatch, type DispatchPlan } from "./dispatch.ts";
import { activate, feedForwardKinds, isGated, type FeedForwardKind } from "./feedForwardKinds.ts";
import { groupedMatmul } from "./groupedMatmul.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkOffsets, checkShapes } from "./shapes.ts";

/** The experts of a layer, from tokens to tokens: y[n] = Σₖ weights[n, k] · down[e](f(gate[e](x[n])) ∘ up[e](x[n])), or without a
 *  gate down[e](f(up[e](x[n]))), e the expert of slot tokenSlot[n, k]. The work grows with K, not with E.
 *  @param x [N, C] float32
 *  @param weights combine weights [N, K] float32
 *  @param first of a gated kind [E, C, 2H] float32: the first H columns are the gate, the last H the up projection; else [E, C, H]
 *  @param down [E, H, C] float32
 *  @param kind decides f and whether there is a gate
 *  @returns [N, C]; differentiable in x, weights, first and down
 *  @throws ShapeError, DataError E_OFFSETS
 *  Source: SwiGLU: Shazeer 2020, arXiv:2002.05202; grouped form: Gale et al. 2022, arXiv:2211.15841 */
export function expertFeedForward(x: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan, first: tf.Tensor, down: tf.Tensor, kind: FeedForwardKind = "swiglu"): tf.Tensor2D {
  const { offsets, slotToken, tokenSlot } = plan;
  checkShapes("expertFeedForward", {
    x: [x, "N C"], weights: [weights, "N K"], down: [down, "E H C"], first: [first, isGated(kind) ? "E C 2*H" : "E C H"],
    offsets: [offsets, "E+1", "int32"], slotToken: [slotToken, "S", "int32"], tokenSlot: [tokenSlot, "N K", "int32"],
  });
  if (!hasNativeKernel("ExpertFeedForward")) return composedExpertFeedForward(x, weights, plan, first, down, kind);
  const attrs: ExpertFeedForwardAttrs = { kind, activations: new Kept() };
  return runKernel<tf.Tensor2D>("ExpertFeedForward", { x, weights, first, down, offsets, slotToken, tokenSlot }, attrs);
}

/** The same out of the single ops. */
function composedExpertFeedForward(x: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan, first: tf.Tensor, down: tf.Tensor, kind: FeedForwardKind): tf.Tensor2D {
  return tf.tidy(() => {
    const hidden = activate(kind, groupedMatmul(dispatch(x, plan), first, plan.offsets));
    return combine(groupedMatmul(hidden, down, plan.offsets), weights, plan);
  });
}

interface ExpertFeedForwardAttrs {
  readonly kind: FeedForwardKind;
  /** the first product of each slot, before the activation, [S, 2H] or [S, H] */
  readonly activations: Kept;
}

function sizesOf({ weights, first, down, slotToken }: Record<string, tf.TensorInfo>) {
  const [N, K] = weights.shape;
  const [E, H, C] = down.shape;
  return { N, K, C, H, E, S: slotToken.shape[0], columns: first.shape[2] };
}

/** What the native functions take first. */
function leadingNumbers({ kind }: ExpertFeedForwardAttrs, { N, K, C, H, E, S }: ReturnType<typeof sizesOf>) {
  return [feedForwardKinds.indexOf(kind), N, K, C, H, E, S] as const;
}

/** The arrays that forward and backward read first, in the order of the native functions. */
function arraysOf(backend: KernelStorage, inputs: Record<string, tf.TensorInfo>) {
  const { x, weights, first, down, offsets, slotToken, tokenSlot } = inputs;
  return [
    backend.ints(offsets), backend.ints(slotToken), backend.ints(tokenSlot),
    backend.floats(x), backend.floats(weights), backend.floats(first), backend.floats(down),
  ] as const;
}

registerNativeKernel<ExpertFeedForwardAttrs>("ExpertFeedForward", ({ inputs, attrs, backend, native }) => {
  const sizes = sizesOf(inputs), { N, C, S, columns } = sizes;
  const offsets = backend.hostValues(inputs.offsets, "int32");
  if (offsets) checkOffsets("expertFeedForward", offsets, S);
  const activations = backend.allocate("float32", S * columns);
  const y = backend.allocate("float32", N * C);
  native.expertFeedForward(...leadingNumbers(attrs, sizes), ...arraysOf(backend, inputs), activations, y);
  attrs.activations.keepActivation(backend, activations);
  return backend.activation([N, C], "float32", y);
});

registerNativeKernel<ExpertFeedForwardAttrs>("ExpertFeedForwardGradient", ({ inputs, attrs, backend, native }) => {
  const sizes = sizesOf(inputs), { N, K, C, H, E, S, columns } = sizes;
  const arrays = arraysOf(backend, inputs);
  const dx = backend.allocate("float32", N * C);
  const dWeights = backend.allocate("float32", N * K);
  const dFirst = backend.allocate("float32", E * C * columns);
  const dDown = backend.allocate("float32", E * H * C);
  let activations = attrs.activations.take();
  if (!activations) {
    activations = backend.allocate("float32", S * columns);
    native.expertFeedForward(...leadingNumbers(attrs, sizes), ...arrays, activations, dx);
  }
  native.expertFeedForwardBackward(...leadingNumbers(attrs, sizes), ...arrays, backend.floats(inputs.dy), activations, dx, dWeights, dFirst, dDown);
  backend.release(activations);
  return [
    backend.output([N, C], "float32", dx), backend.output([N, K], "float32", dWeights),
    backend.output([E, C, columns], "float32", dFirst), backend.output([E, H, C], "float32", dDown),
  ];
});

tf.registerGradient({
  kernelName: "ExpertFeedForward",
  inputsToSave: ["x", "weights", "first", "down", "offsets", "slotToken", "tokenSlot"],
  gradFunc: (dy, [x, weights, first, down, offsets, slotToken, tokenSlot], attrs) => {
    const inputs = { x, weights, first, down, offsets, slotToken, tokenSlot, dy: dy as tf.Tensor };
    const [dx, dWeights, dFirst, dDown] = runKernel<tf.Tensor[]>("ExpertFeedForwardGradient", inputs, attrs);
    return { x: () => dx, weights: () => dWeights, first: () => dFirst, down: () => dDown };
  },
});
