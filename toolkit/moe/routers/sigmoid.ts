import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import { selectExperts } from "../../ops/selectExperts.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { SigmoidConfig } from "../routerConfig.ts";
import { choiceBias } from "../selection.ts";
import { Gate } from "./gate.ts";

/** Sends each token to the K experts with the largest s + b, s = sigmoid(x·W), b a bias that no gradient changes: "loss-free"
 *  balance. The weights are s / (sum of the K s) · routedScalingFactor, without b; probabilities are s / (sum of all s).
 *  Source: Wang et al. 2024, arXiv:2408.15664 algorithm 1; DeepSeek-V3, arXiv:2412.19437 §2.1.2 */
export class SigmoidRouter implements Router {
  private readonly gate: Gate;
  /** b, [E]; undefined without an update rate */
  private readonly bias: tf.Variable<tf.Rank.R1> | undefined;
  private readonly expertsPerToken: number;
  private readonly router: SigmoidConfig;

  constructor(width: number, config: MoeConfig, router: SigmoidConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    if (router.biasUpdateRate > 0) this.bias = weights.buffer("bias", [config.numExperts]);
    this.expertsPerToken = config.expertsPerToken;
    this.router = router;
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { expertsPerToken: K, router: { renormalize, routedScalingFactor, groupLimit } } = this;
    const { logits, leftOut } = this.gate.scores(x, context);
    const scores = tf.sigmoid(logits);
    const bias = choiceBias(leftOut, this.bias);
    const ids = selectExperts(scores, K, { ...(bias && { bias }), ...(groupLimit && { groups: { ...groupLimit, summed: 2 } }) });
    const kept = chosenScores(scores, ids);
    const shares: tf.Tensor2D = renormalize ? shareOf(kept, kept) : kept;
    const weights: tf.Tensor2D = routedScalingFactor === 1 ? shares : tf.mul(shares, routedScalingFactor);
    return { ids, weights, probabilities: shareOf(scores, scores), logits };
  }

  afterStep(counts: Float64Array): void {
    if (!this.bias) return;
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    // Made on the host by the step before, so nothing is waited for.
    const bias = this.bias.dataSync<"float32">().map((b, e) => b + this.router.biasUpdateRate * Math.sign(mean - counts[e]));
    tf.tidy(() => { this.bias?.assign(tf.tensor1d(bias)); });
  }
}

/** values over the row sums of whole; 0 where all of whole is 0. */
function shareOf(values: tf.Tensor2D, whole: tf.Tensor2D): tf.Tensor2D {
  return tf.div(values, tf.add(tf.sum(whole, 1, true), 1e-20));
}
