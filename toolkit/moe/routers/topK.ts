import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../../backend/activationStorage.ts";
import { initialStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { routeTopK } from "../../ops/routeTopK.ts";
import type { MoeConfig, RouterConfig } from "../config.ts";
import type { Router, Routing } from "../router.ts";

/** Sends each token to its K most probable experts; always in float32.
 *  Source: Shazeer et al. 2017, eq. 3–5, arXiv:1701.06538 (without the noise term); Mixtral, arXiv:2401.04088. */
export class TopKRouter implements Router {
  private readonly gate: tf.Variable<tf.Rank.R2>;
  private readonly expertsPerToken: number;
  private readonly renormalize: boolean;

  constructor(width: number, config: MoeConfig, router: Extract<RouterConfig, { kind: "topK" }>, weights: WeightScope) {
    this.gate = weights.normal("gate", [width, config.numExperts], initialStandardDeviation);
    this.expertsPerToken = config.expertsPerToken;
    this.renormalize = router.renormalize;
  }

  route(x: tf.Tensor2D): Routing {
    // No choice of experts may depend on how activations are kept.
    const logits: tf.Tensor2D = withActivationStorage("float32", () => tf.matMul(x, this.gate));
    return { logits, ...routeTopK(logits, { expertsPerToken: this.expertsPerToken, renormalize: this.renormalize }) };
  }
}
