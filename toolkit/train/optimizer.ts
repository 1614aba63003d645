import * as tf from "@tensorflow/tfjs-core";
import { TrainingError } from "../errors.ts";
import { adamwStep, clipByGlobalNorm } from "../ops/adamw.ts";
import type { Recipe } from "./recipe.ts";

/** AdamW over named weights, with gradient clipping by global norm.
 *  Source: Loshchilov & Hutter 2017, algorithm 2, arXiv:1711.05101 */
export class AdamW {
  private readonly parameters: ReadonlyMap<string, tf.Variable>;
  private readonly firstMoments = new Map<string, tf.Variable>();
  private readonly secondMoments = new Map<string, tf.Variable>();
  private readonly settings: Pick<Recipe, "beta1" | "beta2" | "adamEpsilon" | "weightDecay" | "maxGradientNorm">;

  constructor(parameters: ReadonlyMap<string, tf.Variable>, settings: AdamW["settings"]) {
    this.parameters = parameters;
    this.settings = settings;
    for (const [name, { shape }] of parameters) {
      this.firstMoments.set(name, zeros(shape));
      this.secondMoments.set(name, zeros(shape));
    }
  }

  /** Updates the weights in place.
   *  @param gradients one for each weight, by the weight's name
   *  @param step 1-based, for the bias correction
   *  @returns L2 norm over all gradients before clipping
   *  @throws TrainingError E_GRADIENT_NOT_FINITE; the weights are then untouched */
  update(gradients: ReadonlyMap<string, tf.Tensor>, step: number, learningRate: number): number {
    const { beta1, beta2, adamEpsilon: epsilon, weightDecay, maxGradientNorm } = this.settings;
    const { norm, gradientScale } = clipByGlobalNorm([...gradients.values()], maxGradientNorm);
    if (!Number.isFinite(norm)) {
      throw new TrainingError({
        code: "E_GRADIENT_NOT_FINITE", what: `the gradient norm of step ${step} is ${norm}`, why: "updating with it would destroy the weights",
        fix: "lower learningRate, lengthen warmupSteps, and go on from the last checkpoint",
      });
    }
    const updates = [...gradients].map(([name, gradient]) => {
      const value = this.parameters.get(name), firstMoment = this.firstMoments.get(name), secondMoment = this.secondMoments.get(name);
      if (!value || !firstMoment || !secondMoment) throw new TrainingError({ code: "E_GRADIENT_NAME", what: `there is a gradient for ${name}`, why: "the optimizer has no weight of that name", fix: "build the optimizer from the model's parameters()" });
      return { value, gradient, firstMoment, secondMoment, weightDecay: value.rank > 1 ? weightDecay : 0 };
    });
    adamwStep(updates, { learningRate, beta1, beta2, epsilon, step, gradientScale });
    return norm;
  }

  /** First and second moments by name, `first.<weight>` and `second.<weight>`. */
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
