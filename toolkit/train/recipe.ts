import { ConfigError } from "../errors.ts";
import { checkStorage } from "../backend/activationStorage.ts";
import type { FloatStorage } from "../backend/floatStorage.ts";
import { checkCount, checkWeight } from "../moe/config.ts";
import { monitorConfig, defaultMonitor, type MonitorConfig } from "./gradientMonitor.ts";
import { refuseUnknownSettings } from "../moe/knownSettings.ts";
import { checkParameterGroups, type ParameterGroup } from "./parameterGroups.ts";
import { schedule, type ScheduleConfig, type ScheduleSettings } from "./schedule.ts";

/** When to end a run whose validation loss no longer falls. */
export interface EarlyStop {
  /** evaluations in a row without a new best loss */
  readonly patience: number;
  /** a loss counts as better when it is lower by more than this */
  readonly minDeltaNats: number;
}

/** Complete settings of a training run, plain JSON; with the model config and the data it decides every bit of the result. */
export interface Recipe {
  readonly steps: number;
  /** B, rows of a micro-batch */
  readonly batchSize: number;
  /** micro-batches of a step: their gradients add up to those of one batch of accumulationSteps · batchSize rows */
  readonly accumulationSteps: number;
  /** T, tokens of a row; at most the model's contextLength */
  readonly contextLength: number;
  /** highest learning rate, reached after warm-up */
  readonly learningRate: number;
  /** steps over which the learning rate rises from 0 */
  readonly warmupSteps: number;
  /** what the learning rate does after warm-up */
  readonly schedule: ScheduleConfig;
  readonly beta1: number;
  readonly beta2: number;
  readonly adamEpsilon: number;
  /** decoupled decay of matrices */
  readonly weightDecay: number;
  /** decay norm gains and biases too */
  readonly decayNormsAndBiases: boolean;
  /** decay token embeddings too */
  readonly decayEmbeddings: boolean;
  /** gradients are scaled down to this global L2 norm */
  readonly maxGradientNorm: number;
  /** weights that are frozen or have their own learning rate or decay */
  readonly parameterGroups: readonly ParameterGroup[];
  /** how activations are kept for the backward pass; everything is computed in float32, and router, norms' statistics,
   *  losses, gradients, weights and moments stay so. Other backends than native keep float32. */
  readonly precision: FloatStorage;
  /** of the order of the data, and of noise, jitter and dropout */
  readonly seed: number;
  /** steps between evaluations on validation data; also evaluated at the end */
  readonly evaluateEvery: number;
  /** most validation tokens in an evaluation between; the last one takes all */
  readonly evaluationTokens: number;
  /** undefined: all steps are made */
  readonly earlyStop?: EarlyStop;
  /** steps between checkpoints; also written at the end */
  readonly checkpointEvery: number;
  /** newest checkpoints that are kept */
  readonly keepCheckpoints: number;
  /** also keep a checkpoint of the lowest validation loss */
  readonly keepBest: boolean;
  /** steps between records of the routers' token entropy; 0 for never */
  readonly routerEntropyEvery: number;
  readonly monitor: MonitorConfig;
}

/** What a user has to say of a run; the rest has defaults. */
export type RecipeSettings = Pick<Recipe, "steps"> & Partial<Omit<Recipe, "schedule" | "monitor">> & {
  readonly schedule?: ScheduleSettings;
  readonly monitor?: Partial<MonitorConfig>;
};

export const defaultRecipe: Omit<Recipe, "steps"> = {
  batchSize: 16,
  accumulationSteps: 1,
  contextLength: 128,
  learningRate: 3e-3,
  warmupSteps: 50,
  schedule: { kind: "cosine", finalLearningRateRatio: 0.1 },
  beta1: 0.9,
  beta2: 0.95, // as in GPT-3, Llama and OLMoE
  adamEpsilon: 1e-8,
  weightDecay: 0.1,
  decayNormsAndBiases: false,
  decayEmbeddings: true,
  maxGradientNorm: 1,
  parameterGroups: [],
  precision: "float32",
  seed: 0,
  evaluateEvery: 100,
  evaluationTokens: 16_384,
  checkpointEvery: 250,
  keepCheckpoints: 2,
  keepBest: true,
  routerEntropyEvery: 10,
  monitor: defaultMonitor,
};

/** Names of all settings. */
export const recipeKeys: readonly string[] = ["steps", "earlyStop", ...Object.keys(defaultRecipe)];

/** Fills in the defaults and checks every setting.
 *  @throws ConfigError E_CONFIG_* naming the setting, E_STORAGE_NAME */
export function recipe(settings: RecipeSettings): Recipe {
  refuseUnknownSettings("", settings, recipeKeys);
  const whole: Recipe = {
    ...defaultRecipe, ...settings, schedule: schedule(settings.schedule ?? defaultRecipe.schedule), monitor: monitorConfig(settings.monitor ?? {}),
  };
  for (const name of ["steps", "batchSize", "accumulationSteps", "contextLength", "evaluateEvery", "evaluationTokens", "checkpointEvery", "keepCheckpoints"] as const) {
    checkCount(name, whole[name]);
  }
  for (const name of ["warmupSteps", "routerEntropyEvery"] as const) checkCount(name, whole[name], 0);
  for (const name of ["learningRate", "weightDecay"] as const) checkWeight(name, whole[name]);
  for (const name of ["adamEpsilon", "maxGradientNorm"] as const) {
    if (!(whole[name] > 0)) throw new ConfigError({ code: "E_CONFIG_POSITIVE", what: `${name} is ${whole[name]}`, why: "it has to be more than 0", fix: `leave ${name} out for ${defaultRecipe[name]}` });
  }
  for (const name of ["beta1", "beta2"] as const) {
    if (!(whole[name] >= 0 && whole[name] < 1)) throw new ConfigError({ code: "E_CONFIG_BETA", what: `${name} is ${whole[name]}`, why: "it has to be at least 0 and less than 1", fix: `leave ${name} out for ${defaultRecipe[name]}` });
  }
  checkStorage(whole.precision);
  checkParameterGroups(whole.parameterGroups);
  checkEarlyStop(whole.earlyStop);
  if (!Number.isSafeInteger(whole.seed) || whole.seed < 0) throw new ConfigError({ code: "E_CONFIG_SEED", what: `seed is ${whole.seed}`, why: "it has to be an integer of at least 0", fix: "choose such an integer" });
  return whole;
}

function checkEarlyStop(earlyStop: EarlyStop | undefined): void {
  if (!earlyStop) return;
  refuseUnknownSettings("earlyStop", earlyStop, ["patience", "minDeltaNats"]);
  checkCount("earlyStop.patience", earlyStop.patience);
  checkWeight("earlyStop.minDeltaNats", earlyStop.minDeltaNats);
}
