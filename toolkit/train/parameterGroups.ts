import { ConfigError } from "../errors.ts";
import { checkWeight } from "../moe/config.ts";
import { selectWeights } from "../nn/weightPatterns.ts";
import { refuseUnknownSettings } from "../moe/knownSettings.ts";

/** Settings of the weights whose names match. Of several groups that match a weight the later one decides, setting by setting. */
export interface ParameterGroup {
  /** patterns over weight names as in nn/weightPatterns.ts, e.g. "layers.*.moe.router.**" */
  readonly match: string | readonly string[];
  /** factor on the learning rate of the schedule; 1 by default */
  readonly learningRateRatio?: number;
  /** in place of the recipe's; given here it also holds for norms, biases and embeddings */
  readonly weightDecay?: number;
  /** true: the weights keep every bit; they get no gradient and no moments */
  readonly isFrozen?: boolean;
}

/** What decides over the decay of weights that no group names. */
export interface DecaySettings {
  readonly weightDecay: number;
  /** decay norm gains and biases too */
  readonly decayNormsAndBiases: boolean;
  /** decay token embeddings too */
  readonly decayEmbeddings: boolean;
  readonly parameterGroups: readonly ParameterGroup[];
}

/** How the optimizer treats one weight. */
export interface ParameterSettings {
  readonly learningRateRatio: number;
  readonly weightDecay: number;
  readonly isFrozen: boolean;
}

/** @throws ConfigError E_CONFIG_* naming the setting */
export function checkParameterGroups(groups: readonly ParameterGroup[]): readonly ParameterGroup[] {
  groups.forEach((group, index) => {
    const place = `parameterGroups.${index}`;
    refuseUnknownSettings(place, group, ["match", "learningRateRatio", "weightDecay", "isFrozen"]);
    if (patternsOf(group).length === 0 || patternsOf(group).some((pattern) => typeof pattern !== "string" || pattern === "")) {
      throw new ConfigError({ code: "E_CONFIG_MATCH", what: `${place}.match is ${JSON.stringify(group.match)}`, why: "a group needs a pattern over weight names, or several", fix: 'for example "layers.*.moe.router.**"' });
    }
    for (const name of ["learningRateRatio", "weightDecay"] as const) if (group[name] !== undefined) checkWeight(`${place}.${name}`, group[name]);
  });
  return groups;
}

/** The settings of every weight.
 *  @param parameters what is known of each weight; one that isn't trainable, as under LoRA, is frozen
 *  @throws ConfigError E_WEIGHT_PATTERN for a pattern that matches no weight, E_WEIGHT_PATTERN_SYNTAX, E_CONFIG_ALL_FROZEN */
export function parameterSettings(parameters: ReadonlyMap<string, { readonly rank: number; readonly trainable?: boolean }>, decay: DecaySettings): Map<string, ParameterSettings> {
  const settings = new Map<string, ParameterSettings>();
  for (const [name, { rank, trainable = true }] of parameters) {
    settings.set(name, { learningRateRatio: 1, weightDecay: isDecayed(name, rank, decay) ? decay.weightDecay : 0, isFrozen: !trainable });
  }
  for (const group of decay.parameterGroups) {
    for (const name of selectWeights(parameters.keys(), patternsOf(group))) {
      const before = settings.get(name);
      if (before) settings.set(name, withGroup(before, group));
    }
  }
  if (settings.size > 0 && [...settings.values()].every(({ isFrozen }) => isFrozen)) {
    throw new ConfigError({ code: "E_CONFIG_ALL_FROZEN", what: "parameterGroups freeze every weight", why: "there would be nothing to train", fix: "freeze fewer weights; a later group with isFrozen: false takes some out" });
  }
  return settings;
}

function withGroup(settings: ParameterSettings, { learningRateRatio, weightDecay, isFrozen }: ParameterGroup): ParameterSettings {
  return {
    learningRateRatio: learningRateRatio ?? settings.learningRateRatio, weightDecay: weightDecay ?? settings.weightDecay, isFrozen: isFrozen ?? settings.isFrozen,
  };
}

function patternsOf({ match }: ParameterGroup): readonly string[] {
  return typeof match === "string" ? [match] : match;
}

function isDecayed(name: string, rank: number, { decayNormsAndBiases, decayEmbeddings }: DecaySettings): boolean {
  // The biases of E experts are stacked, so that their rank alone doesn't tell them.
  if (rank <= 1 || /(norm|bias)$/i.test(name)) return decayNormsAndBiases;
  return /embedding$/i.test(name) ? decayEmbeddings : true;
}
