import * as tf from "@tensorflow/tfjs-core";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "../../nn/module.ts";
import type { DispatchPlan } from "../../ops/dispatch.ts";
import { expertFeedForward } from "../../ops/expertFeedForward.ts";
import { groupedMatmul } from "../../ops/groupedMatmul.ts";
import type { Experts } from "../experts.ts";

/** E experts of the form down(silu(gate(x)) ∘ up(x)), their weights stacked.
 *  Source: Shazeer 2020, arXiv:2002.05202. */
export class SwigluExperts implements Experts {
  private readonly gateUp: tf.Variable<tf.Rank.R3>;
  private readonly down: tf.Variable<tf.Rank.R3>;

  constructor(shape: { width: number; expertWidth: number; numExperts: number; numLayers: number }, weights: WeightScope) {
    const { width: C, expertWidth: H, numExperts: E } = shape;
    this.gateUp = weights.normal("gateUp", [E, C, 2 * H], initialStandardDeviation);
    this.down = weights.normal("down", [E, H, C], residualStandardDeviation(shape.numLayers));
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D): tf.Tensor2D {
    const [gate, up] = tf.split(groupedMatmul(rows, this.gateUp, offsets), 2, 1);
    return groupedMatmul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), this.down, offsets);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    return expertFeedForward(x, weights, plan, this.gateUp, this.down);
  }
}
