import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import { limitChoices } from "../ops/limitChoices.ts";
import type { CapacityConfig, MoeConfig } from "./config.ts";
import type { Routing, RoutingDecision } from "./router.ts";
import { withoutPadding } from "./selection.ts";

type FactorCapacity = Extract<CapacityConfig, { kind: "factor" }>;

/** What becomes of a router's decision: padding tokens lose their choices, and full experts drop some. */
export function assignExperts(decision: RoutingDecision, { tokenMask, training }: ForwardContext, config: MoeConfig): Routing {
  const { capacity } = config;
  const ids = tokenMask ? withoutPadding(decision.ids, tokenMask) : decision.ids;
  const isLimited = capacity.kind === "factor" && (training !== undefined || capacity.applyInEvaluation);
  if (!isLimited) return { ...decision, ids, assigned: ids };
  // The mask comes from the host, so nothing waits for it.
  const numTokens = tokenMask ? countUnmasked(tokenMask.dataSync<"float32">()) : ids.shape[0];
  const weights = capacity.dropOrder === "weight" ? decision.weights : undefined;
  return { ...decision, ids, assigned: limitChoices(ids, config.numExperts, expertCapacity(numTokens, config, capacity), weights) };
}

/** Choices that an expert takes: ceil(N·K·factor/E). */
export function expertCapacity(numTokens: number, { numExperts: E, expertsPerToken: K }: Pick<MoeConfig, "numExperts" | "expertsPerToken">, { factor }: Pick<FactorCapacity, "factor">): number {
  return Math.ceil((numTokens * K * factor) / E);
}

/** What full experts dropped.
 *  @returns dropRate: dropped choices over all choices; fullyDroppedRate: tokens that lost all their choices over tokens with
 *    choices; both 0 … 1 */
export function dropRates({ ids, assigned }: Pick<Routing, "ids" | "assigned">): { dropRate: tf.Scalar; fullyDroppedRate: tf.Scalar } {
  const choices = (chosen: tf.Tensor2D): tf.Tensor1D => tf.sum(tf.cast(tf.greaterEqual(chosen, 0), "float32"), 1);
  const share = (part: tf.Tensor, whole: tf.Tensor): tf.Scalar => tf.div(tf.sum(part), tf.maximum(tf.sum(whole), 1));
  const [before, after] = [choices(ids), choices(assigned)];
  const isToken = tf.cast(tf.greater(before, 0), "float32");
  return { dropRate: share(tf.sub(before, after), before), fullyDroppedRate: share(tf.mul(isToken, tf.cast(tf.equal(after, 0), "float32")), isToken) };
}

function countUnmasked(mask: Float32Array): number {
  return mask.reduce((count, value) => count + Number(value !== 0), 0);
}
