import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../nn/forwardContext.ts";
import type { CapacityConfig, MoeConfig } from "./config.ts";
import type { Routing, RoutingDecision } from "./router.ts";

type FactorCapacity = Extract<CapacityConfig, { kind: "factor" }>;

/** What becomes of a router's decision: padding tokens lose their choices, and full experts drop some. */
export function assignExperts(decision: RoutingDecision, context: ForwardContext, config: MoeConfig): Routing {
  const { capacity } = config;
  const isLimited = capacity.kind === "factor" && (context.training !== undefined || capacity.applyInEvaluation);
  if (!isLimited && !context.tokenMask) return { ...decision, assigned: decision.ids, dropRate: 0, fullyDroppedRate: 0 };
  const [N, K] = decision.ids.shape;
  const chosen = withoutPadding(decision.ids.dataSync<"int32">(), K, context.tokenMask?.dataSync<"float32">());
  const ids = context.tokenMask ? tf.tensor2d(chosen, [N, K], "int32") : decision.ids;
  if (!isLimited) return { ...decision, ids, assigned: ids, dropRate: 0, fullyDroppedRate: 0 };
  const numTokens = context.tokenMask ? countUnmasked(context.tokenMask.dataSync<"float32">()) : N;
  const assigned = chosen.slice();
  const weights = capacity.dropOrder === "weight" ? decision.weights.dataSync<"float32">() : undefined;
  const numDropped = dropOverflow(assigned, expertCapacity(numTokens, config, capacity), config.numExperts, weights);
  if (numDropped === 0) return { ...decision, ids, assigned: ids, dropRate: 0, fullyDroppedRate: 0 };
  return { ...decision, ids, assigned: tf.tensor2d(assigned, [N, K], "int32"), ...dropRates(chosen, assigned, K) };
}

/** Choices that an expert takes: ceil(N·K·factor/E). */
export function expertCapacity(numTokens: number, { numExperts: E, expertsPerToken: K }: Pick<MoeConfig, "numExperts" | "expertsPerToken">, { factor }: Pick<FactorCapacity, "factor">): number {
  return Math.ceil((numTokens * K * factor) / E);
}

/** Sets choices of experts over capacity to −1, in place.
 *  @param ids [N·K]
 *  @param weights [N·K]: each expert keeps its largest weights, of equal ones the earlier token's; without them, the earlier
 *    tokens
 *  @returns number of choices dropped */
export function dropOverflow(ids: Int32Array, capacity: number, numExperts: number, weights?: ArrayLike<number>): number {
  const choices = Array.from(ids.keys()).filter((i) => ids[i] >= 0);
  if (weights) choices.sort((a, b) => weights[b] - weights[a] || a - b);
  const taken = new Int32Array(numExperts);
  let dropped = 0;
  for (const i of choices) {
    if (taken[ids[i]] < capacity) { taken[ids[i]] += 1; continue; }
    ids[i] = -1;
    dropped += 1;
  }
  return dropped;
}

/** The drop rate over all choices, and the share of tokens with choices that lost them all. */
function dropRates(chosen: Int32Array, assigned: Int32Array, K: number): Pick<Routing, "dropRate" | "fullyDroppedRate"> {
  let choices = 0, dropped = 0, tokens = 0, fullyDropped = 0;
  for (let row = 0; row < chosen.length; row += K) {
    let before = 0, after = 0;
    for (let i = row; i < row + K; i++) {
      if (chosen[i] >= 0) before += 1;
      if (assigned[i] >= 0) after += 1;
    }
    choices += before;
    dropped += before - after;
    if (before > 0) tokens += 1;
    if (before > 0 && after === 0) fullyDropped += 1;
  }
  return { dropRate: choices === 0 ? 0 : dropped / choices, fullyDroppedRate: tokens === 0 ? 0 : fullyDropped / tokens };
}

function withoutPadding(ids: Int32Array, K: number, mask: Float32Array | undefined): Int32Array {
  return mask ? ids.map((id, i) => (mask[Math.floor(i / K)] === 0 ? -1 : id)) : ids;
}

function countUnmasked(mask: Float32Array): number {
  return mask.reduce((count, value) => count + Number(value !== 0), 0);
}
