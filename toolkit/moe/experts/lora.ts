import * as tf from "@tensorflow/tfjs-core";
import type { AdaptableWeight } from "../../nn/adaptableWeight.ts";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { combine } from "../../ops/combine.ts";
import { dispatch, withoutUnusedSlots, type DispatchPlan } from "../../ops/dispatch.ts";
import { groupedMatmul } from "../../ops/groupedMatmul.ts";
import { activate, isGated } from "../../ops/feedForwardKinds.ts";
import { defaultExpert, type FeedForwardConfig, type SingleExpertConfig } from "../expertConfig.ts";
import type { Experts, ExpertShape } from "../experts.ts";

/** The low-rank change that an expert makes to a matrix [I, O] of the shared part. */
interface ExpertChange {
  /** [E, I, rank] */
  readonly a: tf.Variable<tf.Rank.R3>;
  /** [E, rank, O], zeros at first: all experts begin as the shared part */
  readonly b: tf.Variable<tf.Rank.R3>;
}

/** One feed-forward part for all experts, `base.gateUp` [C, 2H] or `base.up` [C, H], and `base.down` [H, C], of which each
 *  expert is a low-rank change: alpha/rank · A·B with `gateUpA` [E, C, rank], `gateUpB` [E, rank, 2H], `downA`, `downB`.
 *  Source: as mixtures of LoRA experts, e.g. Zadouri et al. 2023, arXiv:2309.05444 */
export class LoraExperts implements Experts {
  private readonly kind: FeedForwardConfig["kind"];
  private readonly scale: number;
  private readonly first: AdaptableWeight<tf.Rank.R2>;
  private readonly down: AdaptableWeight<tf.Rank.R2>;
  private readonly firstChange: ExpertChange;
  private readonly downChange: ExpertChange;
  private readonly bias: { readonly first: tf.Variable<tf.Rank.R1>; readonly down: tf.Variable<tf.Rank.R1> } | undefined;

  constructor({ width: C, expertWidth: H, numExperts: E, numLayers }: ExpertShape, config: Extract<SingleExpertConfig, { kind: "lora" }>, weights: WeightScope) {
    const { rank, alpha = rank, base: { kind, bias = false } = defaultExpert } = config;
    const [name, columns] = isGated(kind) ? ["gateUp", 2 * H] : ["up", H];
    const base = weights.scope("base");
    const change = (matrix: string, I: number, O: number): ExpertChange => ({
      a: weights.normal(`${matrix}A`, [E, I, rank], 1 / Math.sqrt(I)), b: weights.zeros(`${matrix}B`, [E, rank, O]),
    });
    this.kind = kind;
    this.scale = alpha / rank;
    this.first = base.matrix<tf.Rank.R2>(name, [C, columns], initialStandardDeviation);
    this.down = base.matrix<tf.Rank.R2>("down", [H, C], residualStandardDeviation(numLayers));
    this.bias = bias ? { first: base.zeros(`${name}Bias`, [columns]), down: base.zeros("downBias", [C]) } : undefined;
    this.firstChange = change(name, C, columns);
    this.downChange = change("down", H, C);
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D): tf.Tensor2D {
    const product = (x: tf.Tensor2D, weight: AdaptableWeight<tf.Rank.R2>, { a, b }: ExpertChange, bias?: tf.Tensor1D): tf.Tensor2D => {
      const changed = groupedMatmul(tf.mul(groupedMatmul(x, a, offsets), this.scale), b, offsets);
      const y: tf.Tensor2D = tf.add(tf.matMul(x, weight.value()), changed);
      return bias ? tf.add(y, bias) : y;
    };
    const hidden = activate(this.kind, product(rows, this.first, this.firstChange, this.bias?.first));
    return product(hidden, this.down, this.downChange, this.bias?.down);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    const used = withoutUnusedSlots(plan);
    return combine(this.apply(dispatch(x, used), used.offsets), weights, used);
  }
}
