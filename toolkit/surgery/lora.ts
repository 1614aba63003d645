import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import { loraSuffixes, loraTargets, type LoraConfig } from "../nn/lora.ts";
import { buildModel, stateOf } from "./modelState.ts";

export interface AdaptedModel {
  /** A model of its own with the weights of the one given; at first it computes the same. */
  readonly model: Transformer;
  /** names of the weights with an adapter */
  readonly adapted: readonly string[];
  /** names that a target fits but that can have no adapter: norms, biases, router gates, embeddings */
  readonly skipped: readonly string[];
}

/** Gives a model low-rank adapters, on matrices of attention, of dense feed-forward parts and of experts: a stack of expert
 *  matrices [E, I, O] gets an adapter for each expert. All other weights are frozen but those of `lora.train`. The settings
 *  become part of the config, so checkpoints and bundles hold the adapters beside the frozen weights.
 *  A forward pass forms each adapted weight once, W + alpha/rank · A·B, and computes with it as without adapters: for
 *  generation, which takes many small passes, use mergeLora first.
 *  @param model stays as it is; dispose it when it is no longer needed
 *  @throws ConfigError E_LORA_TARGET, E_WEIGHT_PATTERN for a pattern that fits nothing; E_CONFIG_LORA; E_LORA_PRESENT
 *  Source: Hu et al. 2021, arXiv:2106.09685 */
export function addLora(model: Transformer, lora: LoraConfig, options: { readonly seed: number } = { seed: 0 }): AdaptedModel {
  if (model.config.lora) {
    throw new ConfigError({
      code: "E_LORA_PRESENT", what: "the model has adapters already", why: "a weight has at most one adapter", fix: "call mergeLora first",
    });
  }
  const state = stateOf(model);
  const adapted = buildModel({ ...model.config, lora }, options.seed, (name) => state.get(name));
  return { model: adapted, ...loraTargets(lora, adapted.parameters().keys()) };
}

/** A model without adapters that computes what the adapted one computes: each target becomes W + alpha/rank · A·B.
 *  @param model stays as it is
 *  @throws ConfigError E_LORA_MISSING */
export function mergeLora(model: Transformer): Transformer {
  const { lora, ...config } = model.config;
  if (!lora) {
    throw new ConfigError({ code: "E_LORA_MISSING", what: "the model has no adapters", why: "there is nothing to merge", fix: "pass a model that addLora gave" });
  }
  const state = stateOf(model);
  const weights = model.parameters();
  const scale = (lora.alpha ?? lora.rank) / lora.rank;
  return buildModel(config, 0, (name, shape) => {
    const weight = weights.get(name), a = weights.get(`${name}.${loraSuffixes.a}`), b = weights.get(`${name}.${loraSuffixes.b}`);
    if (!weight || !a || !b) return state.get(name);
    const values = tf.tidy(() => tf.add(weight, tf.matMul(tf.mul(a, scale), b)).dataSync<"float32">().slice());
    return { shape, values };
  });
}
