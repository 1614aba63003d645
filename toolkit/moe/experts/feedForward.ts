import * as tf from "@tensorflow/tfjs-core";
import type { AdaptableWeight } from "../../nn/adaptableWeight.ts";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { combine } from "../../ops/combine.ts";
import { dispatch, withoutUnusedSlots, type DispatchPlan } from "../../ops/dispatch.ts";
import { embedding } from "../../ops/embedding.ts";
import { expertFeedForward } from "../../ops/expertFeedForward.ts";
import { activate, isGated } from "../../ops/feedForwardKinds.ts";
import { groupedMatmul } from "../../ops/groupedMatmul.ts";
import type { FeedForwardConfig } from "../expertConfig.ts";
import type { Experts, ExpertShape } from "../experts.ts";
import { slotExperts } from "./slots.ts";

/** E feed-forward parts of one kind, their weights stacked: `gateUp` [E, C, 2H], the gate left, or `up` [E, C, H] without a
 *  gate; `down` [E, H, C]; with biases `gateUpBias` or `upBias`, and `downBias`. Without biases they run as one fused op.
 *  Source: Shazeer 2020, arXiv:2002.05202 */
export class FeedForwardExperts implements Experts {
  private readonly kind: FeedForwardConfig["kind"];
  private readonly first: AdaptableWeight<tf.Rank.R3>;
  private readonly down: AdaptableWeight<tf.Rank.R3>;
  private readonly bias: { readonly first: tf.Variable<tf.Rank.R2>; readonly down: tf.Variable<tf.Rank.R2> } | undefined;

  constructor({ width: C, expertWidth: H, numExperts: E, numLayers }: ExpertShape, { kind, bias = false }: FeedForwardConfig, weights: WeightScope) {
    const [name, columns] = isGated(kind) ? ["gateUp", 2 * H] : ["up", H];
    this.kind = kind;
    this.first = weights.matrix<tf.Rank.R3>(name, [E, C, columns], initialStandardDeviation);
    this.down = weights.matrix<tf.Rank.R3>("down", [E, H, C], residualStandardDeviation(numLayers));
    this.bias = bias ? { first: weights.zeros(`${name}Bias`, [E, columns]), down: weights.zeros("downBias", [E, C]) } : undefined;
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D): tf.Tensor2D {
    const { bias } = this;
    const expertOf = bias && slotExperts(offsets);
    const withBias = (y: tf.Tensor2D, values?: tf.Tensor2D): tf.Tensor2D => (values && expertOf ? tf.add(y, embedding(values, expertOf)) : y);
    const projected = withBias(groupedMatmul(rows, this.first.value(), offsets), bias?.first);
    return withBias(groupedMatmul(activate(this.kind, projected), this.down.value(), offsets), bias?.down);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    if (!this.bias) return expertFeedForward(x, weights, plan, this.first.value(), this.down.value(), this.kind);
    const used = withoutUnusedSlots(plan);
    return combine(this.apply(dispatch(x, used), used.offsets), weights, used);
  }
}
