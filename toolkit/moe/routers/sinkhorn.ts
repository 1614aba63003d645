import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { SinkhornConfig } from "../routerConfig.ts";
import { bestExperts } from "../selection.ts";
import { Gate } from "./gate.ts";

/** Rounds after which the normalisation gives up: tokens that insist on one expert converge slowly. */
const maxRounds = 1000;

/** In training the K best experts of each token in a matrix whose rows sum to 1/N and columns to 1/E, made of exp(x·W) without
 *  gradient; outside of training the K largest logits. The weights are the softmax or sigmoid of the logits either way.
 *  The matrix is made of the whole batch, so in training a token's choice depends on later tokens too.
 *  Source: Clark et al. 2022, arXiv:2202.01169 (S-BASE); Lewis et al. 2021 (BASE), arXiv:2103.16716 */
export class SinkhornRouter implements Router {
  private readonly gate: Gate;
  private readonly expertsPerToken: number;
  private readonly router: SinkhornConfig;

  constructor(width: number, config: MoeConfig, router: SinkhornConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.expertsPerToken = config.expertsPerToken;
    this.router = router;
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { expertsPerToken: K, router: { scores: kind, tolerance } } = this;
    const { logits, leftOut } = this.gate.scores(x, context);
    const [N, E] = logits.shape;
    const host = logits.dataSync<"float32">();
    const choice = context.training ? sinkhorn(host, N, E, { tolerance, tokenMask: context.tokenMask?.dataSync<"float32">(), leftOut }) : host;
    const ids = tf.tensor2d(bestExperts(choice, N, E, K), [N, K], "int32");
    const probabilities = tf.softmax(logits);
    const scores = kind === "softmax" ? probabilities : tf.sigmoid(logits);
    return { ids, weights: chosenScores(scores, ids), probabilities, logits };
  }
}

export interface SinkhornOptions {
  /** largest relative error of a column's sum at the end */
  readonly tolerance: number;
  /** [N], 0 for rows that take no part */
  readonly tokenMask?: ArrayLike<number>;
  /** [E], 1 for columns that take no part */
  readonly leftOut?: ArrayLike<number>;
}

/** Scales rows and columns of exp(logits) in turns until every row that takes part sums to 1/rows and every column to
 *  1/columns within the tolerance; in double.
 *  @param logits [N·E]
 *  @returns [N·E]; 0 in rows and −Infinity in columns that take no part */
export function sinkhorn(logits: ArrayLike<number>, N: number, E: number, { tolerance, tokenMask, leftOut }: SinkhornOptions): Float64Array {
  const rows = Array.from({ length: N }, (_, n) => n).filter((n) => tokenMask?.[n] !== 0);
  const columns = Array.from({ length: E }, (_, e) => e).filter((e) => !leftOut?.[e]);
  // What takes no part stays 0 and adds nothing.
  const matrix = new Float64Array(N * E);
  for (const n of rows) {
    // Each row may be scaled freely, so its largest value becomes 1.
    const largest = columns.reduce((most, e) => Math.max(most, logits[n * E + e]), -Infinity);
    for (const e of columns) matrix[n * E + e] = Math.exp(logits[n * E + e] - largest);
  }
  const columnScale = new Float64Array(E).fill(1), columnSum = new Float64Array(E), rowScale = new Float64Array(N);
  for (let round = 0; round < maxRounds; round++) {
    columnSum.fill(0);
    for (const n of rows) {
      let sum = 0;
      for (let e = 0; e < E; e++) sum += matrix[n * E + e] * columnScale[e];
      rowScale[n] = sum > 0 ? 1 / (sum * rows.length) : 0;
      for (let e = 0; e < E; e++) columnSum[e] += matrix[n * E + e] * columnScale[e] * rowScale[n];
    }
    const error = columns.reduce((most, e) => Math.max(most, Math.abs(columnSum[e] * columns.length - 1)), 0);
    if (error <= tolerance) break;
    for (const e of columns) if (columnSum[e] > 0) columnScale[e] /= columnSum[e] * columns.length;
  }
  for (const n of rows) for (const e of columns) matrix[n * E + e] *= columnScale[e] * rowScale[n];
  for (let e = 0; e < E; e++) if (leftOut?.[e]) for (let n = 0; n < N; n++) matrix[n * E + e] = -Infinity;
  return matrix;
}
