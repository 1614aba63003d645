import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { ReMoeConfig } from "../routerConfig.ts";
import { openExperts } from "../selection.ts";
import { Gate } from "./gate.ts";

/** λ stays in these bounds: at 0 it could not grow again, and an infinite one makes every loss NaN. Useful values lie far inside. */
const [smallestCoefficient, largestCoefficient] = [1e-12, 1e4];

/** Sends each token to every expert whose logit is above 0, weighted by relu(x·W). Its own loss is λ·meanₜ Σᵢ fᵢ·relu(xᵢ), where
 *  fᵢ = E/(K·T)·(tokens with expert i active) has no gradient and balances the loads. After a step λ is multiplied by
 *  coefficientFactor where the share of inactive experts is below 1 − K/E, and divided by it where it is above. Each layer
 *  has a λ of its own; the paper has one for all layers. Probabilities are relu(x) over its sum.
 *  Source: Wang et al. 2024, arXiv:2412.14711 §3 */
export class ReMoeRouter implements Router {
  private readonly gate: Gate;
  private readonly expertsPerToken: number;
  private readonly coefficientFactor: number;
  /** λ, [1] */
  private readonly coefficient: tf.Variable<tf.Rank.R1>;
  /** Of the training passes since the last step. Only their ratio is used, so a pass that is computed again changes nothing. */
  private activeChoices = 0;
  private tokens = 0;

  constructor(width: number, config: MoeConfig, router: ReMoeConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.expertsPerToken = config.expertsPerToken;
    this.coefficientFactor = router.coefficientFactor;
    this.coefficient = weights.buffer("l1Coefficient", [1], router.initialCoefficient);
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { logits } = this.gate.scores(x, context);
    const [N, E] = logits.shape;
    const scores = tf.relu(logits);
    const host = logits.dataSync<"float32">();
    const ids = openExperts(host, N, E, (n, e) => host[n * E + e] > 0);
    const probabilities: tf.Tensor2D = tf.div(scores, tf.add(tf.sum(scores, 1, true), 1e-20));
    const decision = { ids, weights: chosenScores(scores, ids), probabilities, logits };
    return context.training ? { ...decision, ownLoss: this.ownLoss(scores, host, context) } : decision;
  }

  private ownLoss(scores: tf.Tensor2D, host: Float32Array, { tokenMask }: ForwardContext): tf.Scalar {
    const [N, E] = scores.shape, K = this.expertsPerToken;
    const mask = tokenMask?.dataSync<"float32">();
    const active = new Float64Array(E);
    let tokens = 0;
    for (let n = 0; n < N; n++) {
      if (mask?.[n] === 0) continue;
      tokens += 1;
      for (let e = 0; e < E; e++) if (host[n * E + e] > 0) active[e] += 1;
    }
    this.tokens += tokens;
    this.activeChoices += active.reduce((sum, count) => sum + count, 0);
    if (tokens === 0) return tf.scalar(0);
    const share = tf.tensor2d(Float32Array.from(active, (count) => (E * count) / (K * tokens)), [1, E]);
    const counted: tf.Tensor2D = tokenMask ? tf.mul(scores, tf.reshape(tokenMask, [N, 1])) : scores;
    return tf.mul(tf.div(tf.sum(tf.mul(counted, share)), tokens), tf.reshape(this.coefficient, []));
  }

  afterStep(counts: Float64Array): void {
    if (this.tokens === 0) return;
    const E = counts.length;
    const sparsity = 1 - this.activeChoices / (this.tokens * E);
    const target = 1 - this.expertsPerToken / E;
    this.activeChoices = this.tokens = 0;
    const factor = this.coefficientFactor ** Math.sign(target - sparsity);
    tf.tidy(() => { this.coefficient.assign(tf.clipByValue(tf.mul(this.coefficient, factor), smallestCoefficient, largestCoefficient)); });
  }
}
