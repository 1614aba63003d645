import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { oneHotRows } from "./oneHotRows.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkRange, checkShapes } from "./shapes.ts";

/** Mean negative log-likelihood of the targets in nats, over the tokens whose mask isn't 0:
 *  Σₙ maskₙ · (logsumexp(logitsₙ) − logitsₙ[targetₙ]) / Σₙ maskₙ. With nothing unmasked it is 0 and so is its gradient.
 *  The backward pass makes the probabilities again from logits and logsumexp instead of keeping them.
 *  @param logits [N, V] float32
 *  @param targets [N] int32, from 0 to V − 1 where the mask isn't 0; anything where it is
 *  @param lossMask [N] float32, weight of each token, usually 0 or 1; all 1 when left out
 *  @returns scalar float32; differentiable in logits
 *  @throws ShapeError, DataError E_INDEX_RANGE */
export function crossEntropy(logits: tf.Tensor, targets: tf.Tensor, lossMask?: tf.Tensor): tf.Scalar {
  const inputs = { logits: [logits, "N V"], targets: [targets, "N", "int32"] } as const;
  checkShapes("crossEntropy", lossMask ? { ...inputs, lossMask: [lossMask, "N"] } : inputs);
  if (!hasNativeKernel("MaskedCrossEntropy")) return composedCrossEntropy(logits, targets, lossMask);
  const attrs: CrossEntropyAttrs = { logSumExp: new Kept(), isMasked: lossMask !== undefined };
  return tf.tidy(() => runKernel<tf.Scalar>("MaskedCrossEntropy", { logits, targets, lossMask: lossMask ?? tf.ones([targets.shape[0]]) }, attrs));
}

/** crossEntropy out of tfjs ops, for backends without the kernel. */
function composedCrossEntropy(logits: tf.Tensor, targets: tf.Tensor, lossMask?: tf.Tensor): tf.Scalar {
  const [N, V] = logits.shape;
  const { weight, numTokens, target } = hostMask(targets.dataSync<"int32">(), lossMask?.dataSync<"float32">(), V);
  const loss = tf.customGrad((...args) => {
    const [scores, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const logSumExp = tf.logSumExp(scores, 1, true);
    save([scores, logSumExp]);
    const chosen = tf.sum(tf.mul(scores, oneHotRows(tf.tensor1d(target), V)), 1, true);
    const weights = tf.tensor2d(weight, [N, 1]);
    // where, not a product: a masked row may hold NaN or infinities.
    const nats = tf.where(tf.notEqual(weights, 0), tf.mul(tf.sub(logSumExp, chosen), weights), tf.zerosLike(weights));
    return {
      value: tf.div(tf.sum(nats), numTokens),
      gradFunc: (dy: tf.Tensor, [savedScores, savedLogSumExp]: tf.Tensor[]) => {
        const excess = tf.sub(tf.exp(tf.sub(savedScores, savedLogSumExp)), oneHotRows(tf.tensor1d(target), V));
        const rowScale = tf.mul(tf.tensor2d(weight, [N, 1]), tf.div(dy, numTokens));
        return tf.where(tf.tile(tf.notEqual(rowScale, 0), [1, V]), tf.mul(excess, rowScale), tf.zerosLike(excess));
      },
    };
  });
  return loss(logits) as tf.Scalar;
}

/** Mask and targets with the targets of masked tokens set to 0, so that every target can be looked up.
 *  @throws DataError E_INDEX_RANGE */
function hostMask(targets: Int32Array, mask: Float32Array | undefined, V: number): { weight: Float32Array; numTokens: number; target: Int32Array } {
  const weight = mask ?? new Float32Array(targets.length).fill(1);
  checkRange("crossEntropy", "targets", targets, V, (n) => weight[n] !== 0);
  const sum = weight.reduce((total, w) => total + w, 0);
  return { weight, numTokens: sum === 0 ? 1 : sum, target: targets.map((id, n) => (weight[n] === 0 ? 0 : id)) };
}

interface CrossEntropyAttrs {
  /** of each row of logits, [N] */
  readonly logSumExp: Kept;
  /** whether the mask is the caller's */
  readonly isMasked: boolean;
}

registerNativeKernel<CrossEntropyAttrs>("MaskedCrossEntropy", ({ inputs, attrs, backend, native }) => {
  const [N, V] = inputs.logits.shape;
  const [targets, mask] = [backend.ints(inputs.targets), backend.floats(inputs.lossMask)];
  const hostTargets = backend.hostValues(inputs.targets, "int32"), hostMask = backend.hostValues(inputs.lossMask, "float32");
  if (hostTargets && (hostMask || !attrs.isMasked)) checkRange("crossEntropy", "targets", hostTargets, V, hostMask && ((n) => hostMask[n] !== 0));
  const logSumExp = backend.allocate("float32", N);
  const nats = backend.allocate("float32", 1);
  native.crossEntropyForward(N, V, backend.floats(inputs.logits), targets, mask, logSumExp, nats);
  attrs.logSumExp.keep(backend, logSumExp);
  return backend.output([], "float32", nats);
});

registerNativeKernel<CrossEntropyAttrs>("MaskedCrossEntropyGradient", ({ inputs, attrs, backend, native }) => {
  const [N, V] = inputs.logits.shape;
  const [logits, targets, mask] = [backend.floats(inputs.logits), backend.ints(inputs.targets), backend.floats(inputs.lossMask)];
  let logSumExp = attrs.logSumExp.take();
  if (!logSumExp) {
    logSumExp = backend.allocate("float32", N);
    const nats = backend.allocate("float32", 1);
    native.crossEntropyForward(N, V, logits, targets, mask, logSumExp, nats);
    backend.release(nats);
  }
  const dLogits = backend.allocate("float32", N * V);
  native.crossEntropyBackward(N, V, backend.floats(inputs.dy), logits, targets, mask, logSumExp, dLogits);
  backend.release(logSumExp);
  return backend.output([N, V], "float32", dLogits);
});

tf.registerGradient({
  kernelName: "MaskedCrossEntropy",
  inputsToSave: ["logits", "targets", "lossMask"],
  gradFunc: (dy, [logits, targets, lossMask], attrs) => {
    return { logits: () => runKernel("MaskedCrossEntropyGradient", { logits, targets, lossMask, dy: dy as tf.Tensor }, attrs) };
  },
});
