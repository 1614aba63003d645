import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import { initialStandardDeviation, type WeightScope } from "../../nn/module.ts";
import type { RandomSource } from "../../random.ts";
import type { MoeConfig } from "../config.ts";

/** Logit of an expert that is left out: its probability is 0 in float32, and so is every gradient through it. */
const leftOutLogit = -1e30;

export interface GateScores {
  /** [N, E] float32 */
  readonly logits: tf.Tensor2D;
  /** 1 for an expert that this training pass leaves out, [E]; undefined where none is */
  readonly leftOut?: Uint8Array;
}

/** The linear scores of a router, x·W with W [C, E], and the experts that sit out a training pass. */
export class Gate {
  private readonly gate: tf.Variable<tf.Rank.R2>;
  private readonly config: MoeConfig;

  constructor(width: number, config: MoeConfig, weights: WeightScope) {
    this.gate = weights.normal("gate", [width, config.numExperts], initialStandardDeviation);
    this.config = config;
  }

  /** @param x [N, C] float32 */
  scores(x: tf.Tensor2D, { training }: ForwardContext): GateScores {
    const logits: tf.Tensor2D = tf.matMul(x, this.gate);
    const { expertDropout, numExperts, expertsPerToken } = this.config;
    if (!training || expertDropout === 0) return { logits };
    const leftOut = drawLeftOut(training.random, numExperts, expertsPerToken, expertDropout);
    return { leftOut, logits: tf.add(logits, tf.tensor2d(Float32Array.from(leftOut, (isOut) => isOut * leftOutLogit), [1, numExperts])) };
  }
}

/** Each expert with the probability given, in a random order, until only K are left. */
function drawLeftOut(random: RandomSource, E: number, K: number, probability: number): Uint8Array {
  const leftOut = new Uint8Array(E);
  let remaining = E;
  for (const expert of random.permutation(E)) {
    if (random.next() >= probability || remaining === K) continue;
    leftOut[expert] = 1;
    remaining -= 1;
  }
  return leftOut;
}
