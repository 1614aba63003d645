import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../ops/attention.ts";
import { queryKeyValue } from "../ops/queryKeyValue.ts";
import { rotary } from "../ops/rotary.ts";
import type { ForwardContext } from "./forwardContext.ts";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "./module.ts";

/** Keys (after rotary) and values of the tokens already seen; both [B, P, G, D] float32, undefined before the first. */
export interface KeyValueCache {
  key?: tf.Tensor4D;
  value?: tf.Tensor4D;
}

export interface SelfAttentionConfig {
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly headSize: number;
  readonly ropeBase: number;
}

/** Causal self-attention with rotary positions and grouped key/value heads. */
export class SelfAttention {
  private readonly config: SelfAttentionConfig;
  private readonly query: tf.Variable<tf.Rank.R2>;
  private readonly key: tf.Variable<tf.Rank.R2>;
  private readonly value: tf.Variable<tf.Rank.R2>;
  private readonly output: tf.Variable<tf.Rank.R2>;

  constructor(config: SelfAttentionConfig, weights: WeightScope) {
    const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D } = config;
    this.config = config;
    this.query = weights.normal("query", [C, Q * D], initialStandardDeviation);
    this.key = weights.normal("key", [C, G * D], initialStandardDeviation);
    this.value = weights.normal("value", [C, G * D], initialStandardDeviation);
    this.output = weights.normal("output", [Q * D, C], residualStandardDeviation(config.numLayers));
  }

  /** @param x [B·T, C] float32, normed
   *  @param cache keys and values before x; grows by T tokens, its former tensors are disposed
   *  @returns [B·T, C], to be added to the residual stream */
  forward(x: tf.Tensor2D, { batchSize: B, rowLength: T }: ForwardContext, cache?: KeyValueCache): tf.Tensor2D {
    const { numHeads: Q, numKeyValueHeads: G, headSize: D, ropeBase: base } = this.config;
    const startPosition = cache?.key?.shape[1] ?? 0;
    const [queries, keys, values] = queryKeyValue(x, this.query, this.key, this.value);
    const query = rotary(tf.reshape(queries, [B, T, Q, D]), { base, startPosition });
    let key = rotary(tf.reshape(keys, [B, T, G, D]), { base, startPosition });
    let value: tf.Tensor4D = tf.reshape(values, [B, T, G, D]);
    if (cache) {
      if (cache.key && cache.value) {
        key = tf.concat([cache.key, key], 1);
        value = tf.concat([cache.value, value], 1);
        cache.key.dispose();
        cache.value.dispose();
      }
      cache.key = tf.keep(key);
      cache.value = tf.keep(value);
    }
    const mixed: tf.Tensor2D = tf.reshape(attention(query, key, value), [B * T, Q * D]);
    return tf.matMul(mixed, this.output);
  }
}
