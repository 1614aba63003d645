import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { routeTopK } from "../../ops/routeTopK.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { SwitchConfig } from "../routerConfig.ts";
import { Gate } from "./gate.ts";

/** Sends each token to its most probable expert, weighted by the probability. In training every value that the router reads
 *  is multiplied by U(1 − ε, 1 + ε); the experts read the values as they are.
 *  Source: Fedus et al. 2021, arXiv:2101.03961 */
export class SwitchRouter implements Router {
  private readonly gate: Gate;
  private readonly jitter: number;

  constructor(width: number, config: MoeConfig, router: SwitchConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.jitter = router.jitter;
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { logits } = this.gate.scores(this.jittered(x, context), context);
    return { logits, ...routeTopK(logits, { expertsPerToken: 1, renormalize: false }) };
  }

  private jittered(x: tf.Tensor2D, { training }: ForwardContext): tf.Tensor2D {
    if (!training || this.jitter === 0) return x;
    const factors = new Float32Array(x.size);
    for (let i = 0; i < factors.length; i++) factors[i] = 1 + this.jitter * (2 * training.random.next() - 1);
    return tf.mul(x, tf.tensor2d(factors, x.shape));
  }
}
