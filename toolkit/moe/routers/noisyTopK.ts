import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import { oneHotRows } from "../../ops/oneHotRows.ts";
import { routeTopK } from "../../ops/routeTopK.ts";
import { selectExperts } from "../../ops/selectExperts.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { NoisyTopKConfig } from "../routerConfig.ts";
import { Gate } from "./gate.ts";

/** A spread of the noise below this would divide by nothing. */
const smallestSpread = 1e-6;

/** Top-k of H = x·W + N(0, 1)·softplus(x·W_noise), the weights a softmax over the K largest. W_noise begins with zeros. Without
 *  noise outside of training. Its own loss is importanceLossWeight·CV²(summed weights) + loadLossWeight·CV²(smooth load).
 *  Source: Shazeer et al. 2017, arXiv:1701.06538 eq. 3–11 and appendix A */
export class NoisyTopKRouter implements Router {
  private readonly gate: Gate;
  private readonly noise: tf.Variable<tf.Rank.R2>;
  private readonly expertsPerToken: number;
  private readonly router: NoisyTopKConfig;

  constructor(width: number, config: MoeConfig, router: NoisyTopKConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.noise = weights.zeros("noise", [width, config.numExperts]);
    this.expertsPerToken = config.expertsPerToken;
    this.router = router;
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { logits } = this.gate.scores(x, context);
    const settings = { expertsPerToken: this.expertsPerToken, renormalize: true };
    const { training, tokenMask } = context;
    if (!training) return { logits, ...routeTopK(logits, settings) };
    const spread: tf.Tensor2D = tf.maximum(tf.softplus(tf.matMul(x, this.noise)), smallestSpread);
    const draws = new Float32Array(logits.size);
    for (let i = 0; i < draws.length; i++) draws[i] = training.random.normal();
    const noisy: tf.Tensor2D = tf.add(logits, tf.mul(tf.tensor2d(draws, logits.shape), spread));
    const route = routeTopK(noisy, settings);
    return { logits, ...route, ownLoss: this.ownLoss(route, { logits, noisy, spread }, tokenMask) };
  }

  private ownLoss({ ids, weights }: Pick<RoutingDecision, "ids" | "weights">, scores: NoisyScores, tokenMask: tf.Tensor1D | undefined): tf.Scalar {
    const [N, E] = scores.logits.shape, K = ids.shape[1];
    const { importanceLossWeight, loadLossWeight } = this.router;
    const counted = <T extends tf.Tensor>(perToken: T): T => (tokenMask ? tf.mul<T>(perToken, tf.reshape(tokenMask, [N, 1])) : perToken);
    const chosen: tf.Tensor2D = tf.reshape(oneHotRows(ids, E), [N * K, E]);
    const importance = tf.matMul<tf.Tensor2D>(tf.reshape(counted(weights), [1, N * K]), chosen);
    let loss: tf.Scalar = tf.mul(squaredVariation(importance), importanceLossWeight);
    // With all experts chosen every token loads each of them, whatever the noise.
    if (loadLossWeight > 0 && K < E) loss = tf.add(loss, tf.mul(squaredVariation(tf.sum(counted(smoothLoad(scores, K)), 0)), loadLossWeight));
    return loss;
  }
}

interface NoisyScores {
  readonly logits: tf.Tensor2D;
  readonly noisy: tf.Tensor2D;
  /** standard deviation of the noise */
  readonly spread: tf.Tensor2D;
}

/** Probability that a token chooses an expert when the noise of that expert is drawn again: Φ((logit − the K-th largest of the
 *  other noisy scores) / spread); [N, E]. Appendix A, eq. 8–9. */
function smoothLoad({ logits, noisy, spread }: NoisyScores, K: number): tf.Tensor2D {
  const [N, E] = logits.shape;
  const best = selectExperts(noisy, K + 1);
  const values = chosenScores(noisy, best);
  const [last, next] = [tf.slice(values, [0, K - 1], [N, 1]), tf.slice(values, [0, K], [N, 1])];
  const inside: tf.Tensor2D = tf.sum(oneHotRows(tf.slice(best, [0, 0], [N, K]), E), 1);
  const threshold = tf.add(tf.mul(inside, next), tf.mul(tf.sub(1, inside), last));
  return tf.mul(tf.add(tf.erf(tf.div(tf.sub(logits, threshold), tf.mul(spread, Math.SQRT2))), 1), 0.5);
}

/** CV²: population variance over the squared mean. */
function squaredVariation(values: tf.Tensor): tf.Scalar {
  const mean = tf.mean(values);
  return tf.div(tf.mean(tf.square(tf.sub(values, mean))), tf.add(tf.square(mean), 1e-10));
}
