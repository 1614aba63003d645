import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { routeTopK } from "../../ops/routeTopK.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { ExpertChoiceConfig } from "../routerConfig.ts";
import { openExperts } from "../selection.ts";
import { Gate } from "./gate.ts";

/** How much of the old threshold a step keeps. */
const thresholdDecay = 0.95;

let hasWarned = false;

/** Each expert takes its ceil(N·capacityFactor/E) best tokens of the batch by p = softmax(x·W); the weights are p. Loads are
 *  equal by construction. In training of a causal model it leaks: whether a token gets an expert depends on the tokens
 *  after it. Outside of training a causal model chooses token by token instead, as `inference` says, so evaluation
 *  measures what generation does.
 *  Source: Zhou et al. 2022, arXiv:2202.09368 §3 */
export class ExpertChoiceRouter implements Router {
  private readonly gate: Gate;
  private readonly router: ExpertChoiceConfig;
  private readonly expertsPerToken: number;
  /** lowest probability that each expert took, averaged over steps, [E]; only for inference by threshold */
  private readonly threshold: tf.Variable<tf.Rank.R1> | undefined;
  /** of the training passes since the last step: sums over passes of the lowest probability taken, [E] */
  private readonly lowest: Float64Array;
  private passes = 0;

  constructor(width: number, config: MoeConfig, router: ExpertChoiceConfig, weights: WeightScope) {
    this.gate = new Gate(width, config, weights);
    this.router = router;
    this.expertsPerToken = config.expertsPerToken;
    this.lowest = new Float64Array(config.numExperts);
    // A uniform softmax would be just above it.
    if (router.inference === "threshold") this.threshold = weights.buffer("threshold", [config.numExperts], 1 / config.numExperts);
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { logits, leftOut } = this.gate.scores(x, context);
    const [N, E] = logits.shape;
    const isChosenByExperts = context.training !== undefined || !context.isCausal;
    if (!isChosenByExperts && !this.threshold) return { logits, ...routeTopK(logits, { expertsPerToken: this.expertsPerToken, renormalize: false }) };
    if (isChosenByExperts && context.isCausal) warnOnce();
    const probabilities = tf.softmax(logits);
    const p = probabilities.dataSync<"float32">();
    const isTaken = isChosenByExperts ? this.takenByExperts(p, N, E, context, leftOut) : this.aboveThreshold(p, E);
    const ids = openExperts(p, N, E, isTaken);
    return { ids, weights: chosenScores(probabilities, ids), probabilities, logits };
  }

  private takenByExperts(p: Float32Array, N: number, E: number, { tokenMask, training }: ForwardContext, leftOut: Uint8Array | undefined): (n: number, e: number) => boolean {
    const mask = tokenMask?.dataSync<"float32">();
    const tokens = Array.from({ length: N }, (_, n) => n).filter((n) => mask?.[n] !== 0);
    const capacity = Math.min(tokens.length, Math.ceil((tokens.length * this.router.capacityFactor) / E));
    const taken = new Uint8Array(N * E);
    for (let e = 0; e < E; e++) {
      if (leftOut?.[e] || capacity === 0) continue;
      const column = new Float32Array(tokens.length);
      tokens.forEach((n, i) => { column[i] = p[n * E + e]; });
      const cutOff = column.sort()[tokens.length - capacity];
      let free = capacity;
      for (const n of tokens) if (p[n * E + e] > cutOff) { taken[n * E + e] = 1; free -= 1; }
      // Of tokens at the cut-off, the earlier ones.
      for (const n of tokens) if (free > 0 && p[n * E + e] === cutOff) { taken[n * E + e] = 1; free -= 1; }
      if (training) this.lowest[e] += cutOff;
    }
    if (training) this.passes += 1;
    return (n, e) => taken[n * E + e] === 1;
  }

  private aboveThreshold(p: Float32Array, E: number): (n: number, e: number) => boolean {
    const threshold = this.threshold?.dataSync<"float32">() ?? new Float32Array(E);
    return (n, e) => p[n * E + e] >= threshold[e];
  }

  afterStep(): void {
    const { threshold, lowest, passes } = this;
    if (threshold && passes > 0) {
      const next = threshold.dataSync<"float32">().map((old, e) => thresholdDecay * old + ((1 - thresholdDecay) * lowest[e]) / passes);
      tf.tidy(() => { threshold.assign(tf.tensor1d(next)); });
    }
    lowest.fill(0);
    this.passes = 0;
  }
}

function warnOnce(): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn("The router expertChoice is trained in a causal model: whether a token gets an expert depends on later tokens of its row, "
    + "so the training loss looks better than what the model can do when it writes. Outside of training it chooses token by token. checkCausality shows the leak.");
}
