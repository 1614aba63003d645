import { ConfigError } from "../errors.ts";
import { transformerConfig, type TransformerConfig, type TransformerSettings } from "../models/config.ts";
import { preset, presetNames, type PresetName } from "../models/presets.ts";
import { nearestName } from "../moe/knownSettings.ts";
import type { TrainConfigFile } from "./trainConfig.ts";

/** The model that a training config describes: settings of transformerConfig, or `preset` with what differs from it.
 *  @param vocabSize of the tokenizer
 *  @throws ConfigError E_CONFIG_FILE naming line and column */
export function modelConfigOf(file: TrainConfigFile, vocabSize: number): TransformerConfig {
  return file.check("model", () => {
    const { preset: presetName, ...model } = file.config.model;
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
