import * as tf from "@tensorflow/tfjs-core";
import type { DispatchPlan } from "../../ops/dispatch.ts";

/** Expert of each slot, [S] int32.
 *  @param offsets [E + 1] int32 */
export function slotExperts(offsets: tf.Tensor1D): tf.Tensor1D {
  const bounds = offsets.dataSync<"int32">();
  const E = bounds.length - 1;
  const expertOf = new Int32Array(bounds[E]);
  for (let e = 0; e < E; e++) expertOf.fill(e, bounds[e], bounds[e + 1]);
  return tf.tensor1d(expertOf, "int32");
}

/** The part of a plan that reaches the experts first, …, first + count − 1, as a plan of its own for `count` experts. */
export function planOfGroup(plan: DispatchPlan, first: number, count: number): DispatchPlan {
  const bounds = plan.offsets.dataSync<"int32">().subarray(first, first + count + 1);
  const [begin, end] = [bounds[0], bounds[count]];
  const slots = plan.tokenSlot.dataSync<"int32">().map((slot) => (slot >= begin && slot < end ? slot - begin : -1));
  return {
    offsets: tf.tensor1d(bounds.map((offset) => offset - begin), "int32"),
    slotToken: tf.tensor1d(plan.slotToken.dataSync<"int32">().slice(begin, end), "int32"),
    tokenSlot: tf.tensor2d(slots, plan.tokenSlot.shape, "int32"),
  };
}

/** The plan of N tokens that all go to one expert: every token is its own slot. */
export function planOfOneExpert(N: number): DispatchPlan {
  const slots = tf.range(0, N, 1, "int32");
  return { offsets: tf.tensor1d([0, N], "int32"), slotToken: slots, tokenSlot: tf.reshape(slots, [N, 1]) };
}

/** Combine weights of the choices that reach an expert, added up for each token: [N, 1]. */
export function reachingWeight(weights: tf.Tensor2D, { tokenSlot }: DispatchPlan): tf.Tensor2D {
  return tf.sum(tf.mul(weights, tf.cast(tf.greaterEqual(tokenSlot, 0), "float32")), 1, true);
}
