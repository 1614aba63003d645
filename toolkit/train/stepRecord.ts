import type { StepRecord } from "./metrics.ts";
import type { Recipe } from "./recipe.ts";
import type { StepMeasures } from "./stepGradients.ts";

/** What the trainer knows of a step beside what was measured in it. */
type StepFacts = Pick<StepRecord, "step" | "tokens" | "flops" | "seconds" | "learningRate" | "gradientNorm" | "gradientNorms"> & { /** in the step */ readonly stepTokens: number; readonly stepSeconds: number; /** whether experts take only so many tokens */ readonly isLimited: boolean };

/** The line of metrics.jsonl for a step. */
export function stepRecord({ stepTokens, stepSeconds, isLimited, gradientNorms, ...facts }: StepFacts, measured: StepMeasures, { parameterGroups }: Recipe): StepRecord {
  const { lossNats, balanceLoss, zLoss, sequenceBalanceLoss, routerOwnLoss, expertCounts, tokenEntropy, dropRate } = measured;
  const expertLoad = expertCounts.map(({ counts }) => shares(counts));
  const routers = expertLoad.map((load, row) => ({
    layer: expertCounts[row].layer, maxVio: Math.max(...load) * load.length - 1, ...(tokenEntropy && { tokenEntropy: tokenEntropy[row] }), ...(isLimited && { dropRate: dropRate[row] }),
  }));
  const groups = parameterGroups.flatMap(({ match, learningRateRatio }): [string, number][] =>
    (learningRateRatio === undefined ? [] : [[typeof match === "string" ? match : match.join(" "), facts.learningRate * learningRateRatio]]));
  return {
    kind: "step", ...facts, lossNats, balanceLoss, zLoss, ...(sequenceBalanceLoss !== undefined && { sequenceBalanceLoss }),
    ...(routerOwnLoss !== undefined && { routerOwnLoss }), ...(groups.length > 0 && { groupLearningRates: Object.fromEntries(groups) }),
    ...(gradientNorms && { gradientNorms }), tokensPerSecond: stepTokens / stepSeconds, expertLoad,
    maxVio: routers.length === 0 ? 0 : routers.reduce((sum, { maxVio }) => sum + maxVio, 0) / routers.length, routers,
  };
}

function shares(counts: Float64Array): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Array.from(counts, (count) => (total > 0 ? count / total : 0));
}
