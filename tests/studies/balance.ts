/** Ways to balance the experts: the auxiliary loss, the loss-free bias, none. Published: loss-free 9.50 perplexity and
 *  MaxVio_global 0.04 against 9.56 and 0.72 (arXiv:2408.15664, table 2). */
import { overSeeds, runStudy, studyModel, studyVocabSize, table, type StudyRun } from "./study.ts";

const sigmoid = { kind: "sigmoid", biasUpdateRate: 1e-3 } as const;
const variants = [
  { name: "auxiliary loss 0.01", model: studyModel(studyVocabSize) },
  { name: "auxiliary loss 0.01, sigmoid", model: studyModel(studyVocabSize, { router: { ...sigmoid, biasUpdateRate: 0 } }) },
  { name: "loss-free bias", model: studyModel(studyVocabSize, { router: sigmoid, balanceLossWeight: 0 }) },
  { name: "no balancing", model: studyModel(studyVocabSize, { balanceLossWeight: 0 }) },
];

function report(runs: readonly StudyRun[]): string {
  return table(["balancing", "validation nats", "MaxVio, global"], variants.map(({ name }) => [
    name, overSeeds(runs, name, ({ lossNats }) => lossNats), overSeeds(runs, name, ({ maxVioGlobal }) => maxVioGlobal, 2),
  ]));
}

await runStudy({ seeds: 2, recipe: { steps: 1000, batchSize: 8, contextLength: 128, learningRate: 3e-3, warmupSteps: 100, evaluateEvery: 250 } }, variants, report);
