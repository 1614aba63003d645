import * as tf from "@tensorflow/tfjs-core";
import { bestOfRows } from "../ops/bestOfRows.ts";

/** The K best experts of each token on the host, best first; ties go to the lower id and NaN counts as the lowest score.
 *  @param scores [N·E]; −Infinity: the expert can't be chosen
 *  @returns [N·K], −1 where fewer than K can be chosen */
export function bestExperts(scores: ArrayLike<number>, N: number, E: number, K: number): Int32Array {
  return bestOfRows(scores, N, E, K, -Infinity);
}

/** What bestExperts chooses by: score + bias, −Infinity for experts that are left out. A loop, because Float64Array.from with a
 *  function takes ten times as long.
 *  @param scores [N·E]
 *  @param leftOut [E], 1 for an expert that is left out
 *  @param bias [E] */
export function choiceScores(scores: ArrayLike<number>, E: number, leftOut?: ArrayLike<number>, bias?: ArrayLike<number>): Float64Array {
  const choice = new Float64Array(scores.length);
  for (let i = 0, e = 0; i < choice.length; i++, e = e + 1 === E ? 0 : e + 1) {
    choice[i] = leftOut?.[e] ? -Infinity : scores[i] + (bias ? bias[e] : 0);
  }
  return choice;
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

/** The scores of chosen experts: y[n, k] = scores[n, ids[n, k]], 0 where the id is −1. A gather whose gradient is a scatter;
 *  the work is N·K, not N·K·E.
 *  @param scores [N, E] float32
 *  @param ids [N, K] int32, no id twice in a row but −1
 *  @returns [N, K]; differentiable in scores */
export function scoresAt(scores: tf.Tensor2D, ids: tf.Tensor2D): tf.Tensor2D {
  const [N, E] = scores.shape, K = ids.shape[1];
  const chosen = ids.dataSync<"int32">();
  const place = chosen.map((id, i) => Math.floor(i / K) * E + Math.max(id, 0));
  const isChosen = new Float32Array(chosen.length);
  chosen.forEach((id, i) => { isChosen[i] = id < 0 ? 0 : 1; });
  const gather = tf.customGrad((source, save) => {
    const places = tf.tensor1d(place, "int32"), factors = tf.tensor1d(isChosen);
    (save as tf.GradSaveFunc)([places, factors]);
    return {
      value: tf.reshape(tf.mul(tf.gather(tf.reshape(source as tf.Tensor, [N * E]), places), factors), [N, K]),
      gradFunc: (dy: tf.Tensor, [savedPlaces, savedFactors]: tf.Tensor[]) =>
        tf.reshape(tf.scatterND(tf.reshape(savedPlaces, [N * K, 1]), tf.mul(tf.reshape(dy, [N * K]), savedFactors), [N * E]), [N, E]),
    };
  });
  return gather(scores) as tf.Tensor2D;
}
