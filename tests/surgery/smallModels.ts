import * as tf from "@tensorflow/tfjs-core";
import { transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { RandomSource } from "../../toolkit/random.ts";

export const [B, T, V] = [2, 6, 20];

export const small: TransformerSettings = {
  vocabSize: V, numLayers: 2, width: 8, numHeads: 2, contextLength: T, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 6 },
};

/** A model whose weights are all random and large enough that differences show. */
export function randomModel(settings: Parameters<typeof transformerConfig>[0], seed = 3): Transformer {
  const model = new Transformer(transformerConfig(settings), { seed });
  const random = new RandomSource(seed, 9);
  for (const variable of model.state().values()) {
    const values = Float32Array.from({ length: variable.size }, () => (variable.rank === 1 ? 1 : 0) + 0.4 * random.normal());
    tf.tidy(() => { variable.assign(tf.tensor(values, variable.shape)); });
  }
  return model;
}

export const tokens = (): tf.Tensor2D => tf.tensor2d(Int32Array.from({ length: B * T }, (_, i) => (i * 7 + 3) % V), [B, T], "int32");

/** logits [B·T·V] */
export function logitsOf(model: Transformer): Float32Array {
  return tf.tidy(() => model.forward(tokens()).logits.dataSync<"float32">().slice());
}

/** chosen experts of each sparse layer, [layers][B·T·K] */
export function choicesOf(model: Transformer): number[][] {
  return tf.tidy(() => model.forward(tokens()).routing.map(({ ids }) => [...ids.dataSync()]));
}

/** Largest distance of two results in parts of the largest magnitude of the second. */
export function distance(got: Float32Array, wanted: Float32Array): number {
  if (got.length !== wanted.length) return Infinity;
  const magnitude = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return got.reduce((most, value, i) => (Number.isNaN(value) ? Infinity : Math.max(most, Math.abs(value - wanted[i]))), 0) / magnitude;
}

export function weightOf(model: Transformer, name: string): tf.Variable {
  const variable = model.state().get(name);
  if (!variable) throw new Error(`no weight ${name}; there are ${[...model.state().keys()].join(", ")}`);
  return variable;
}

export const valuesOf = (model: Transformer, name: string): Float32Array => weightOf(model, name).dataSync<"float32">().slice();
