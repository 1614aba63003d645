import type { TransformerConfig } from "./config.ts";

/** Size and cost of a model, from its config alone. */
export interface ModelSize {
  /** All weights. */
  readonly totalParameters: number;
  /** Weights that one token uses: K of E experts, all of the rest; the embedding counts once when tied, once as head otherwise. */
  readonly activeParameters: number;
  /** Floating-point operations (a multiply-add is 2) to predict one token at a full context. */
  readonly forwardFlopsPerToken: number;
  /** Forward and backward: three times forward. */
  readonly trainingFlopsPerToken: number;
}

/** Counts by formula: matmul weights take 2 FLOPs a token, attention scores and mixing 4·Q·D·(T+1)/2 a layer
 *  with T = contextLength (a token sees (T+1)/2 keys on average). Norms, softmax and rotary are left out. */
export function modelSize(config: TransformerConfig): ModelSize {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, numLayers: L, vocabSize: V, contextLength: T } = config;
  const { numExperts: E, expertsPerToken: K, expertWidth: H } = config.moe;
  const attention = 2 * C * Q * D + 2 * C * G * D;
  const router = C * E;
  const expert = 3 * C * H;
  const norms = 2 * C;
  const embedding = V * C;
  const head = config.tiedEmbeddings ? 0 : V * C;
  const activeMatmul = L * (attention + router + K * expert) + V * C;
  const scores = L * 4 * Q * D * ((T + 1) / 2);
  const forwardFlopsPerToken = 2 * activeMatmul + scores;
  return {
    totalParameters: L * (attention + router + E * expert + norms) + C + embedding + head,
    activeParameters: activeMatmul + L * norms + C,
    forwardFlopsPerToken,
    trainingFlopsPerToken: 3 * forwardFlopsPerToken,
  };
}
