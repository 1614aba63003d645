import type * as tf from "@tensorflow/tfjs-core";
import { RoutingError } from "../errors.ts";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import type { MoeConfig } from "./config.ts";
import { CustomRouter } from "./routers/custom.ts";
import { ExpertChoiceRouter } from "./routers/expertChoice.ts";
import { HashRouter } from "./routers/hash.ts";
import { NoisyTopKRouter } from "./routers/noisyTopK.ts";
import { ReMoeRouter } from "./routers/reMoe.ts";
import { SigmoidRouter } from "./routers/sigmoid.ts";
import { SinkhornRouter } from "./routers/sinkhorn.ts";
import { SwitchRouter } from "./routers/switch.ts";
import { TopKRouter } from "./routers/topK.ts";

/** What a router decides for N tokens. Where tokens have different numbers of experts, K is the largest. */
export interface RoutingDecision {
  /** chosen experts, best first, [N, K] int32; −1 where a token has fewer than K */
  readonly ids: tf.Tensor2D;
  /** combine weights, [N, K] float32, differentiable */
  readonly weights: tf.Tensor2D;
  /** the router's probabilities over all experts, [N, E] float32, differentiable: what the balance losses read */
  readonly probabilities: tf.Tensor2D;
  /** scores, [N, E] float32, differentiable */
  readonly logits: tf.Tensor2D;
  /** A loss of the router's own, with its weight. Its mean over layers joins the training loss. In training only. */
  readonly ownLoss?: tf.Scalar;
}

/** What a router decided and what became of it. Padding tokens have no expert. */
export interface Routing extends RoutingDecision {
  /** the experts that compute, [N, K] int32: ids, but −1 where a full expert dropped the choice */
  readonly assigned: tf.Tensor2D;
}

export interface Router {
  /** @param x hidden states, [N, C] float32 */
  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision;
  /** Changes the router's buffers after an optimizer step.
   *  @param counts choices of each expert in the whole batch of the step, padding left out, [E] */
  afterStep?(counts: Float64Array): void;
}

/** Builds the router that `config.router.kind` names; its weights go under `router.`. Routers compute in float32: callers
 *  leave any scope of withActivationStorage.
 *  @throws ConfigError E_ROUTER_NOT_REGISTERED, RoutingError E_SOFT_MOE_ROUTER */
export function createRouter(width: number, config: MoeConfig, weights: WeightScope): Router {
  const { router } = config;
  switch (router.kind) {
    case "topK": return new TopKRouter(width, config, router, weights);
    case "switch": return new SwitchRouter(width, config, router, weights);
    case "noisyTopK": return new NoisyTopKRouter(width, config, router, weights);
    case "sigmoid": return new SigmoidRouter(width, config, router, weights);
    case "expertChoice": return new ExpertChoiceRouter(width, config, router, weights);
    case "sinkhorn": return new SinkhornRouter(width, config, router, weights);
    case "hash": return new HashRouter(config, router);
    case "reMoE": return new ReMoeRouter(width, config, router, weights);
    case "custom": return new CustomRouter(width, config, router, weights);
    case "softMoe": throw new RoutingError({
      code: "E_SOFT_MOE_ROUTER", what: "soft MoE was built as a router", why: "it mixes tokens and sends none to an expert",
      fix: "build a MoeLayer with this config",
    });
  }
}
