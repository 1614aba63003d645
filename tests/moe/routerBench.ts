import * as tf from "@tensorflow/tfjs-core";
import { moeConfig, type MoeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import { createRouter, type Router } from "../../toolkit/moe/router.ts";
import type { ForwardContext } from "../../toolkit/nn/forwardContext.ts";
import { WeightScope, type ModelVariables } from "../../toolkit/nn/module.ts";
import { RandomSource } from "../../toolkit/random.ts";

/** A router and its variables. */
export interface Bench {
  readonly router: Router;
  readonly config: MoeConfig;
  readonly variables: ModelVariables;
  /** a weight or buffer by name, as rows; a vector is one row */
  readonly state: (name: string) => number[][];
  readonly assign: (name: string, rows: readonly (readonly number[])[]) => void;
}

export function benchOf(width: number, settings: Omit<MoeSettings, "expertWidth">): Bench {
  const variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  const config = moeConfig({ expertWidth: 4, ...settings });
  const router = createRouter(width, config, new WeightScope(variables, new RandomSource(1)));
  const find = (name: string): tf.Variable => {
    const variable = variables.weights.get(name) ?? variables.buffers.get(name);
    if (!variable) throw new Error(`no variable ${name}`);
    return variable;
  };
  return {
    router, config, variables,
    state: (name) => toRows(find(name)),
    assign: (name, rows) => { find(name).assign(tf.tensor(rows.flat(), find(name).shape)); },
  };
}

/** Context of one row of N tokens. */
export function contextOf(N: number, change: Partial<ForwardContext> = {}): ForwardContext {
  return { batchSize: 1, rowLength: N, ids: tf.tensor1d(new Int32Array(N), "int32"), isCausal: true, ...change };
}

export const training = (seed = 5): Pick<ForwardContext, "training"> => ({ training: { random: new RandomSource(seed) } });

/** N rows of values about ±2, exactly representable in float32. */
export function randomRows(N: number, E: number, seed: number, scale = 1): number[][] {
  const random = new RandomSource(seed);
  return Array.from({ length: N }, () => Array.from({ length: E }, () => Math.fround(random.normal() * scale)));
}

export const identity = (N: number): tf.Tensor2D => tf.eye(N);

export function toRows(tensor: tf.Tensor): number[][] {
  const width = tensor.shape.at(-1) ?? 1, values = Array.from(tensor.dataSync());
  return Array.from({ length: values.length / width }, (_, n) => values.slice(n * width, (n + 1) * width));
}

/** Ids without the −1 at the end of rows. */
export const chosenIds = (ids: tf.Tensor): number[][] => toRows(ids).map((row) => row.filter((id) => id >= 0));

/** Values of ids that aren't −1. */
export const chosenWeights = (ids: tf.Tensor, weights: tf.Tensor): number[][] => {
  const rows = toRows(weights);
  return toRows(ids).map((row, n) => rows[n].filter((_, k) => row[k] >= 0));
};

/** Largest distance of two lists of rows of the same lengths. */
export function distance(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  if (a.length !== b.length || a.some((row, n) => row.length !== b[n].length)) return Infinity;
  return a.reduce((most, row, n) => row.reduce((rowMost, value, i) => Math.max(rowMost, Number.isNaN(value) ? Infinity : Math.abs(value - b[n][i])), most), 0);
}
