import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import type { RandomSource } from "../random.ts";
import { AdaptableWeight } from "./adaptableWeight.ts";
import { loraSuffixes, type LoraConfig } from "./lora.ts";
import { matchWeights } from "./weightPatterns.ts";

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
  private readonly lora: LoraConfig | undefined;

  /** @param lora adapters that the matrices named by it get; all other weights are then frozen (`trainable` is false) */
  constructor(variables: ModelVariables, random: RandomSource, path = "", lora?: LoraConfig) {
    this.variables = variables;
    this.random = random;
    this.path = path;
    this.lora = lora;
  }

  scope(name: string): WeightScope {
    return new WeightScope(this.variables, this.random, this.nameOf(name), this.lora);
  }

  /** Matrix [I, O], or one an expert [E, I, O], drawn from N(0, standardDeviation²), that low-rank adapters can change. */
  matrix<R extends tf.Rank.R2 | tf.Rank.R3>(name: string, shape: tf.ShapeMap[R], standardDeviation: number): AdaptableWeight<R> {
    const variable = this.normal<R>(name, shape, standardDeviation);
    const { lora } = this;
    if (!lora?.targets.some((pattern) => matchWeights(this.nameOf(name), pattern))) return new AdaptableWeight(variable);
    const { rank, alpha = rank } = lora;
    const leading = variable.shape.slice(0, -2), [I, O] = variable.shape.slice(-2);
    const place = this.scope(name);
    // B = 0: at first the adapter changes nothing (arXiv:2106.09685 §4.1)
    const a = place.normal<R>(loraSuffixes.a, [...leading, I, rank] as tf.ShapeMap[R], 1 / Math.sqrt(I));
    const b = place.zeros<R>(loraSuffixes.b, [...leading, rank, O] as tf.ShapeMap[R]);
    return new AdaptableWeight(variable, { a, b, scale: alpha / rank });
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

  /** State that no optimizer changes, float32, all elements `value` at first. Made on the host, where routers read it. */
  buffer<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], value = 0): tf.Variable<R> {
    return this.add("buffers", name, tf.tensor<R>(new Float32Array(tf.util.sizeFromShape(shape)).fill(value), shape));
  }

  private add<R extends tf.Rank>(kind: keyof ModelVariables, name: string, value: tf.Tensor<R>): tf.Variable<R> {
    const fullName = this.nameOf(name);
    if (this.variables.weights.has(fullName) || this.variables.buffers.has(fullName)) {
      throw new ConfigError({
        code: "E_WEIGHT_NAME", what: `two weights are named ${fullName}`,
        why: "a name must find one weight in checkpoints and metrics", fix: "give each layer its own scope",
      });
    }
    // tfjs wants names unique over all models of the process, so ours stay in the map and tfjs makes up its own.
    const variable = tf.variable(value, kind === "weights" && this.isTrained(fullName));
    value.dispose();
    this.variables[kind].set(fullName, variable);
    return variable;
  }

  private nameOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  private isTrained(name: string): boolean {
    if (!this.lora) return true;
    const isAdapter = name.endsWith(`.${loraSuffixes.a}`) || name.endsWith(`.${loraSuffixes.b}`);
    return isAdapter || (this.lora.train ?? []).some((pattern) => matchWeights(name, pattern));
  }
}
