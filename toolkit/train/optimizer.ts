import * as tf from "@tensorflow/tfjs-core";
import { TrainingError } from "../errors.ts";
import { adamwStep, clipByGlobalNorm, type AdamwParameter } from "../ops/adamw.ts";
import { parameterSettings, type DecaySettings, type ParameterSettings } from "./parameterGroups.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";

type AdamWSettings = Pick<Recipe, "beta1" | "beta2" | "adamEpsilon" | "weightDecay" | "maxGradientNorm"> & Partial<DecaySettings>;

/** AdamW over named weights, with gradient clipping by global norm, decay and learning rates by group, and frozen weights.
 *  Source: Loshchilov & Hutter 2017, algorithm 2, arXiv:1711.05101; clipping: Pascanu et al. 2013, arXiv:1211.5063 */
export class AdamW {
  /** the weights that are trained, by name: all but the frozen ones */
  readonly trained: ReadonlyMap<string, tf.Variable>;
  private readonly weightSettings: ReadonlyMap<string, ParameterSettings>;
  private readonly firstMoments = new Map<string, tf.Variable>();
  private readonly secondMoments = new Map<string, tf.Variable>();
  private readonly settings: AdamWSettings;

  /** @throws ConfigError E_WEIGHT_PATTERN, E_CONFIG_ALL_FROZEN */
  constructor(parameters: ReadonlyMap<string, tf.Variable>, settings: AdamWSettings) {
    const { decayNormsAndBiases, decayEmbeddings, parameterGroups } = defaultRecipe;
    this.settings = settings;
    this.weightSettings = parameterSettings(parameters, { decayNormsAndBiases, decayEmbeddings, parameterGroups, ...settings });
    this.trained = new Map([...parameters].filter(([name, { trainable }]) => trainable && !this.weightSettings.get(name)?.isFrozen));
    for (const [name, { shape }] of this.trained) {
      this.firstMoments.set(name, zeros(shape));
      this.secondMoments.set(name, zeros(shape));
    }
  }

  /** What update() scales the gradients with so that their norm is at most maxGradientNorm. */
  clip(gradients: ReadonlyMap<string, tf.Tensor>): { norm: tf.Scalar; gradientScale: tf.Scalar } {
    return clipByGlobalNorm([...gradients.values()], this.settings.maxGradientNorm);
  }

  /** Updates the weights in place, without waiting for a device. A weight without a gradient stays as it is, and so do its moments.
   *  @param gradients by the weight's name
   *  @param step 1-based number of this update, for the bias correction
   *  @param learningRate of groups with learningRateRatio 1
   *  @param gradientScale of clip(); where it is NaN, as of gradients that are not finite, all weights and moments stay as they are */
  update(gradients: ReadonlyMap<string, tf.Tensor>, step: number, learningRate: number, gradientScale: tf.Scalar): void {
    const { beta1, beta2, adamEpsilon: epsilon } = this.settings;
    // One call for all weights of one learning rate; without groups that is one call.
    for (const [ratio, parameters] of this.byLearningRate(gradients)) {
      adamwStep(parameters, { learningRate: learningRate * ratio, beta1, beta2, epsilon, step, gradientScale });
    }
  }

  private byLearningRate(gradients: ReadonlyMap<string, tf.Tensor>): Map<number, AdamwParameter[]> {
    const groups = new Map<number, AdamwParameter[]>();
    for (const [name, gradient] of gradients) {
      const value = this.trained.get(name), firstMoment = this.firstMoments.get(name), secondMoment = this.secondMoments.get(name), settings = this.weightSettings.get(name);
      if (!value || !firstMoment || !secondMoment || !settings) {
        throw new TrainingError({ code: "E_GRADIENT_NAME", what: `there is a gradient for ${name}`, why: "the optimizer trains no weight of that name", fix: "build the optimizer from the model's parameters() and take gradients of its trained weights" });
      }
      const { learningRateRatio, weightDecay } = settings;
      const group = groups.get(learningRateRatio);
      const parameter = { value, gradient, firstMoment, secondMoment, weightDecay };
      if (group) group.push(parameter);
      else groups.set(learningRateRatio, [parameter]);
    }
    return groups;
  }

  /** First and second moments by name, `first.<weight>` and `second.<weight>`; frozen weights have none. */
  moments(): Map<string, tf.Variable> {
    const moments = new Map<string, tf.Variable>();
    for (const [name, variable] of this.firstMoments) moments.set(`first.${name}`, variable);
    for (const [name, variable] of this.secondMoments) moments.set(`second.${name}`, variable);
    return moments;
  }

  dispose(): void {
    for (const variable of this.moments().values()) variable.dispose();
  }
}

function zeros(shape: number[]): tf.Variable {
  const initial = tf.zeros(shape, "float32");
  const variable = tf.variable(initial, false);
  initial.dispose();
  return variable;
}
