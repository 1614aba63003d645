import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import type { RandomSource } from "../random.ts";

/** Standard deviation of fresh weights (GPT-2, Radford 2019). */
export const initialStandardDeviation = 0.02;

/** Standard deviation of weights that write into the residual stream: 2·L of them add up, so each is smaller (GPT-2). */
export function residualStandardDeviation(numLayers: number): number {
  return initialStandardDeviation / Math.sqrt(2 * numLayers);
}

/** Creates the weights of a model and names them by their place: `scope("layers").scope("3")` gives `layers.3.…`.
 *  The name is the same in code, checkpoints, metrics and error texts. */
export class WeightScope {
  readonly weights: Map<string, tf.Variable>;
  readonly random: RandomSource;
  readonly path: string;

  constructor(weights: Map<string, tf.Variable>, random: RandomSource, path = "") {
    this.weights = weights;
    this.random = random;
    this.path = path;
  }

  scope(name: string): WeightScope {
    return new WeightScope(this.weights, this.random, this.path === "" ? name : `${this.path}.${name}`);
  }

  /** Weight drawn from N(0, standardDeviation²), float32. */
  normal<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], standardDeviation: number): tf.Variable<R> {
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    for (let i = 0; i < values.length; i++) values[i] = this.random.normal() * standardDeviation;
    return this.add(name, tf.tensor<R>(values, shape, "float32"));
  }

  /** Weight of ones, float32: the gain of a norm. */
  ones<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Variable<R> {
    return this.add(name, tf.ones<R>(shape, "float32"));
  }

  private add<R extends tf.Rank>(name: string, value: tf.Tensor<R>): tf.Variable<R> {
    const fullName = this.path === "" ? name : `${this.path}.${name}`;
    if (this.weights.has(fullName)) {
      throw new ConfigError({
        code: "E_WEIGHT_NAME", what: `two weights are named ${fullName}`,
        why: "a name must find one weight in checkpoints and metrics", fix: "give each layer its own scope",
      });
    }
    // tfjs wants names unique over all models of the process, so ours stay in the map and tfjs makes up its own.
    const variable = tf.variable(value, true);
    value.dispose();
    this.weights.set(fullName, variable);
    return variable;
  }
}
