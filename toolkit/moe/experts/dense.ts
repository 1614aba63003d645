import * as tf from "@tensorflow/tfjs-core";
import type { AdaptableWeight } from "../../nn/adaptableWeight.ts";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { expertFeedForward } from "../../ops/expertFeedForward.ts";
import { activate, isGated } from "../../ops/feedForwardKinds.ts";
import type { FeedForwardConfig } from "../expertConfig.ts";
import { planOfOneExpert } from "./slots.ts";

/** A feed-forward part that every token passes: `gateUp` [C, 2H], the gate left, or `up` [C, H]; `down` [H, C]; with biases
 *  `gateUpBias` or `upBias`, and `downBias`. Without biases it runs as one fused op: that of the experts, with one expert. */
export class DenseFeedForward {
  private readonly kind: FeedForwardConfig["kind"];
  private readonly first: AdaptableWeight<tf.Rank.R2>;
  private readonly down: AdaptableWeight<tf.Rank.R2>;
  private readonly bias: { readonly first: tf.Variable<tf.Rank.R1>; readonly down: tf.Variable<tf.Rank.R1> } | undefined;

  /** @param shape.hiddenWidth H */
  constructor(shape: { readonly width: number; readonly hiddenWidth: number; readonly numLayers: number }, { kind, bias = false }: FeedForwardConfig, weights: WeightScope) {
    const { width: C, hiddenWidth: H, numLayers } = shape;
    const [name, columns] = isGated(kind) ? ["gateUp", 2 * H] : ["up", H];
    this.kind = kind;
    this.first = weights.matrix<tf.Rank.R2>(name, [C, columns], initialStandardDeviation);
    this.down = weights.matrix<tf.Rank.R2>("down", [H, C], residualStandardDeviation(numLayers));
    this.bias = bias ? { first: weights.zeros(`${name}Bias`, [columns]), down: weights.zeros("downBias", [C]) } : undefined;
  }

  /** @param x [N, C] float32 @returns [N, C] */
  forward(x: tf.Tensor2D): tf.Tensor2D {
    const { bias } = this;
    if (!bias) return this.fusedForward(x);
    const hidden = activate(this.kind, tf.add(tf.matMul(x, this.first.value()), bias.first));
    return tf.add(tf.matMul(hidden, this.down.value()), bias.down);
  }

  private fusedForward(x: tf.Tensor2D): tf.Tensor2D {
    const first = this.first.value(), down = this.down.value();
    return expertFeedForward(x, tf.ones([x.shape[0], 1]), planOfOneExpert(x.shape[0]), tf.reshape(first, [1, ...first.shape]), tf.reshape(down, [1, ...down.shape]), this.kind);
  }
}
