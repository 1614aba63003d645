import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../ops/attention.ts";
import { queryKeyValue } from "../ops/queryKeyValue.ts";
import { rmsNorm } from "../ops/rmsNorm.ts";
import { rotary } from "../ops/rotary.ts";
import type { AdaptableWeight } from "./adaptableWeight.ts";
import type { ForwardContext } from "./forwardContext.ts";
import { initialStandardDeviation, residualStandardDeviation, type WeightScope } from "./module.ts";

/** Keys (after rotary) and values of tokens already seen, [B, P, G, D] float32; undefined before the first. P is all tokens,
 *  or the last slidingWindow of them: later tokens don't see the others. */
export interface KeyValueCache {
  key?: tf.Tensor4D;
  value?: tf.Tensor4D;
  /** tokens already seen */
  numSeen?: number;
}

/** RMS norm of queries and keys before the rotary turn: none; of each head by itself, with one gain for all heads (Qwen3,
 *  arXiv:2505.09388); or of all heads together (OLMoE, arXiv:2409.02060). */
export type QkNorm = "none" | "head" | "whole";
export const qkNorms: readonly QkNorm[] = ["none", "head", "whole"];

export interface SelfAttentionConfig {
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly headSize: number;
  readonly ropeBase: number;
  readonly normEpsilon: number;
  readonly qkNorm: QkNorm;
  /** biases of queries, keys and values */
  readonly attentionBias: boolean;
  /** most keys that a token sees, its own among them; all when left out */
  readonly slidingWindow?: number;
}

/** Causal self-attention with rotary positions and grouped key/value heads. */
export class SelfAttention {
  private readonly config: SelfAttentionConfig;
  /** of queries, keys and values */
  private readonly projections: readonly [AdaptableWeight<tf.Rank.R2>, AdaptableWeight<tf.Rank.R2>, AdaptableWeight<tf.Rank.R2>];
  private readonly output: AdaptableWeight<tf.Rank.R2>;
  private readonly biases: readonly tf.Variable<tf.Rank.R1>[];
  private readonly queryNorm: tf.Variable<tf.Rank.R1> | undefined;
  private readonly keyNorm: tf.Variable<tf.Rank.R1> | undefined;

