import type * as tf from "@tensorflow/tfjs-core";
import type { WeightScope } from "../nn/module.ts";
import type { MoeConfig } from "./config.ts";
import { TopKRouter } from "./routers/topK.ts";

/** What a router decides for N tokens. */
export interface Routing {
  /** chosen experts, best first, [N, K] int32 */
  readonly ids: tf.Tensor2D;
  /** combine weights, [N, K] float32, differentiable */
  readonly weights: tf.Tensor2D;
  /** softmax of the scores over all experts, [N, E] float32, differentiable */
  readonly probabilities: tf.Tensor2D;
  /** scores, [N, E] float32, differentiable */
  readonly logits: tf.Tensor2D;
}

export interface Router {
  /** @param x hidden states, [N, C] float32 */
  route(x: tf.Tensor2D): Routing;
}

/** Builds the router that `config.router.kind` names; its weights go under `router.`. */
export function createRouter(width: number, config: MoeConfig, weights: WeightScope): Router {
  const { router } = config;
  switch (router.kind) {
    case "topK": return new TopKRouter(width, config, router, weights);
  }
}
