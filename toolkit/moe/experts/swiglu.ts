import type * as tf from "@tensorflow/tfjs-core";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "../../nn/module.ts";
import type { DispatchPlan } from "../../ops/dispatch.ts";
import { expertFeedForward } from "../../ops/expertFeedForward.ts";

/** E experts of the form down(silu(gate(x)) ∘ up(x)), their weights stacked.
 *  Source: Shazeer 2020, arXiv:2002.05202. */
export class SwigluExperts {
  private readonly gateUp: tf.Variable<tf.Rank.R3>;
  private readonly down: tf.Variable<tf.Rank.R3>;

  constructor(shape: { width: number; expertWidth: number; numExperts: number; numLayers: number }, weights: WeightScope) {
    const { width: C, expertWidth: H, numExperts: E } = shape;
    this.gateUp = weights.normal("gateUp", [E, C, 2 * H], initialStandardDeviation);
    this.down = weights.normal("down", [E, H, C], residualStandardDeviation(shape.numLayers));
  }

  /** @param x [N, C] @param weights combine weights [N, K] @returns [N, C], the weighted sum over each token's experts */
  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    return expertFeedForward(x, weights, plan, this.gateUp, this.down);
  }
}
