/** Router z-loss and stability at learning rates that are too high. Published: 3 of 3 runs stable with it, 4 of 6 without
 *  (ST-MoE, arXiv:2202.08906, table 4). */
import { overSeeds, runStudy, studyModel, studyVocabSize, table, type StudyRun } from "./study.ts";

const learningRates = [1e-2, 3e-2];
const variants = learningRates.flatMap((learningRate) => [0, 1e-3].map((zLossWeight) => ({
  name: `learning rate ${learningRate}, z-loss ${zLossWeight}`, model: studyModel(studyVocabSize, { zLossWeight }, { numLayers: 2 }),
  recipe: { learningRate, maxGradientNorm: 1e9 },
})));

function report(runs: readonly StudyRun[]): string {
  return table(["run", "validation nats", "runs that broke down", "steps with a spike"], variants.map(({ name }) => {
    const ofVariant = runs.filter(({ variant }) => variant === name);
    return [name, overSeeds(runs, name, ({ lossNats }) => lossNats), `${ofVariant.filter(({ lossNats }) => !Number.isFinite(lossNats)).length} of ${ofVariant.length}`, overSeeds(runs, name, ({ spikes }) => spikes, 1)];
  }));
}

await runStudy({ seeds: 4, recipe: { steps: 400, batchSize: 8, contextLength: 128, learningRate: 1e-2, warmupSteps: 20, evaluateEvery: 200 } }, variants, report);
