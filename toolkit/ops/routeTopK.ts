import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { RoutingError } from "../errors.ts";
import { bestOfRows } from "./bestOfRows.ts";
import { oneHotRows } from "./oneHotRows.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

export interface RouteTopKSettings {
  /** K, 1 ≤ K ≤ E */
  readonly expertsPerToken: number;
  /** Make the K weights of a token sum to 1. */
  readonly renormalize: boolean;
}

export interface TopKRoute {
  /** Chosen experts, best first, [N, K] int32; no gradient goes through it. */
  readonly ids: tf.Tensor2D;
  /** Combine weights, [N, K] float32, differentiable in the logits. */
  readonly weights: tf.Tensor2D;
  /** softmax(logits) over E, [N, E] float32, differentiable in the logits. */
  readonly probabilities: tf.Tensor2D;
}

/** Sends each token to its K best experts. Ties go to the lower expert id; NaN counts as the lowest score.
 *  @param logits router scores, [N, E] float32
 *  @throws ShapeError, RoutingError E_TOPK_RANGE
 *  Source: Shazeer et al. 2017, eq. 3–5, arXiv:1701.06538 (without the noise term) */
export function routeTopK(logits: tf.Tensor, settings: RouteTopKSettings): TopKRoute {
  const { E } = checkShapes("routeTopK", { logits: [logits, "N E"] });
  const K = settings.expertsPerToken;
  if (!Number.isInteger(K) || K < 1 || K > E) {
    throw new RoutingError({
      code: "E_TOPK_RANGE", what: `routeTopK got expertsPerToken ${K} with ${E} experts`,
      why: "a token goes to at least one expert and to no expert twice", fix: `set expertsPerToken to a whole number from 1 to ${E}`,
    });
  }
  if (!hasNativeKernel("RouteTopK")) return composedRouteTopK(logits, settings);
  const attrs: RouteTopKAttrs = { ...settings, ids: new Int32Array(logits.shape[0] * K) };
  const [weights, probabilities] = runKernel<[tf.Tensor2D, tf.Tensor2D]>("RouteTopK", { logits }, attrs);
  return { ids: tf.tensor2d(attrs.ids, [logits.shape[0], K], "int32"), weights, probabilities };
}

/** routeTopK out of tfjs ops, for backends without the kernel. */
function composedRouteTopK(logits: tf.Tensor, { expertsPerToken, renormalize }: RouteTopKSettings): TopKRoute {
  const [N, E] = logits.shape;
  return tf.tidy(() => {
    const ids = tf.tensor2d(bestOfRows(logits.dataSync<"float32">(), N, E, expertsPerToken), [N, expertsPerToken], "int32");
    const probabilities = tf.softmax<tf.Tensor2D>(logits as tf.Tensor2D);
    // A product with one-hot rows instead of a gather: tfjs has a gradient for it on every backend.
    const chosen = oneHotRows(ids, E);
    const kept = tf.sum<tf.Tensor2D>(tf.mul(chosen, tf.reshape(probabilities, [N, 1, E])), 2);
    const weights: tf.Tensor2D = renormalize ? tf.div(kept, tf.sum(kept, 1, true)) : kept;
    return { ids, weights, probabilities };
  });
}

interface RouteTopKAttrs extends RouteTopKSettings {
  /** Filled by the kernel, [N, K]. Not one of its outputs: tfjs would look for a gradient through whatever uses it. */
  readonly ids: Int32Array;
}

registerNativeKernel<RouteTopKAttrs>("RouteTopK", ({ inputs: { logits }, attrs, backend, native }) => {
  const [N, E] = logits.shape;
  const { expertsPerToken: K, renormalize, ids } = attrs;
  const weights = backend.allocate("float32", N * K);
  const probabilities = backend.allocate("float32", N * E);
  native.routeTopKForward(N, E, K, renormalize, backend.floats(logits), ids, weights, probabilities);
  return [backend.output([N, K], "float32", weights), backend.output([N, E], "float32", probabilities)];
});

registerNativeKernel<RouteTopKAttrs>("RouteTopKGradient", ({ inputs, attrs, backend, native }) => {
  const { weights, probabilities, dWeights, dProbabilities } = inputs;
  const [N, E] = probabilities.shape;
  const { expertsPerToken: K, renormalize, ids } = attrs;
  const dLogits = backend.allocate("float32", N * E);
  native.routeTopKBackward(N, E, K, renormalize, ids, backend.floats(weights), backend.floats(probabilities),
    backend.floats(dWeights), backend.floats(dProbabilities), dLogits);
  return backend.output([N, E], "float32", dLogits);
});

tf.registerGradient({
  kernelName: "RouteTopK",
  outputsToSave: [true, true],
  gradFunc: (dy, [weights, probabilities], attrs) => {
    const [dWeights, dProbabilities] = dy as tf.Tensor[];
    return { logits: () => runKernel("RouteTopKGradient", { weights, probabilities, dWeights, dProbabilities }, attrs) };
  },
});
