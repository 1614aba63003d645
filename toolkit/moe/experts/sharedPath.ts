import * as tf from "@tensorflow/tfjs-core";
import { initialStandardDeviation, type WeightScope } from "../../nn/module.ts";
import type { MoeConfig } from "../config.ts";
import { denseKind, type ResidualConfig, type SharedExpertsConfig } from "../expertConfig.ts";
import { DenseFeedForward } from "./dense.ts";

/** What every token of a layer passes beside the experts that the router chooses. */
export interface SharedPath {
  /** @param x the layer's input, [N, C] float32
   *  @param routed what the chosen experts gave, [N, C]
   *  @returns the layer's output, [N, C] */
  addTo(x: tf.Tensor2D, routed: tf.Tensor2D): tf.Tensor2D;
}

/** Builds shared experts and the dense branch of a layer, where its config has them; the shared experts come first.
 *  @param weights the layer's: names begin with `sharedExperts.` and `residual.` */
export function createSharedPath(shape: { width: number; numLayers: number }, config: MoeConfig, weights: WeightScope): SharedPath | undefined {
  const paths: SharedPath[] = [];
  if (config.sharedExperts) paths.push(new SharedExperts(shape, config, config.sharedExperts, weights.scope("sharedExperts")));
  if (config.residual) paths.push(new DenseBranch(shape, config, config.residual, weights.scope("residual")));
  if (paths.length === 0) return undefined;
  return { addTo: (x, routed) => paths.reduce((y, path) => path.addTo(x, y), routed) };
}

/** y + shared(x), or y + sigmoid(w·x)·shared(x) with `gate` w [C, 1].
 *  Source: DeepSeekMoE, arXiv:2401.06066 eq. 9; gate: Qwen2-MoE's published code */
class SharedExperts implements SharedPath {
  private readonly experts: DenseFeedForward;
  private readonly gate: tf.Variable<tf.Rank.R2> | undefined;

  constructor(shape: { width: number; numLayers: number }, config: MoeConfig, { count, width = config.expertWidth, isGated = false, expert }: SharedExpertsConfig, weights: WeightScope) {
    // Experts side by side are one expert of their width together.
    this.experts = new DenseFeedForward({ ...shape, hiddenWidth: count * width }, denseKind(expert, config.experts), weights);
    this.gate = isGated ? weights.normal("gate", [shape.width, 1], initialStandardDeviation) : undefined;
  }

  addTo(x: tf.Tensor2D, routed: tf.Tensor2D): tf.Tensor2D {
    const shared = this.experts.forward(x);
    return tf.add(routed, this.gate ? tf.mul(shared, tf.sigmoid(tf.matMul(x, this.gate))) : shared);
  }
}

/** c₁·y + c₂·dense(x), [c₁, c₂] = softmax(W·x + b) with `mix` W [C, 2] and `mixBias` b [2]; or y + dense(x).
 *  Source: Residual-MoE, arXiv:2201.05596 §4.1, and DeepSpeed's code */
class DenseBranch implements SharedPath {
  private readonly dense: DenseFeedForward;
  private readonly mix: { readonly weight: tf.Variable<tf.Rank.R2>; readonly bias: tf.Variable<tf.Rank.R1> } | undefined;

  constructor(shape: { width: number; numLayers: number }, config: MoeConfig, { width = config.expertWidth, isWeighted = true, expert }: ResidualConfig, weights: WeightScope) {
    this.dense = new DenseFeedForward({ ...shape, hiddenWidth: width }, denseKind(expert, config.experts), weights);
    this.mix = isWeighted ? { weight: weights.normal("mix", [shape.width, 2], initialStandardDeviation), bias: weights.zeros("mixBias", [2]) } : undefined;
  }

  addTo(x: tf.Tensor2D, routed: tf.Tensor2D): tf.Tensor2D {
    const dense = this.dense.forward(x);
    if (!this.mix) return tf.add(routed, dense);
    const scores: tf.Tensor2D = tf.add(tf.matMul(x, this.mix.weight), this.mix.bias);
    const [c1, c2] = tf.split(tf.softmax(scores), 2, 1);
    return tf.add(tf.mul(routed, c1), tf.mul(dense, c2));
  }
}
