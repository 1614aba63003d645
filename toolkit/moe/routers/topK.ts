import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import { routeTopK } from "../../ops/routeTopK.ts";
import { selectExperts } from "../../ops/selectExperts.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { GroupLimit, TopKConfig } from "../routerConfig.ts";
import { choiceBias } from "../selection.ts";
import { Gate, type GateScores } from "./gate.ts";

/** Sends each token to its K most probable experts.
 *  Source: Shazeer et al. 2017, eq. 3–5, arXiv:1701.06538 (without the noise term); Mixtral, arXiv:2401.04088; groups:
 *  DeepSeek-V2, arXiv:2405.04434 §2.1.2 */
export class TopKRouter implements Router {
  private readonly gate: Gate;
  private readonly expertsPerToken: number;
  private readonly router: TopKConfig;

  constructor(width: number, config: MoeConfig, router: TopKConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.expertsPerToken = config.expertsPerToken;
    this.router = router;
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { expertsPerToken, router: { renormalize, groupLimit } } = this;
    const scores = this.gate.scores(x, context);
    if (groupLimit) return this.routeInGroups(scores, groupLimit);
    return { logits: scores.logits, ...routeTopK(scores.logits, { expertsPerToken, renormalize }) };
  }

  private routeInGroups({ logits, leftOut }: GateScores, groupLimit: GroupLimit): RoutingDecision {
    const { expertsPerToken: K, router: { renormalize } } = this;
    const probabilities = tf.softmax(logits);
    const bias = choiceBias(leftOut);
    const ids = selectExperts(probabilities, K, { ...(bias && { bias }), groups: { ...groupLimit, summed: 1 } });
    const kept = chosenScores(probabilities, ids);
    return { ids, weights: renormalize ? tf.div(kept, tf.sum(kept, 1, true)) : kept, probabilities, logits };
  }
}