  constructor(config: SelfAttentionConfig, weights: WeightScope) {
    const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, qkNorm } = config;
    this.config = config;
    this.projections = [
      weights.matrix<tf.Rank.R2>("query", [C, Q * D], initialStandardDeviation),
      weights.matrix<tf.Rank.R2>("key", [C, G * D], initialStandardDeviation),
      weights.matrix<tf.Rank.R2>("value", [C, G * D], initialStandardDeviation),
    ];
    this.output = weights.matrix<tf.Rank.R2>("output", [Q * D, C], residualStandardDeviation(config.numLayers));
    this.biases = config.attentionBias ? [weights.zeros("queryBias", [Q * D]), weights.zeros("keyBias", [G * D]), weights.zeros("valueBias", [G * D])] : [];
    if (qkNorm === "none") return;
    this.queryNorm = weights.ones("queryNorm", [qkNorm === "head" ? D : Q * D]);
    this.keyNorm = weights.ones("keyNorm", [qkNorm === "head" ? D : G * D]);
  }

  /** @param x [B·T, C] float32, normed
   *  @param cache keys and values before x; grows by T tokens, its former tensors are disposed
   *  @returns [B·T, C], to be added to the residual stream */
  forward(x: tf.Tensor2D, context: ForwardContext, cache?: KeyValueCache): tf.Tensor2D {
    const { batchSize: B, rowLength: T } = context;
    const { numHeads: Q, numKeyValueHeads: G, headSize: D } = this.config;
    const [query, newKey, newValue] = this.project(x, B, T, cache?.numSeen ?? 0);
    const { key, value } = cache ? this.extend(cache, newKey, newValue, T) : { key: newKey, value: newValue };
    const firstKey = firstKeys({ B, Tq: T, Tk: key.shape[1] }, this.config.slidingWindow, context.documentStart);
    const mixed: tf.Tensor2D = tf.reshape(attention(query, key, value, firstKey), [B * T, Q * D]);
    if (cache) this.letGo(cache, B, G, D);
    return tf.matMul(mixed, this.output.value());
  }

  /** Queries [B, T, Q, D], keys and values [B, T, G, D]; queries and keys turned to their positions. */
  private project(x: tf.Tensor2D, B: number, T: number, startPosition: number): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] {
    const { numHeads: Q, numKeyValueHeads: G, headSize: D, ropeBase: base } = this.config;
    const [query, key, value] = this.projections;
    const [queries, keys, values] = queryKeyValue(x, query.value(), key.value(), value.value())
      .map((projected, i) => (this.biases.length > 0 ? tf.add<tf.Tensor2D>(projected, this.biases[i]) : projected));
    const turned = (rows: tf.Tensor2D, heads: number, gain?: tf.Variable<tf.Rank.R1>): tf.Tensor4D =>
      rotary(this.normedHeads(rows, [B, T, heads, D], gain), { base, startPosition });
    return [turned(queries, Q, this.queryNorm), turned(keys, G, this.keyNorm), tf.reshape(values, [B, T, G, D])];
  }

  private normedHeads(rows: tf.Tensor2D, shape: [number, number, number, number], gain: tf.Variable<tf.Rank.R1> | undefined): tf.Tensor4D {
    const { qkNorm, normEpsilon } = this.config;
    if (!gain) return tf.reshape(rows, shape);
    if (qkNorm === "whole") return tf.reshape(rmsNorm(rows, gain, normEpsilon), shape);
    return rmsNorm(tf.reshape<tf.Rank.R4>(rows, shape), gain, normEpsilon);
  }

  /** Puts T new keys and values behind those of the cache; keeps all of them. */
  private extend(cache: KeyValueCache, newKey: tf.Tensor4D, newValue: tf.Tensor4D, T: number): { key: tf.Tensor4D; value: tf.Tensor4D } {
    const { key: oldKey, value: oldValue } = cache;
    const [key, value] = oldKey && oldValue ? [tf.concat([oldKey, newKey], 1), tf.concat([oldValue, newValue], 1)] : [newKey, newValue];
    tf.dispose([oldKey, oldValue].filter((tensor) => tensor !== undefined));
    cache.key = tf.keep(key);
    cache.value = tf.keep(value);
    cache.numSeen = (cache.numSeen ?? 0) + T;
    return { key, value };
  }

  /** Frees keys and values that no later token sees. */
  private letGo(cache: KeyValueCache, B: number, G: number, D: number): void {
    const { key, value } = cache;
    const { slidingWindow: window = Infinity } = this.config;
    if (!key || !value || key.shape[1] <= window) return;
    const last = (tensor: tf.Tensor4D): tf.Tensor4D => tf.keep(tf.slice(tensor, [0, tensor.shape[1] - window, 0, 0], [B, window, G, D]));
    [cache.key, cache.value] = [last(key), last(value)];
    tf.dispose([key, value]);
  }
}

/** The first key that each query sees: that of its document in a packed row, or the first within the window, whichever is
 *  later. undefined where queries see all keys up to their own. */
function firstKeys(sizes: { B: number; Tq: number; Tk: number }, window = Infinity, documentStart?: tf.Tensor1D): tf.Tensor2D | undefined {
  const { B, Tq, Tk } = sizes;
  if (!documentStart && Tk <= window) return undefined;
  const starts = documentStart?.dataSync<"int32">();
  const first = Int32Array.from({ length: B * Tq }, (_, i) => Math.max(starts?.[i] ?? 0, (i % Tq) + Tk - Tq - window + 1, 0));
  return tf.tensor2d(first, [B, Tq], "int32");
}
