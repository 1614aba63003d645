/** A study trains variants of a model on the same text, each with several seeds, and compares them. */
import { appendFileSync, writeFileSync } from "node:fs";
import { fourDomains } from "../../datasets/fourDomains/index.ts";
import { analyzeRouting } from "../../toolkit/analysis/analyzeRouting.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig, type TransformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import type { EvaluationRecord, StepRecord } from "../../toolkit/train/metrics.ts";
import type { RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

export interface Variant {
  readonly name: string;
  readonly model: TransformerConfig;
  readonly recipe?: Partial<RecipeSettings>;
}

export interface Evaluation {
  readonly step: number;
  readonly tokens: number;
  readonly flops: number;
  readonly seconds: number;
  readonly lossNats: number;
}

/** One variant with one seed. */
export interface StudyRun {
  readonly variant: string;
  readonly seed: number;
  readonly evaluations: readonly Evaluation[];
  /** of the whole validation text, after the last step; NaN where training broke down */
  readonly lossNats: number;
  /** over the first tokens of the validation text, mean over layers; undefined for a dense model */
  readonly maxVioGlobal: number | undefined;
  /** steps whose loss is above the mean of the 20 before by more than spikeNats */
  readonly spikes: number;
  readonly secondsOfTraining: number;
}

const spikeNats = 1;
const routedTokens = 32_768;

/** The model of all studies, with what a variant changes; V tokens, 4 layers of width 128. */
export function studyModel(vocabSize: number, moe: Partial<TransformerSettings["moe"]> = {}, others: Partial<TransformerSettings> = {}): TransformerConfig {
  return transformerConfig({
    vocabSize, numLayers: 4, width: 128, numHeads: 4, contextLength: 128, ...others,
    moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 256, ...moe },
  });
}

export const studyVocabSize = 1024;

/** Four domains of 1 MB each, in an order that depends on nothing; the tokenizer learns from the training part. */
function studyData(): { train: Int32Array; validation: Int32Array } {
  const domains = fourDomains({ bytesPerDomain: 1_000_000, validationFraction: 0.05 });
  const interleaved = (part: "train" | "validation"): string => {
    const longest = Math.max(...domains.map((domain) => domain[part].length));
    return Array.from({ length: longest }, (_, i) => domains.map((domain) => domain[part][i] ?? "").join("")).join("");
  };
  const tokenizer = trainTokenizer(interleaved("train"), { vocabSize: studyVocabSize });
  return { train: tokenizer.encode(interleaved("train")), validation: tokenizer.encode(interleaved("validation")) };
}

interface StudySettings {
  readonly seeds?: number;
  readonly steps?: number;
  readonly recordsPath: string;
}

/** Trains all variants with all seeds, prints a line a run and what `report` makes of them. */
export async function runStudy(defaults: { seeds: number; recipe: RecipeSettings }, variants: readonly Variant[], report: (runs: readonly StudyRun[]) => string): Promise<void> {
  const { seeds = defaults.seeds, steps = defaults.recipe.steps, recordsPath } = JSON.parse(process.argv[2]) as StudySettings;
  const backend = await chooseBackend();
  const data = studyData();
  console.log(`${backend.name} (${backend.reason}), ${backend.threads} threads; ${data.train.length} training and ${data.validation.length} validation tokens; ${steps} steps, ${seeds} seeds`);
  writeFileSync(recordsPath, "");
  const runs: StudyRun[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    for (const variant of variants) {
      const run = await trainVariant(variant, seed, { evaluationTokens: data.validation.length, ...defaults.recipe, ...variant.recipe, steps, seed }, data);
      appendFileSync(recordsPath, `${JSON.stringify(run)}\n`);
      console.log(`${variant.name}, seed ${seed}: ${run.lossNats.toFixed(4)} nats after ${run.secondsOfTraining.toFixed(0)} s${run.maxVioGlobal === undefined ? "" : `, MaxVio ${run.maxVioGlobal.toFixed(2)}`}${run.spikes > 0 ? `, ${run.spikes} spikes` : ""}`);
      runs.push(run);
    }
  }
  console.log(`\n${report(runs)}`);
}

async function trainVariant({ name, model: config }: Variant, seed: number, recipe: RecipeSettings, data: { train: Int32Array; validation: Int32Array }): Promise<StudyRun> {
  const model = new Transformer(config, { seed });
  const flopsPerToken = modelSize(config).trainingFlopsPerToken;
  const evaluations: Evaluation[] = [], recent: number[] = [];
  let spikes = 0, secondsOfTraining = 0;
  const onStep = ({ lossNats, seconds }: StepRecord): void => {
    const mean = recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
    if (recent.length === 20 && lossNats > mean + spikeNats) spikes += 1;
    recent.push(lossNats);
    if (recent.length > 20) recent.shift();
    secondsOfTraining = seconds;
  };
  const onEvaluation = ({ step, tokens, seconds, validationLossNats }: EvaluationRecord): void => {
    evaluations.push({ step, tokens, flops: tokens * flopsPerToken, seconds, lossNats: validationLossNats });
  };
  try {
    await train(model, data, recipe, { onStep, onEvaluation });
    const isSparse = evaluations.length > 0 && config.firstDenseLayers < config.numLayers;
    const routing = isSparse ? await analyzeRouting(model, data.validation, { maxTokens: routedTokens, batchSize: 8 }) : undefined;
    return { variant: name, seed, evaluations, lossNats: evaluations.at(-1)?.lossNats ?? Number.NaN, maxVioGlobal: routing?.toJSON().mean.maxVio, spikes, secondsOfTraining };
  } catch (error) {
    console.log(`${name}, seed ${seed}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    return { variant: name, seed, evaluations, lossNats: Number.NaN, maxVioGlobal: undefined, spikes, secondsOfTraining };
  } finally {
    model.dispose();
  }
}

/** Mean ± standard deviation over seeds of what `figure` takes from each run. */
export function overSeeds(runs: readonly StudyRun[], variant: string, figure: (run: StudyRun) => number | undefined, digits = 3): string {
  const values = runs.filter((run) => run.variant === variant).map(figure).filter((value): value is number => value !== undefined && Number.isFinite(value));
  if (values.length === 0) return "–";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
  return values.length === 1 ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Models whose costs should be equal may differ by this share. */
const tolerance = 0.02;

/** Validation loss at the last evaluation where `axis` is at most `limit`; undefined before the first. */
export function lossAt(run: StudyRun, axis: "tokens" | "flops" | "seconds", limit: number): number | undefined {
  return run.evaluations.filter((evaluation) => evaluation[axis] <= limit * (1 + tolerance)).at(-1)?.lossNats;
}

/** Tokens after which validation loss is down to `lossNats`, on the straight line between two evaluations; undefined if it never is. */
export function tokensTo({ evaluations }: StudyRun, lossNats: number): number | undefined {
  const at = evaluations.findIndex((evaluation) => evaluation.lossNats <= lossNats);
  if (at < 1) return undefined;
  const before = evaluations[at - 1], after = evaluations[at];
  return before.tokens + (after.tokens - before.tokens) * (before.lossNats - lossNats) / (before.lossNats - after.lossNats);
}
