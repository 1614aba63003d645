import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import { planDispatch } from "../ops/dispatch.ts";
import { checkMoeConfig, type MoeConfig } from "./config.ts";
import { createExperts, type Experts } from "./experts.ts";
import { createRouter, type Router, type Routing } from "./router.ts";

/** A sparse feed-forward layer: router → dispatch → experts → combine. Takes the place of a block's feed-forward part. */
export class MoeLayer {
  private readonly router: Router;
  private readonly experts: Experts;
  private readonly numExperts: number;

  constructor(shape: { width: number; numLayers: number }, config: MoeConfig, weights: WeightScope) {
    checkMoeConfig(config);
    this.numExperts = config.numExperts;
    this.router = createRouter(shape.width, config, weights.scope("router"));
    this.experts = createExperts(shape, config, weights.scope("experts"));
  }

  /** @param x [N, C] float32, normed
   *  @returns y [N, C], to be added to the residual stream, and what the router decided */
  forward(x: tf.Tensor2D, context: ForwardContext): { y: tf.Tensor2D; routing: Routing } {
    const routing = this.router.route(x, context);
    const plan = planDispatch(routing.ids, this.numExperts);
    return { y: this.experts.forward(x, routing.weights, plan, context), routing };
  }

  /** @param counts choices of each expert in the whole batch of an optimizer step, [E] */
  afterStep(counts: Float64Array): void {
    this.router.afterStep?.(counts);
  }
}
