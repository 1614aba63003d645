import { ConfigError } from "../errors.ts";
import { transformerConfig, type TransformerConfig, type TransformerSettings } from "../models/config.ts";
import { preset, presetNames, type PresetName } from "../models/presets.ts";
import type { MoeConfig } from "../moe/config.ts";
import { nearestName, refuseUnknownSettings } from "../train/knownSettings.ts";
import type { TrainConfigFile } from "./trainConfig.ts";

/** The names of all settings: a new one that is missing here doesn't compile. */
const modelKeys = {
  vocabSize: true, numLayers: true, width: true, numHeads: true, numKeyValueHeads: true, headSize: true, contextLength: true, ropeBase: true,
  slidingWindow: true, qkNorm: true, attentionBias: true, norm: true, normEpsilon: true, tiedEmbeddings: true, firstDenseLayers: true, moeEvery: true,
  denseWidth: true, denseExpert: true, moe: true, lora: true,
} as const satisfies Record<keyof TransformerConfig, true>;
const moeKeys = {
  numExperts: true, expertsPerToken: true, expertWidth: true, experts: true, sharedExperts: true, residual: true, router: true, capacity: true,
  balanceLossWeight: true, balanceScope: true, sequenceBalanceLossWeight: true, zLossWeight: true, expertDropout: true,
} as const satisfies Record<keyof MoeConfig, true>;

/** The model that a training config describes: settings of transformerConfig, or `preset` with what differs from it.
 *  @param vocabSize of the tokenizer
 *  @throws ConfigError E_CONFIG_FILE naming line and column */
export function modelConfigOf(file: TrainConfigFile, vocabSize: number): TransformerConfig {
  return file.check("model", () => {
    const { preset: presetName, ...model } = file.config.model;
    refuseUnknownSettings("", model, [...Object.keys(modelKeys), "preset", ...(presetName === undefined ? [] : ["scale"])]);
    if (isObject(model.moe)) refuseUnknownSettings("moe", model.moe, Object.keys(moeKeys));
    const own = model.vocabSize;
    if (typeof own === "number" && own < vocabSize) {
      throw new ConfigError({ code: "E_CONFIG_VOCABULARY", what: `vocabSize is ${own} and the tokenizer has ${vocabSize} tokens`, why: "the model needs a row for each token", fix: `leave model.vocabSize out, or set it to ${vocabSize} or more` });
    }
    // Both check every value.
    if (presetName === undefined) return transformerConfig({ vocabSize, ...model } as unknown as TransformerSettings);
    return preset(presetOf(presetName), { vocabSize, ...model });
  });
}

function presetOf(name: unknown): PresetName {
  const found = presetNames.find((known) => known === name);
  if (found !== undefined) return found;
  const nearest = typeof name === "string" ? nearestName(name, presetNames) : undefined;
  throw new ConfigError({ code: "E_CONFIG_PRESET", what: `preset is ${JSON.stringify(name)}`, why: "there is no such preset", fix: nearest === undefined ? `use ${presetNames.join(", ")}` : `write ${nearest}` });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
