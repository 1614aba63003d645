import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import type { RandomSource } from "../random.ts";

/** Standard deviation of fresh weights (GPT-2, Radford 2019). */
export const initialStandardDeviation = 0.02;

/** Standard deviation of weights that write into the residual stream: 2·L of them add up, so each is smaller (GPT-2). */
export function residualStandardDeviation(numLayers: number): number {
  return initialStandardDeviation / Math.sqrt(2 * numLayers);
}

/** All variables of a model by name, in a fixed order. */
export interface ModelVariables {
  /** changed by the optimizer */
  readonly weights: Map<string, tf.Variable>;
  /** State without a gradient that is saved with the weights, e.g. a router's bias. */
  readonly buffers: Map<string, tf.Variable>;
}

/** Creates the variables of a model and names them by their place: `scope("layers").scope("3")` gives `layers.3.…`.
 *  The name is the same in code, checkpoints, metrics and error texts. */
export class WeightScope {
  readonly variables: ModelVariables;
  readonly random: RandomSource;
  readonly path: string;

  constructor(variables: ModelVariables, random: RandomSource, path = "") {
    this.variables = variables;
    this.random = random;
    this.path = path;
  }

  scope(name: string): WeightScope {
    return new WeightScope(this.variables, this.random, this.path === "" ? name : `${this.path}.${name}`);
  }

  /** Weight drawn from N(0, standardDeviation²), float32. */
  normal<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], standardDeviation: number): tf.Variable<R> {
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    for (let i = 0; i < values.length; i++) values[i] = this.random.normal() * standardDeviation;
    return this.add("weights", name, tf.tensor<R>(values, shape, "float32"));
  }

  /** Weight of ones, float32: the gain of a norm. */
  ones<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Variable<R> {
    return this.add("weights", name, tf.ones<R>(shape, "float32"));
  }

  /** Weight of zeros, float32: a bias, or what adds nothing at first. */
  zeros<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Variable<R> {
    return this.add("weights", name, tf.zeros<R>(shape, "float32"));
  }

  /** State that no optimizer changes, float32, all elements `value` at first. */
  buffer<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], value = 0): tf.Variable<R> {
    return this.add("buffers", name, tf.fill<R>(shape, value, "float32"));
  }

  private add<R extends tf.Rank>(kind: keyof ModelVariables, name: string, value: tf.Tensor<R>): tf.Variable<R> {
    const fullName = this.path === "" ? name : `${this.path}.${name}`;
    if (this.variables.weights.has(fullName) || this.variables.buffers.has(fullName)) {
      throw new ConfigError({
        code: "E_WEIGHT_NAME", what: `two weights are named ${fullName}`,
        why: "a name must find one weight in checkpoints and metrics", fix: "give each layer its own scope",
      });
    }
    // tfjs wants names unique over all models of the process, so ours stay in the map and tfjs makes up its own.
    const variable = tf.variable(value, kind === "weights");
    value.dispose();
    this.variables[kind].set(fullName, variable);
    return variable;
  }
}
