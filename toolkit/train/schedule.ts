import type { Recipe } from "./recipe.ts";

/** Learning rate of a step: linear warm-up from 0, then half a cosine down to finalLearningRateRatio · learningRate at the last step.
 *  @param step 1-based
 *  Source: Loshchilov & Hutter 2016, eq. 5, arXiv:1608.03983, without restarts */
export function learningRateAt(step: number, recipe: Pick<Recipe, "steps" | "warmupSteps" | "learningRate" | "finalLearningRateRatio">): number {
  const { steps, warmupSteps, learningRate, finalLearningRateRatio: ratio } = recipe;
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  return learningRate * (ratio + (1 - ratio) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
