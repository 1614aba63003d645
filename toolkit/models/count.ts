import type { MoeConfig } from "../moe/config.ts";
import { expertLayerSize, feedForwardSize, type ExpertLayerSize } from "../moe/expertSize.ts";
import { isSparseLayer, sparseLayers, transformerConfig, type TransformerConfig } from "./config.ts";

/** Size and cost of a model, from its config alone; low-rank adapters are left out. Memory is for float32. */
export interface ModelSize {
  /** All weights. */
  readonly totalParameters: number;
  /** All but the experts that a token doesn't go to: K of E count. The embedding counts whole, as published figures have it. */
  readonly activeParameters: number;
  /** Floating-point operations (a multiply-add is 2) to predict one token at a full context. */
  readonly forwardFlopsPerToken: number;
  /** Forward and backward: three times forward. */
  readonly trainingFlopsPerToken: number;
  readonly weightBytes: number;
  readonly gradientBytes: number;
  /** The two moments of AdamW. */
  readonly momentBytes: number;
  /** Estimate of what a training step holds of each token when its forward pass ends: inputs of norms, products, attention and
   *  router losses, and the scores of all V tokens. Within a third of what was measured with SwiGLU experts; other kinds, dense
   *  layers and shared experts are composed of more ops and hold up to 2.5 times as much. */
  readonly activationBytesPerToken: number;
  /** Keys and values of one token in all layers. */
  readonly kvCacheBytesPerToken: number;
  /** Keys and values of one sequence of contextLength tokens; a sliding window bounds it. */
  readonly kvCacheBytes: number;
  /** What decoding one token at a full context reads, when it is alone: the weights it uses (of the embedding one row) and the
   *  key/value cache. With the memory's bandwidth it bounds the time of a token from below. */
  readonly decodeBytesPerToken: number;
}

const BYTES_PER_FLOAT = 4;

/** Counts by formula: products with weights take 2 FLOPs a weight and token, attention scores and mixing 4·Q·D a layer and key
 *  that the token sees, in the mean over T = contextLength positions. Norms, softmax and rotary are left out. */
export function modelSize(config: TransformerConfig): ModelSize {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, numLayers: L, vocabSize: V, contextLength: T } = config;
  const attention = attentionParameters(config);
  const norms = C * (config.norm === "layer" ? 2 : 1) * (2 * L + 1);
  const layers = Array.from({ length: L }, (_, layer) => feedForwardOf(config, layer));
  const sum = (value: (layer: ExpertLayerSize) => number): number => layers.reduce((total, layer) => total + value(layer), 0);
  const tables = (config.tiedEmbeddings ? 1 : 2) * V * C;
  const outside = L * (attention.matrices + attention.others) + norms + tables;
  const totalParameters = outside + sum((layer) => layer.totalParameters);
  const activeParameters = outside + sum((layer) => layer.activeParameters);
  const forwardFlopsPerToken = 2 * (L * attention.matrices + V * C) + L * 4 * Q * D * meanKeys(T, config.slidingWindow)
    + sum((layer) => layer.forwardFlopsPerToken);
  const kvCacheBytesPerToken = L * 2 * G * D * BYTES_PER_FLOAT;
  const kvCacheBytes = kvCacheBytesPerToken * Math.min(T, config.slidingWindow ?? T);
  const lookedUp = config.tiedEmbeddings ? 0 : (V - 1) * C;
  return {
    totalParameters, activeParameters, forwardFlopsPerToken, trainingFlopsPerToken: 3 * forwardFlopsPerToken,
    weightBytes: totalParameters * BYTES_PER_FLOAT,
    gradientBytes: totalParameters * BYTES_PER_FLOAT,
    momentBytes: 2 * totalParameters * BYTES_PER_FLOAT,
    activationBytesPerToken: activationFloats(config, layers) * BYTES_PER_FLOAT,
    kvCacheBytesPerToken, kvCacheBytes,
    decodeBytesPerToken: (activeParameters - lookedUp) * BYTES_PER_FLOAT + kvCacheBytes,
  };
}

/** The dense model of the same FLOPs: every layer gets a feed-forward part of config.denseExpert, as wide as it takes. Heads,
 *  embedding and all else stay. FLOPs are the same but for the rounding of its width: below 1 % from a width of 50 on. */
export function denseTwin(config: TransformerConfig): TransformerConfig {
  const { numLayers: L, width: C } = config;
  const flops = Array.from({ length: L }, (_, layer) => feedForwardOf(config, layer).forwardFlopsPerToken).reduce((a, b) => a + b, 0);
  const flopsOfColumn = feedForwardSize(config.denseExpert, C, 1).flopsPerToken;
  // adapters name weights of experts
  return transformerConfig({ ...config, lora: undefined, firstDenseLayers: L, denseWidth: Math.max(1, Math.round(flops / L / flopsOfColumn)) });
}

/** Weights of one attention layer. */
function attentionParameters({ width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, qkNorm, attentionBias }: TransformerConfig): { matrices: number; others: number } {
  const gains = { none: 0, head: 2 * D, whole: (Q + G) * D }[qkNorm];
  return { matrices: 2 * C * Q * D + 2 * C * G * D, others: gains + (attentionBias ? (Q + 2 * G) * D : 0) };
}

/** Router and experts of a sparse layer, or the feed-forward part of a dense one. */
function feedForwardOf(config: TransformerConfig, layer: number): ExpertLayerSize {
  const { width: C, moe } = config;
  if (!isSparseLayer(config, layer)) {
    const { parameters, flopsPerToken } = feedForwardSize(config.denseExpert, C, config.denseWidth);
    return { totalParameters: parameters, activeParameters: parameters, forwardFlopsPerToken: flopsPerToken };
  }
  const experts = expertLayerSize(C, moe);
  const router = routerParameters(C, moe);
  return {
    totalParameters: experts.totalParameters + router.total, activeParameters: experts.activeParameters + router.total,
    forwardFlopsPerToken: experts.forwardFlopsPerToken + 2 * router.used,
  };
}

/** Weights of a router, and those that a forward pass outside of training uses. A custom router's are not known: 0. */
function routerParameters(C: number, { numExperts: E, router }: MoeConfig): { total: number; used: number } {
  switch (router.kind) {
    case "hash": case "custom": return { total: 0, used: 0 };
    case "noisyTopK": return { total: 2 * C * E, used: C * E };
    case "softMoe": return { total: C * E * router.slotsPerExpert, used: C * E * router.slotsPerExpert };
    default: return { total: C * E, used: C * E };
  }
}

/** Keys that a token sees, the mean over T positions: (T + 1)/2 without a window. */
function meanKeys(T: number, window = T): number {
  const W = Math.min(window, T);
  return ((W * (W + 1)) / 2 + (T - W) * W) / T;
}

/** Of a layer: two sums of the residual stream and their norms, queries, keys, values and what attention gives, with the norms
 *  of queries and keys their inputs; logits and probabilities of a router; a number for each column of the products in the
 *  feed-forward part (its FLOPs / 2C). Behind the last layer: sum, norm and V scores. */
function activationFloats(config: TransformerConfig, layers: readonly ExpertLayerSize[]): number {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, numLayers: L, vocabSize: V, moe } = config;
  const attention = 4 * C + 2 * Q * D + 2 * G * D + Q + (config.qkNorm === "none" ? 0 : (Q + G) * D);
  const routing = sparseLayers(config).length * (2 * moe.numExperts + 2 * moe.expertsPerToken);
  const hidden = layers.reduce((sum, layer) => sum + layer.forwardFlopsPerToken, 0) / (2 * C);
  return L * attention + routing + hidden + 2 * C + V;
}
