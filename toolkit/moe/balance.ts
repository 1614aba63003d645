import * as tf from "@tensorflow/tfjs-core";
import { oneHotRows } from "../ops/oneHotRows.ts";

/** Load-balancing loss of one layer without its weight α: E · Σᵢ fᵢ·Pᵢ, where fᵢ is the share of the N·K assignments
 *  that went to expert i (no gradient) and Pᵢ the mean router probability of expert i. Perfect balance gives 1.
 *  @param ids chosen experts, [N, K] int32
 *  @param probabilities [N, E] float32, differentiable
 *  @param tokenMask [N] float32, 0 for padding tokens: they count neither in f nor in P
 *  Source: Fedus et al. 2021 (Switch), eq. 4–6, arXiv:2101.03961 */
export function balanceLoss(ids: tf.Tensor2D, probabilities: tf.Tensor2D, tokenMask?: tf.Tensor1D): tf.Scalar {
  const [N, K] = ids.shape;
  const E = probabilities.shape[1];
  return tf.tidy(() => {
    const chosen = oneHotRows(tf.reshape(ids, [N * K]), E);
    if (!tokenMask) {
      const share = tf.mean(chosen, 0);
      return tf.mul(tf.sum(tf.mul(share, tf.mean(probabilities, 0))), E);
    }
    const mask = tf.reshape(tokenMask, [N, 1]);
    const numTokens = tf.sum(tokenMask);
    const perToken = tf.sum(tf.reshape(chosen, [N, K, E]), 1);
    const share = tf.div(tf.sum(tf.mul(perToken, mask), 0), tf.mul(numTokens, K));
    const meanProbability = tf.div(tf.sum(tf.mul(probabilities, mask), 0), numTokens);
    return tf.mul(tf.sum(tf.mul(share, meanProbability)), E);
  });
}

/** Router z-loss of one layer without its weight: mean over tokens of logsumexp(logits)², in float32.
 *  @param logits [N, E] float32 @param tokenMask as in balanceLoss
 *  Source: Zoph et al. 2022 (ST-MoE), eq. 5, arXiv:2202.08906 */
export function zLoss(logits: tf.Tensor2D, tokenMask?: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => {
    const squares = tf.square(tf.logSumExp(logits, 1));
    if (!tokenMask) return tf.mean(squares);
    return tf.div(tf.sum(tf.mul(squares, tokenMask)), tf.sum(tokenMask));
  });
}
