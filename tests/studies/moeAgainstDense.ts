/** A sparse model against a dense one of the same FLOPs a token, by tokens, FLOPs and seconds. The learning rate is constant
 *  after warm-up, so that no run is cut off in the middle of its decay where costs are made equal.
 *  Published: Switch table 1 (arXiv:2101.03961), OLMoE §4.1.1 (arXiv:2409.02060). */
import { denseTwin } from "../../toolkit/models/count.ts";
import { lossAt, overSeeds, runStudy, studyModel, studyVocabSize, table, tokensTo, type StudyRun } from "./study.ts";

const sparse = studyModel(studyVocabSize), fine = studyModel(studyVocabSize, { numExperts: 32, expertsPerToken: 4, expertWidth: 128 });
const variants = [{ name: "8 experts, top 2", model: sparse }, { name: "32 experts, top 4", model: fine }, { name: "dense twin", model: denseTwin(sparse) }];

function report(runs: readonly StudyRun[]): string {
  const denseEnd = (seed: number): number => runs.find((run) => run.variant === "dense twin" && run.seed === seed)?.lossNats ?? Number.NaN;
  const least = (axis: "tokens" | "flops" | "seconds"): number => Math.min(...runs.map(({ evaluations }) => evaluations.at(-1)?.[axis] ?? 0));
  const limits = { tokens: least("tokens"), flops: least("flops"), seconds: least("seconds") };
  const rows = variants.map(({ name }) => [
    name, ...(["tokens", "flops", "seconds"] as const).map((axis) => overSeeds(runs, name, (run) => lossAt(run, axis, limits[axis]))),
    overSeeds(runs, name, (run) => run.secondsOfTraining, 0),
    overSeeds(runs, name, (run) => { const tokens = tokensTo(run, denseEnd(run.seed)); return tokens && tokens / 1e6; }, 2),
  ]);
  return table(["model", `nats at ${(limits.tokens / 1e6).toFixed(2)} M tokens`, `at ${(limits.flops / 1e12).toFixed(1)} TFLOP`, `at ${limits.seconds.toFixed(0)} s`, "seconds of training", "M tokens to dense's last loss"], rows);
}

await runStudy({ seeds: 2, recipe: { steps: 3000, batchSize: 8, contextLength: 128, learningRate: 2e-3, warmupSteps: 100, schedule: { kind: "constant" }, evaluateEvery: 200 } }, variants, report);
