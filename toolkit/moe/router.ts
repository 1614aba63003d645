import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import type { MoeConfig } from "./config.ts";
import { TopKRouter } from "./routers/topK.ts";

/** What a router decides for N tokens. Where tokens have different numbers of experts, K is the largest. */
export interface Routing {
  /** chosen experts, best first, [N, K] int32; −1 where a token has fewer than K */
  readonly ids: tf.Tensor2D;
  /** combine weights, [N, K] float32, differentiable */
  readonly weights: tf.Tensor2D;
  /** the router's probabilities over all experts, [N, E] float32, differentiable: what the balance loss reads */
  readonly probabilities: tf.Tensor2D;
  /** scores, [N, E] float32, differentiable */
  readonly logits: tf.Tensor2D;
  /** a loss of the router's own, with its weight; joins the training loss as it is */
  readonly ownLoss?: tf.Scalar;
}

export interface Router {
  /** @param x hidden states, [N, C] float32 */
  route(x: tf.Tensor2D, context: ForwardContext): Routing;
  /** Changes the router's buffers after an optimizer step.
   *  @param counts choices of each expert in the whole batch of the step, padding left out, [E] */
  afterStep?(counts: Float64Array): void;
}

/** Builds the router that `config.router.kind` names; its weights go under `router.`. */
export function createRouter(width: number, config: MoeConfig, weights: WeightScope): Router {
  const { router } = config;
  switch (router.kind) {
    case "topK": return new TopKRouter(width, config, router, weights);
  }
}
