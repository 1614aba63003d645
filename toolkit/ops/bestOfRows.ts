/** Columns of the K largest of each row, largest first; ties go to the lower column and NaN counts as the lowest. On the host,
 *  because backends differ in how tf.topk breaks ties.
 *  @param values [N·E]
 *  @param closed a value that is never taken, e.g. −Infinity; none by default
 *  @returns [N·K], −1 where a row has fewer than K */
export function bestOfRows(values: ArrayLike<number>, N: number, E: number, K: number, closed?: number): Int32Array {
  const columns = new Int32Array(N * K).fill(-1);
  const isTaken = new Uint8Array(E);
  for (let n = 0; n < N; n++) {
    isTaken.fill(0);
    for (let k = 0; k < K; k++) {
      let best = -1;
      for (let e = 0; e < E; e++) {
        const value = values[n * E + e];
        if (isTaken[e] || value === closed) continue;
        if (best < 0 || value > values[n * E + best] || (Number.isNaN(values[n * E + best]) && !Number.isNaN(value))) best = e;
      }
      if (best < 0) break;
      isTaken[best] = 1;
      columns[n * K + k] = best;
    }
  }
  return columns;
}
