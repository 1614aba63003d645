import { ConfigError } from "../errors.ts";
import { checkStorage } from "../backend/activationStorage.ts";
import type { FloatStorage } from "../backend/floatStorage.ts";
import { checkCount, checkWeight } from "../moe/config.ts";

/** Complete settings of a training run; with the model config and the data it decides every bit of the result. */
export interface Recipe {
  readonly steps: number;
  /** B, rows of a batch */
  readonly batchSize: number;
  /** T, tokens of a row; at most the model's contextLength */
  readonly contextLength: number;
  /** highest learning rate, reached after warm-up */
  readonly learningRate: number;
  /** steps over which the learning rate rises from 0 */
  readonly warmupSteps: number;
  /** the cosine ends at learningRate times this */
  readonly finalLearningRateRatio: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly adamEpsilon: number;
  /** decoupled decay of matrices; norm gains are left out */
  readonly weightDecay: number;
  /** gradients are scaled down to this global L2 norm */
  readonly maxGradientNorm: number;
  /** how activations are kept for the backward pass; everything is computed in float32, and router, norms' statistics,
   *  losses, gradients, weights and moments stay so. Other backends than native keep float32. */
  readonly precision: FloatStorage;
  /** order of the data */
  readonly seed: number;
  /** steps between evaluations on validation data; also evaluated at the end */
  readonly evaluateEvery: number;
  /** most validation tokens in an evaluation between; the last one takes all */
  readonly evaluationTokens: number;
  /** steps between checkpoints; also written at the end */
  readonly checkpointEvery: number;
  /** newest checkpoints that are kept */
  readonly keepCheckpoints: number;
}

export const defaultRecipe: Omit<Recipe, "steps"> = {
  batchSize: 16,
  contextLength: 128,
  learningRate: 3e-3,
  warmupSteps: 50,
  finalLearningRateRatio: 0.1,
  beta1: 0.9,
  beta2: 0.95, // as in GPT-3, Llama and OLMoE
  adamEpsilon: 1e-8,
  weightDecay: 0.1,
  maxGradientNorm: 1,
  precision: "float32",
  seed: 0,
  evaluateEvery: 100,
  evaluationTokens: 16_384,
  checkpointEvery: 250,
  keepCheckpoints: 2,
};

/** Fills in the defaults and checks every setting.
 *  @throws ConfigError E_CONFIG_* naming the setting, E_STORAGE_NAME */
export function recipe(settings: Pick<Recipe, "steps"> & Partial<Recipe>): Recipe {
  const whole: Recipe = { ...defaultRecipe, ...settings };
  for (const name of ["steps", "batchSize", "contextLength", "evaluateEvery", "evaluationTokens", "checkpointEvery", "keepCheckpoints"] as const) {
    checkCount(name, whole[name]);
  }
  checkCount("warmupSteps", whole.warmupSteps, 0);
  for (const name of ["learningRate", "finalLearningRateRatio", "weightDecay"] as const) checkWeight(name, whole[name]);
  for (const name of ["adamEpsilon", "maxGradientNorm"] as const) {
    if (!(whole[name] > 0)) throw new ConfigError({ code: "E_CONFIG_POSITIVE", what: `${name} is ${whole[name]}`, why: "it has to be more than 0", fix: `leave ${name} out for ${defaultRecipe[name]}` });
  }
  for (const name of ["beta1", "beta2"] as const) {
    if (!(whole[name] >= 0 && whole[name] < 1)) throw new ConfigError({ code: "E_CONFIG_BETA", what: `${name} is ${whole[name]}`, why: "it has to be at least 0 and less than 1", fix: `leave ${name} out for ${defaultRecipe[name]}` });
  }
  checkStorage(whole.precision);
  if (!Number.isSafeInteger(whole.seed)) throw new ConfigError({ code: "E_CONFIG_SEED", what: `seed is ${whole.seed}`, why: "it has to be an integer", fix: "choose an integer" });
  return whole;
}
