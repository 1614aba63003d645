import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import type { DispatchPlan } from "../ops/dispatch.ts";
import type { MoeConfig } from "./config.ts";
import { SwigluExperts } from "./experts/swiglu.ts";

/** The E experts of a layer. */
export interface Experts {
  /** Each expert on its own rows, without combine weights.
   *  @param rows [S, C] float32, sorted by expert
   *  @param offsets [E + 1] int32: expert e has the rows offsets[e] ≤ s < offsets[e + 1]
   *  @returns [S, C], differentiable in rows and in the experts' weights */
  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D, context: ForwardContext): tf.Tensor2D;
  /** Sends tokens to their experts and adds up what comes back: combine(apply(dispatch(x))), by a fused op where there is one.
   *  @param x [N, C] @param weights combine weights [N, K] @returns [N, C] */
  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan, context: ForwardContext): tf.Tensor2D;
}

/** Builds the experts of a layer; their weights go under `experts.`. */
export function createExperts(shape: { width: number; numLayers: number }, config: MoeConfig, weights: WeightScope): Experts {
  return new SwigluExperts({ ...shape, ...config }, weights);
}
