import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Drops the choices that are more than an expert takes: they become −1.
 *  @param ids chosen experts, [N, K] int32, from 0 to E − 1, or −1 for no choice
 *  @param capacity choices that an expert takes
 *  @param weights [N, K] float32: each expert keeps its largest weights, of equal ones the earlier token's, NaN last; without
 *    them, the earlier tokens
 *  @returns [N, K] int32, without a gradient
 *  @throws ShapeError */
export function limitChoices(ids: tf.Tensor, numExperts: number, capacity: number, weights?: tf.Tensor): tf.Tensor2D {
  const { N, K } = checkShapes("limitChoices", weights ? { ids: [ids, "N K", "int32"], weights: [weights, "N K"] } : { ids: [ids, "N K", "int32"] });
  const attrs: LimitChoicesAttrs = { ids, weights, E: numExperts, capacity };
  if (hasNativeKernel("LimitChoices")) return runKernel<tf.Tensor2D>("LimitChoices", {}, attrs);
  const assigned = ids.dataSync<"int32">().slice();
  dropOverflow(assigned, capacity, numExperts, weights?.dataSync<"float32">());
  return tf.tensor2d(assigned, [N, K], "int32");
}

function dropOverflow(ids: Int32Array, capacity: number, numExperts: number, weights: Float32Array | undefined): void {
  const choices = Array.from(ids.keys()).filter((i) => ids[i] >= 0);
  const rank = (i: number): number => (weights && !Number.isNaN(weights[i]) ? weights[i] : -Infinity);
  if (weights) choices.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(b) - rank(a)));
  const taken = new Int32Array(numExperts);
  for (const i of choices) {
    if (taken[ids[i]] < capacity) taken[ids[i]] += 1;
    else ids[i] = -1;
  }
}

interface LimitChoicesAttrs {
  /** Not inputs of the kernel: what it chooses has no gradient. */
  readonly ids: tf.Tensor;
  readonly weights: tf.Tensor | undefined;
  readonly E: number;
  readonly capacity: number;
}

registerNativeKernel<LimitChoicesAttrs>("LimitChoices", ({ attrs: { ids, weights, E, capacity }, backend, native }) => {
  const [N, K] = ids.shape;
  const assigned = backend.allocate("int32", N * K);
  native.limitChoices(N * K, E, capacity, backend.ints(ids), weights ? backend.floats(weights) : null, assigned);
  return backend.output([N, K], "int32", assigned);
});
