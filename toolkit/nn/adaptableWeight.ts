import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../backend/activationStorage.ts";

/** Low-rank change of a weight: scale · a · b. */
export interface LowRankChange<R extends tf.Rank> {
  /** [I, rank], or [E, I, rank] */
  readonly a: tf.Variable<R>;
  /** [rank, O], or [E, rank, O] */
  readonly b: tf.Variable<R>;
  readonly scale: number;
}

/** A matrix [I, O], or a stack of one matrix an expert [E, I, O], that a low-rank change may be added to. */
export class AdaptableWeight<R extends tf.Rank.R2 | tf.Rank.R3> {
  readonly variable: tf.Variable<R>;
  private readonly change: LowRankChange<R> | undefined;

  constructor(variable: tf.Variable<R>, change?: LowRankChange<R>) {
    this.variable = variable;
    this.change = change;
  }

  /** What a layer computes with: the variable itself, or its sum with the change, which is formed anew at each call, so a
   *  forward pass reads a weight once. Differentiable in the variable and in the change. */
  value(): tf.Tensor<R> {
    const { change } = this;
    if (!change) return this.variable;
    // Weights stay float32, however activations are kept.
    return withActivationStorage("float32", () => tf.add<tf.Tensor<R>>(this.variable, tf.matMul(tf.mul(change.a, change.scale), change.b)));
  }
}
