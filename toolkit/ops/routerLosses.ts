import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { oneHotRows } from "./oneHotRows.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Load-balancing loss of one layer without its weight α: E · Σᵢ fᵢ·Pᵢ, where fᵢ is the share of the assignments
 *  that went to expert i (no gradient) and Pᵢ the mean router probability of expert i. Perfect balance gives 1; without any
 *  assignment it is 0.
 *  @param ids chosen experts, [N, K] int32, from 0 to E − 1, or −1 for no choice
 *  @param probabilities [N, E] float32
 *  @param tokenMask [N] float32, 0 for padding tokens: they count neither in f nor in P
 *  @returns scalar float32; differentiable in probabilities
 *  @throws ShapeError
 *  Source: Fedus et al. 2021 (Switch), eq. 4–6, arXiv:2101.03961 */
export function balanceLoss(ids: tf.Tensor, probabilities: tf.Tensor, tokenMask?: tf.Tensor): tf.Scalar {
  const inputs = { probabilities: [probabilities, "N E"], ids: [ids, "N K", "int32"] } as const;
  checkShapes("balanceLoss", tokenMask ? { ...inputs, tokenMask: [tokenMask, "N"] } : inputs);
  if (!hasNativeKernel("BalanceLoss")) return composedBalanceLoss(ids, probabilities, tokenMask);
  const attrs: BalanceLossAttrs = { share: new Kept() };
  return tf.tidy(() => runKernel<tf.Scalar>("BalanceLoss", { ids, probabilities, tokenMask: tokenMask ?? tf.ones([ids.shape[0]]) }, attrs));
}

function composedBalanceLoss(ids: tf.Tensor, probabilities: tf.Tensor, tokenMask?: tf.Tensor): tf.Scalar {
  const [N, K] = ids.shape, [, E] = probabilities.shape;
  return tf.tidy(() => {
    const mask = tf.reshape(tokenMask ?? tf.ones([N]), [N, 1]);
    const numTokens = tf.sum(mask);
    const perToken = tf.sum(tf.reshape(oneHotRows(tf.reshape(ids, [N * K]), E), [N, K, E]), 1);
    const counts = tf.sum(tf.mul(perToken, mask), 0);
    // Where nothing counts both sums are 0, and so are their quotients and the gradient.
    const share = tf.div(counts, tf.maximum(tf.sum(counts), 1e-20));
    const meanProbability = tf.div(tf.sum(tf.mul(probabilities, mask), 0), tf.maximum(numTokens, 1e-20));
    return tf.mul(tf.sum(tf.mul(share, meanProbability)), E);
  });
}

/** Router z-loss of one layer without its weight: mean over tokens of logsumexp(logits)², in float32.
 *  @param logits [N, E] float32, E ≥ 1
 *  @param tokenMask as in balanceLoss
 *  @returns scalar float32; differentiable in logits
 *  @throws ShapeError
 *  Source: Zoph et al. 2022 (ST-MoE), eq. 5, arXiv:2202.08906 */
export function zLoss(logits: tf.Tensor, tokenMask?: tf.Tensor): tf.Scalar {
  const inputs = { logits: [logits, "N E"] } as const;
  checkShapes("zLoss", tokenMask ? { ...inputs, tokenMask: [tokenMask, "N"] } : inputs);
  if (!hasNativeKernel("ZLoss")) return composedZLoss(logits, tokenMask);
  return tf.tidy(() => runKernel<tf.Scalar>("ZLoss", { logits, tokenMask: tokenMask ?? tf.ones([logits.shape[0]]) }, {}));
}

function composedZLoss(logits: tf.Tensor, tokenMask?: tf.Tensor): tf.Scalar {
  return tf.tidy(() => {
    const squares = tf.square(tf.logSumExp(logits, 1));
    if (!tokenMask) return tf.mean(squares);
    return tf.div(tf.sum(tf.mul(squares, tokenMask)), tf.sum(tokenMask));
  });
}

interface BalanceLossAttrs {
  /** of the assignments, [E] */
  readonly share: Kept;
}

registerNativeKernel<BalanceLossAttrs>("BalanceLoss", ({ inputs, attrs, backend, native }) => {
  const { ids, probabilities } = inputs;
  const [N, K] = ids.shape, E = probabilities.shape[1];
  const share = backend.allocate("float32", E);
  const loss = backend.allocate("float32", 1);
  native.balanceLossForward(N, K, E, backend.ints(ids), backend.floats(probabilities), backend.floats(inputs.tokenMask), share, loss);
  attrs.share.keep(backend, share);
  return backend.output([], "float32", loss);
});

registerNativeKernel<BalanceLossAttrs>("BalanceLossGradient", ({ inputs, attrs, backend, native }) => {
  const { ids, probabilities, dy } = inputs;
  const [N, K] = ids.shape, E = probabilities.shape[1];
  const mask = backend.floats(inputs.tokenMask);
  let share = attrs.share.take();
  if (!share) {
    share = backend.allocate("float32", E);
    const loss = backend.allocate("float32", 1);
    native.balanceLossForward(N, K, E, backend.ints(ids), backend.floats(probabilities), mask, share, loss);
    backend.release(loss);
  }
  const dProbabilities = backend.allocate("float32", N * E);
  native.balanceLossBackward(N, E, backend.floats(dy), share, mask, dProbabilities);
  backend.release(share);
  return backend.output([N, E], "float32", dProbabilities);
});

registerNativeKernel("ZLoss", ({ inputs, backend, native }) => {
  const [N, E] = inputs.logits.shape;
  const loss = backend.allocate("float32", 1);
  native.zLossForward(N, E, backend.floats(inputs.logits), backend.floats(inputs.tokenMask), loss);
  return backend.output([], "float32", loss);
});

registerNativeKernel("ZLossGradient", ({ inputs, backend, native }) => {
  const [N, E] = inputs.logits.shape;
  const dLogits = backend.allocate("float32", N * E);
  native.zLossBackward(N, E, backend.floats(inputs.dy), backend.floats(inputs.logits), backend.floats(inputs.tokenMask), dLogits);
  return backend.output([N, E], "float32", dLogits);
});

tf.registerGradient({
  kernelName: "BalanceLoss",
  inputsToSave: ["ids", "probabilities", "tokenMask"],
  gradFunc: (dy, [ids, probabilities, tokenMask], attrs) => ({
    probabilities: () => runKernel("BalanceLossGradient", { ids, probabilities, tokenMask, dy: dy as tf.Tensor }, attrs),
  }),
});

tf.registerGradient({
  kernelName: "ZLoss",
  inputsToSave: ["logits", "tokenMask"],
  gradFunc: (dy, [logits, tokenMask]) => ({ logits: () => runKernel("ZLossGradient", { logits, tokenMask, dy: dy as tf.Tensor }, {}) }),
});
