/** Dropless experts against capacity factor 1, with a dense model of the same FLOPs. Published: −0.26 against −0.15 nats
 *  over dense (MegaBlocks, arXiv:2211.15841, figure 2). */
import { denseTwin } from "../../toolkit/models/count.ts";
import { overSeeds, runStudy, studyModel, studyVocabSize, table, type StudyRun } from "./study.ts";

const factor = (dropOrder: "position" | "weight") => ({ kind: "factor", factor: 1, dropOrder }) as const;
const dropless = studyModel(studyVocabSize);
const variants = [
  { name: "dropless", model: dropless },
  { name: "capacity 1, later tokens dropped", model: studyModel(studyVocabSize, { capacity: factor("position") }) },
  { name: "capacity 1, smaller weights dropped", model: studyModel(studyVocabSize, { capacity: factor("weight") }) },
  { name: "dense twin", model: denseTwin(dropless) },
];

function report(runs: readonly StudyRun[]): string {
  const denseOf = (seed: number): number => runs.find((run) => run.variant === "dense twin" && run.seed === seed)?.lossNats ?? Number.NaN;
  return table(["experts", "validation nats", "less than dense"], variants.map(({ name }) => [
    name, overSeeds(runs, name, ({ lossNats }) => lossNats), overSeeds(runs, name, ({ lossNats, seed }) => lossNats - denseOf(seed)),
  ]));
}

await runStudy({ seeds: 2, recipe: { steps: 1000, batchSize: 8, contextLength: 128, learningRate: 3e-3, warmupSteps: 100, evaluateEvery: 250 } }, variants, report);
