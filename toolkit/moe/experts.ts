import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { WeightScope } from "../nn/module.ts";
import type { DispatchPlan } from "../ops/dispatch.ts";
import type { MoeConfig } from "./config.ts";
import { defaultExpert, type SingleExpertConfig } from "./expertConfig.ts";
import { CustomExperts } from "./experts/custom.ts";
import { FeedForwardExperts } from "./experts/feedForward.ts";
import { LoraExperts } from "./experts/lora.ts";
import { MixedExperts } from "./experts/mixed.ts";
import { ConstantExperts, CopyExperts, ZeroExperts } from "./experts/withoutProducts.ts";

/** The E experts of a layer. */
export interface Experts {
  /** Each expert on its own rows, without combine weights.
   *  @param rows [S, C] float32, sorted by expert
   *  @param offsets [E + 1] int32: expert e has the rows offsets[e] ≤ s < offsets[e + 1]
   *  @returns [S, C], differentiable in rows and in the experts' weights */
  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D, context: ForwardContext): tf.Tensor2D;
  /** Sends tokens to their experts and adds up what comes back: combine(apply(dispatch(x))), by a fused op where there is one.
   *  @param x [N, C] @param weights combine weights [N, K] @returns [N, C] */
  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan, context: ForwardContext): tf.Tensor2D;
}

/** Sizes that experts are built from. */
export interface ExpertShape {
  /** C */
  readonly width: number;
  /** H */
  readonly expertWidth: number;
  /** E */
  readonly numExperts: number;
  /** layers of the model; decides the size of fresh weights */
  readonly numLayers: number;
}

/** Builds the experts of a layer; their weights go under `experts.`, those of mixed kinds under `experts.<group>.`.
 *  @throws ConfigError E_EXPERT_NOT_REGISTERED */
export function createExperts(shape: { width: number; numLayers: number }, config: MoeConfig, weights: WeightScope): Experts {
  const { numExperts, expertWidth, experts = defaultExpert } = config;
  if (experts.kind !== "mixed") return createGroup({ ...shape, numExperts, expertWidth }, experts, weights);
  return new MixedExperts(experts.groups.map((group, i) => ({
    count: group.count,
    experts: createGroup({ ...shape, numExperts: group.count, expertWidth: group.expertWidth ?? expertWidth }, group.expert, weights.scope(String(i))),
  })));
}

function createGroup(shape: ExpertShape, expert: SingleExpertConfig, weights: WeightScope): Experts {
  switch (expert.kind) {
    case "zero": return new ZeroExperts();
    case "copy": return new CopyExperts();
    case "constant": return new ConstantExperts(shape, weights);
    case "lora": return new LoraExperts(shape, expert, weights);
    case "custom": return new CustomExperts(shape, expert, weights);
    default: return new FeedForwardExperts(shape, expert, weights);
  }
}
