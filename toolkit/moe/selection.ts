import * as tf from "@tensorflow/tfjs-core";
import { bestOfRows } from "../ops/bestOfRows.ts";

/** The K best experts of each token on the host, best first; ties go to the lower id and NaN counts as the lowest score.
 *  @param scores [N·E]; −Infinity: the expert can't be chosen
 *  @returns [N·K], −1 where fewer than K can be chosen */
export function bestExperts(scores: ArrayLike<number>, N: number, E: number, K: number): Int32Array {
  return bestOfRows(scores, N, E, K, -Infinity);
}

/** What selectExperts is to add to the scores: the bias, −Infinity for experts that are left out; undefined for nothing.
 *  @param leftOut [E], 1 for an expert that is left out
 *  @param bias [E] */
export function choiceBias(leftOut?: ArrayLike<number>, bias?: tf.Tensor1D): tf.Tensor1D | undefined {
  if (!leftOut) return bias;
  const closed = tf.tensor1d(Float32Array.from(leftOut, (isOut) => (isOut ? -Infinity : 0)));
  return bias ? tf.add(closed, bias) : closed;
}

/** All experts that are open to each token, best first; ties go to the lower id.
 *  @param scores [N·E]
 *  @returns ids [N, K] int32, K the largest number of a token, at least 1; −1 where a token has fewer */
export function openExperts(scores: ArrayLike<number>, N: number, E: number, isOpen: (n: number, e: number) => boolean): tf.Tensor2D {
  let K = 1;
  const rows = Array.from({ length: N }, (_, n) => {
    const row: number[] = [];
    for (let e = 0; e < E; e++) if (isOpen(n, e)) row.push(e);
    row.sort((a, b) => scores[n * E + b] - scores[n * E + a] || a - b);
    K = Math.max(K, row.length);
    return row;
  });
  const ids = new Int32Array(N * K).fill(-1);
  rows.forEach((row, n) => { ids.set(row, n * K); });
  return tf.tensor2d(ids, [N, K], "int32");
}

/** The choices of real tokens: −1 where the mask is 0.
 *  @param ids [N, K] int32
 *  @param tokenMask [N] float32 */
export function withoutPadding(ids: tf.Tensor2D, tokenMask: tf.Tensor1D): tf.Tensor2D {
  return tf.tidy(() => tf.where<tf.Tensor2D>(tf.equal(tf.reshape(tokenMask, [-1, 1]), 0), tf.fill(ids.shape, -1, "int32"), ids));
}
