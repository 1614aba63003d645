import { RoutingError } from "../errors.ts";

/** How evenly one layer's assignments spread over its experts. c are the counts, c̄ their mean. */
export interface LoadMetrics {
  /** share of the assignments by expert, [E]; sums to 1 */
  readonly load: readonly number[];
  /** (max c − c̄) / c̄, 0 (balanced) … E − 1. Source: Wang et al. 2024, eq. 4, arXiv:2408.15664 */
  readonly maxVio: number;
  /** c̄ / max c = 1 / (1 + maxVio), in (0, 1] */
  readonly loadBalancingEfficiency: number;
  /** population standard deviation of c / c̄; its square is the CV² of Shazeer et al. 2017, eq. 7, arXiv:1701.06538 */
  readonly loadCv: number;
  /** entropy of the load / ln E, 0 … 1 (balanced) */
  readonly loadEntropy: number;
  /** experts without any assignment */
  readonly deadExperts: readonly number[];
}

/** Entropy of a distribution in parts of the largest possible one, 0 … 1. A single expert is uniform: 1.
 *  @param probabilities sum to 1; 0 adds nothing (p ln p → 0)
 *  @param start @param length the part of `probabilities` to read */
export function normalizedEntropy(probabilities: ArrayLike<number>, start = 0, length = probabilities.length): number {
  if (length === 1) return 1;
  let nats = 0;
  for (let index = start; index < start + length; index++) {
    const probability = probabilities[index];
    if (probability > 0) nats -= probability * Math.log(probability);
  }
  return nats / Math.log(length);
}

/** The metrics of one layer over whatever its counts cover: a batch gives the batch values, an evaluation set the global ones.
 *  @param counts (token, slot) assignments by expert, [E], ≥ 0
 *  @throws RoutingError E_ROUTING_NO_TOKENS when all counts are 0 */
export function loadMetrics(counts: ArrayLike<number>): LoadMetrics {
  const E = counts.length;
  let total = 0;
  let largest = 0;
  for (let expert = 0; expert < E; expert++) {
    total += counts[expert];
    largest = Math.max(largest, counts[expert]);
  }
  if (total === 0) {
    throw new RoutingError({
      code: "E_ROUTING_NO_TOKENS", what: `the counts of ${E} experts are all 0`,
      why: "shares of nothing have no value", fix: "add the routing of at least one token first",
    });
  }
  const mean = total / E;
  const load = Array.from(counts, (count) => count / total);
  const variance = Array.from(counts, (count) => (count - mean) ** 2).reduce((sum, square) => sum + square, 0) / E;
  return {
    load,
    maxVio: (largest - mean) / mean,
    loadBalancingEfficiency: mean / largest,
    loadCv: Math.sqrt(variance) / mean,
    loadEntropy: normalizedEntropy(load),
    deadExperts: Array.from(counts, (count, expert) => (count === 0 ? expert : -1)).filter((expert) => expert >= 0),
  };
}
