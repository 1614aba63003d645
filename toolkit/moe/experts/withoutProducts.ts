import * as tf from "@tensorflow/tfjs-core";
import { initialStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { combine } from "../../ops/combine.ts";
import { dispatch, withoutUnusedSlots, type DispatchPlan } from "../../ops/dispatch.ts";
import { embedding } from "../../ops/embedding.ts";
import { groupedMatmul } from "../../ops/groupedMatmul.ts";
import type { Experts, ExpertShape } from "../experts.ts";
import { reachingWeight, slotExperts } from "./slots.ts";

/* Experts next to free of cost. Source: MoE++, Jin et al. 2024, arXiv:2410.07348 §3.1 */

/** Experts that give 0. No token is moved. */
export class ZeroExperts implements Experts {
  apply(rows: tf.Tensor2D): tf.Tensor2D {
    return tf.zerosLike(rows);
  }

  forward(x: tf.Tensor2D): tf.Tensor2D {
    return tf.zerosLike(x);
  }
}

/** Experts that give the token itself. */
export class CopyExperts implements Experts {
  apply(rows: tf.Tensor2D): tf.Tensor2D {
    return tf.clone(rows);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    return tf.mul(x, reachingWeight(weights, plan));
  }
}

/** Experts that give a₁·x + a₂·v with v learned and [a₁, a₂] = softmax(W·x): `constant` v [E, C], `mix` W [E, C, 2]. */
export class ConstantExperts implements Experts {
  private readonly constant: tf.Variable<tf.Rank.R2>;
  private readonly mix: tf.Variable<tf.Rank.R3>;

  constructor({ width: C, numExperts: E }: ExpertShape, weights: WeightScope) {
    this.constant = weights.normal("constant", [E, C], initialStandardDeviation);
    this.mix = weights.normal("mix", [E, C, 2], initialStandardDeviation);
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D): tf.Tensor2D {
    const [kept, replaced] = tf.split(tf.softmax(groupedMatmul(rows, this.mix, offsets)), 2, 1);
    return tf.add(tf.mul(rows, kept), tf.mul(embedding(this.constant, slotExperts(offsets)), replaced));
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan): tf.Tensor2D {
    const used = withoutUnusedSlots(plan);
    return combine(this.apply(dispatch(x, used), used.offsets), weights, used);
  }
}
