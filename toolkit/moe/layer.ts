import type * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../backend/activationStorage.ts";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import { planDispatch } from "../ops/dispatch.ts";
import { assignExperts } from "./capacity.ts";
import { checkMoeConfig, type MoeConfig } from "./config.ts";
import { createExperts, type Experts } from "./experts.ts";
import { createSharedPath, type SharedPath } from "./experts/sharedPath.ts";
import { createRouter, type Router, type Routing } from "./router.ts";
import { SoftMoeMixing } from "./routers/softMoe.ts";

/** A sparse feed-forward layer: router → capacity → dispatch → experts → combine. Takes the place of a block's feed-forward
 *  part. */
export class MoeLayer {
  private readonly config: MoeConfig;
  private readonly router: Router | SoftMoeMixing;
  private readonly experts: Experts;
  private readonly sharedPath: SharedPath | undefined;

  /** @throws ConfigError E_CONFIG_*, E_ROUTER_NOT_REGISTERED, E_EXPERT_NOT_REGISTERED */
  constructor(shape: { width: number; numLayers: number }, config: MoeConfig, weights: WeightScope) {
    this.config = checkMoeConfig(config);
    const place = weights.scope("router");
    this.router = config.router.kind === "softMoe"
      ? new SoftMoeMixing(shape.width, config, config.router, place)
      : createRouter(shape.width, config, place);
    this.experts = createExperts(shape, config, weights.scope("experts"));
    this.sharedPath = createSharedPath(shape, config, weights);
  }

  /** @param x [N, C] float32, normed
   *  @returns y [N, C], to be added to the residual stream, and what the router decided
   *  @throws RoutingError E_SOFT_MOE_CAUSAL, and what a custom router is refused for */
  forward(x: tf.Tensor2D, context: ForwardContext): { y: tf.Tensor2D; routing: Routing } {
    const { y, routing } = this.router instanceof SoftMoeMixing ? this.router.forward(x, this.experts, context) : this.forwardChoices(this.router, x, context);
    return { y: this.sharedPath?.addTo(x, y) ?? y, routing };
  }

  private forwardChoices(router: Router, x: tf.Tensor2D, context: ForwardContext): { y: tf.Tensor2D; routing: Routing } {
    // No choice of experts may depend on how activations are kept.
    const routing = withActivationStorage("float32", () => assignExperts(router.route(x, context), context, this.config));
    const plan = planDispatch(routing.assigned, this.config.numExperts);
    return { y: this.experts.forward(x, routing.weights, plan, context), routing };
  }

  /** @param counts choices of each expert in the whole batch of an optimizer step, [E] */
  afterStep(counts: Float64Array): void {
    if (!(this.router instanceof SoftMoeMixing)) this.router.afterStep?.(counts);
  }
}
