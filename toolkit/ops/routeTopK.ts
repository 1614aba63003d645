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
  return tf.tidy(() => {
    const choice: ChooseTopKAttrs = { ...settings, logits };
    const [ids, ...values] = runKernel<[tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]>("ChooseTopK", {}, choice);
    const attrs: RouteTopKAttrs = { ...settings, values };
    const [weights, probabilities] = runKernel<[tf.Tensor2D, tf.Tensor2D]>("RouteTopK", { logits, ids }, attrs);
    return { ids, weights, probabilities };
  });
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

interface ChooseTopKAttrs extends RouteTopKSettings {
  /** Not an input of the kernel: tfjs would look for a gradient through whatever uses the ids. */
  readonly logits: tf.Tensor;
}

/** All three results, off the tape. */
registerNativeKernel<ChooseTopKAttrs>("ChooseTopK", ({ attrs: { logits, expertsPerToken: K, renormalize }, backend, native }) => {
  const [N, E] = logits.shape;
  const ids = backend.allocate("int32", N * K);
  const weights = backend.allocate("float32", N * K);
  const probabilities = backend.allocate("float32", N * E);
  native.routeTopKForward(N, E, K, renormalize, backend.floats(logits), ids, weights, probabilities);
  return [backend.output([N, K], "int32", ids), backend.output([N, K], "float32", weights), backend.output([N, E], "float32", probabilities)];
});

interface RouteTopKAttrs extends RouteTopKSettings {
  /** weights and probabilities as ChooseTopK computed them */
  readonly values: readonly tf.Tensor[];
}

/** Puts what ChooseTopK computed on the tape: its outputs share the data. */
registerNativeKernel<RouteTopKAttrs>("RouteTopK", ({ attrs: { values }, backend }) => values.map(({ dataId, shape, dtype }) => {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}));

registerNativeKernel<RouteTopKAttrs>("RouteTopKGradient", ({ inputs, attrs, backend, native }) => {
  const { ids, weights, probabilities, dWeights, dProbabilities } = inputs;
  const [N, E] = probabilities.shape;
  const { expertsPerToken: K, renormalize } = attrs;
  const dLogits = backend.allocate("float32", N * E);
  native.routeTopKBackward(N, E, K, renormalize, backend.ints(ids), backend.floats(weights), backend.floats(probabilities),
    backend.floats(dWeights), backend.floats(dProbabilities), dLogits);
  return backend.output([N, E], "float32", dLogits);
});

tf.registerGradient({
  kernelName: "RouteTopK",
  inputsToSave: ["ids"],
  outputsToSave: [true, true],
  gradFunc: (dy, [ids, weights, probabilities], attrs) => {
    const [dWeights, dProbabilities] = dy as tf.Tensor[];
    return { logits: () => runKernel("RouteTopKGradient", { ids, weights, probabilities, dWeights, dProbabilities }, attrs) };
  },
});
