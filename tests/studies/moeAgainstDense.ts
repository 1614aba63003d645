/** A sparse model against a dense one of the same FLOPs a token, by tokens, FLOPs and seconds.
 *  Published: Switch table 1 (arXiv:2101.03961), OLMoE §4.1.1 (arXiv:2409.02060). */
import { denseTwin } from "../../toolkit/models/count.ts";
import { lossAt, overSeeds, runStudy, studyModel, studyVocabSize, table, type StudyRun } from "./study.ts";

const sparse = studyModel(studyVocabSize), fine = studyModel(studyVocabSize, { numExperts: 32, expertsPerToken: 4, expertWidth: 128 });
const variants = [{ name: "8 experts, top 2", model: sparse }, { name: "32 experts, top 4", model: fine }, { name: "dense twin", model: denseTwin(sparse) }];

function report(runs: readonly StudyRun[]): string {
  const dense = runs.filter(({ variant }) => variant === "dense twin");
  const least = (axis: "tokens" | "flops" | "seconds"): number => Math.min(...runs.map(({ evaluations }) => evaluations.at(-1)?.[axis] ?? 0));
  const limits = { tokens: least("tokens"), flops: least("flops"), seconds: least("seconds") };
  const rows = variants.map(({ name }) => [
    name, ...(["tokens", "flops", "seconds"] as const).map((axis) => overSeeds(runs, name, (run) => lossAt(run, axis, limits[axis]))),
    overSeeds(runs, name, (run) => run.secondsOfTraining, 0),
  ]);
  return `${table(["model", `nats at ${(limits.tokens / 1e6).toFixed(2)} M tokens`, `at ${(limits.flops / 1e12).toFixed(1)} TFLOP`, `at ${limits.seconds.toFixed(0)} s`, "seconds of training"], rows)}\n${dense.length} seeds`;
}

await runStudy({ seeds: 2, recipe: { steps: 1200, batchSize: 8, contextLength: 128, learningRate: 3e-3, warmupSteps: 100, evaluateEvery: 100 } }, variants, report);
