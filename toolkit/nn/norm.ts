import * as tf from "@tensorflow/tfjs-core";
import { layerNorm } from "../ops/layerNorm.ts";
import { addRmsNorm, rmsNorm } from "../ops/rmsNorm.ts";
import type { WeightScope } from "./module.ts";

/** "rms" scales rows by their root mean square; "layer" also centres them and has a bias. */
export type NormKind = "rms" | "layer";
export const normKinds: readonly NormKind[] = ["rms", "layer"];

/** The residual stream between two parts of the model: its value is x + added. The norm that reads it forms the sum. */
export interface Residual {
  readonly x: tf.Tensor2D;
  readonly added?: tf.Tensor2D;
}

/** A norm before a part of the model. Weights: the gain by the given name and, of "layer", its bias as `<name>Bias`. */
export class Norm {
  private readonly gain: tf.Variable<tf.Rank.R1>;
  private readonly bias: tf.Variable<tf.Rank.R1> | undefined;
  private readonly epsilon: number;

  constructor(name: string, shape: { readonly width: number; readonly norm: NormKind; readonly normEpsilon: number }, weights: WeightScope) {
    this.gain = weights.ones(name, [shape.width]);
    this.bias = shape.norm === "layer" ? weights.zeros(`${name}Bias`, [shape.width]) : undefined;
    this.epsilon = shape.normEpsilon;
  }

  /** @returns the value of the residual stream, and its norm; both [N, C] */
  forward({ x, added }: Residual): { x: tf.Tensor2D; normed: tf.Tensor2D } {
    if (this.bias) {
      const sum = added ? tf.add<tf.Tensor2D>(x, added) : x;
      return { x: sum, normed: layerNorm(sum, this.gain, this.bias, this.epsilon) };
    }
    if (!added) return { x, normed: rmsNorm(x, this.gain, this.epsilon) };
    const { sum, y } = addRmsNorm(x, added, this.gain, this.epsilon);
    return { x: sum, normed: y };
  }
}
