import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as tf from "@tensorflow/tfjs-core";
import { TokenBatches, type Batch } from "../data/batches.ts";
import type { BatchSource } from "../data/batchSource.ts";
import { ConfigError, DataError, TrainingError } from "../errors.ts";
import { modelSize } from "../models/count.ts";
import type { Transformer } from "../models/transformer.ts";
import { globalNorm } from "../ops/adamw.ts";
import { notebookSignal } from "../plot/notebook.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readLatestCheckpoint, restoreCheckpoint, writeCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { evaluate, type EvaluationData } from "./evaluate.ts";
import { GradientMonitor, type Finding } from "./gradientMonitor.ts";
import type { EvaluationRecord, EventRecord, MetricsLog, StepRecord } from "./metrics.ts";
import { AdamW } from "./optimizer.ts";
import { recipe as wholeRecipe, type Recipe, type RecipeSettings } from "./recipe.ts";
import { checkpointFolder, checkpointToResume, openRunFolder, type IfExists } from "./runFolder.ts";
import { launchStep, type LaunchedStep, type StepMeasures } from "./stepGradients.ts";
import { stepRecord } from "./stepRecord.ts";
import { learningRateAt } from "./schedule.ts";
import { allowedScale } from "./updateGuard.ts";
import { bestValidation, isPatienceOver, type ValidationPoint } from "./validationHistory.ts";

export interface TrainingData {
  /** token ids, cut into shuffled windows; or a source of batches, which the caller closes */
  readonly train: Int32Array | BatchSource;
  /** one set, or several by name, of which the first decides over early stop and the best checkpoint; without any, nothing is evaluated */
  readonly validation?: EvaluationData | Readonly<Record<string, EvaluationData>>;
}

/** What happens in a run, as it happens. An error that a callback throws ends the run. */
export interface TrainCallbacks {
  readonly onStep?: (record: StepRecord, recipe: Recipe) => void;
  readonly onEvaluation?: (record: EvaluationRecord) => void;
  readonly onCheckpoint?: (checkpoint: { readonly path: string; readonly step: number; /** of the lowest validation loss so far */ readonly isBest: boolean }) => void;
  readonly onEvent?: (record: EventRecord) => void;
  /** When the run has ended in any way; undefined after an error. */
  readonly onEnd?: (result: TrainResult | undefined) => void | Promise<void>;
}

export interface TrainOptions extends TrainCallbacks {
  /** Where metrics, checkpoints and the tokenizer go; nothing is written without it. */
  readonly runFolder?: string;
  /** What to do when runFolder holds a run: refuse, go on from its newest checkpoint, or rename it to `<name>.<time>`. */
  readonly ifExists?: IfExists;
  /** Kept in the run folder, so that the run can be promoted. */
  readonly tokenizer?: Tokenizer;
  /** Ends the run after the current step; the model is then consistent and a checkpoint is written.
   *  In a notebook, unless given, the interrupt of the cell. */
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  readonly steps: number;
  /** training tokens */
  readonly tokens: number;
  /** seconds in training steps; evaluations and checkpoints left out */
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** mean over the last 20 steps */
  readonly trainLossNats: number;
  /** of the last evaluation; NaN without one */
  readonly validationLossNats: number;
  /** the evaluation of the lowest loss */
  readonly best: ValidationPoint | undefined;
  /** done: all steps were made; stopped: by the signal; earlyStop: patience was over; dataEnded: the source had no more */
  readonly endReason: "done" | "stopped" | "earlyStop" | "dataEnded";
  /** true when the signal ended the run */
  readonly isStopped: boolean;
  readonly runFolder: string | undefined;
}

/** Steps that trainLossNats is the mean of. */
const recentSteps = 20;

/** Trains a model and returns when the recipe's steps are done.
 *  @throws ConfigError E_CONFIG_*, E_WEIGHT_PATTERN; TrainingError E_LOSS_NOT_FINITE, E_GRADIENT_NOT_FINITE, E_LOSS_SPIKE,
 *  E_GRADIENT_SPIKE, E_TRAINING_UNSTABLE; DataError E_BATCH_SHAPE, E_DATA_CURSOR; FileFormatError E_RUN_EXISTS, E_NO_CHECKPOINT, E_WRITE_FAILED */
export async function train(model: Transformer, data: TrainingData, settings: RecipeSettings, options: TrainOptions = {}): Promise<TrainResult> {
  const run = new Run(model, data, wholeRecipe(settings), options);
  let result: TrainResult | undefined;
  try {
    await run.open();
    result = await run.toTheEnd();
    return result;
  } finally {
    run.dispose();
    await options.onEnd?.(result);
  }
}

/** A step that was made. */
interface JudgedStep extends Pick<StepRecord, "gradientNorm" | "gradientNorms"> {
  readonly measured: StepMeasures;
}

class Run {
  private readonly model: Transformer;
  private readonly recipe: Recipe;
  private readonly options: TrainOptions;
  private readonly source: BatchSource;
  private readonly validationSets: readonly (readonly [name: string, data: EvaluationData])[];
  private readonly optimizer: AdamW;
  private readonly monitor: GradientMonitor;
  private readonly flopsPerToken: number;
  private log: MetricsLog | undefined;
  private step = 0;
  private updates = 0;
  private tokens = 0;
  private seconds = 0;
  private randomStream = 0;
  private interventions = 0;
  private savedAtStep = -1;
  private hasDataEnded = false;
  private validationLossNats = Number.NaN;
  private validations: readonly ValidationPoint[] = [];
  private recentLosses: readonly number[] = [];
  private readonly started = { tokens: 0, seconds: 0 };

  constructor(model: Transformer, data: TrainingData, recipe: Recipe, options: TrainOptions) {
    checkTogether(model, data, recipe, options);
    this.model = model;
    this.recipe = recipe;
    this.options = { ...options, signal: options.signal ?? notebookSignal() };
    this.source = data.train instanceof Int32Array ? new TokenBatches(data.train, recipe) : data.train;
    this.validationSets = validationSets(data.validation);
    this.flopsPerToken = modelSize({ ...model.config, contextLength: recipe.contextLength }).trainingFlopsPerToken;
    this.monitor = new GradientMonitor(recipe.monitor);
    this.optimizer = new AdamW(model.parameters(), recipe);
  }

  /** Opens the run folder and goes on from its checkpoint, where it is to. */
  async open(): Promise<void> {
    const { runFolder, ifExists = "fail", tokenizer } = this.options;
    if (runFolder === undefined) return;
    const skipped: string[] = [];
    const checkpoint = checkpointToResume(runFolder, ifExists, (text) => { console.warn(text); skipped.push(text); });
    if (checkpoint) await this.resume(checkpoint);
    this.log = openRunFolder(runFolder, { model: this.model.config, recipe: this.recipe }, tokenizer, checkpoint);
    for (const what of skipped) this.record({ event: "checkpointSkipped", what });
    const changes = checkpoint ? recipeChanges(checkpoint.state.recipe, this.recipe) : "";
    if (changes !== "") this.record({ event: "recipeChanged", what: changes });
    const { onNotFinite, onSpike } = this.recipe.monitor;
    // A roll-back before the first checkpoint has to find one.
    if (!checkpoint && (onNotFinite === "rollBack" || onSpike === "rollBack")) this.save();
  }

  private async resume(checkpoint: Checkpoint): Promise<void> {
    const { state } = checkpoint;
    await this.source.restore(state.cursor);
    this.returnTo(checkpoint);
    this.tokens = this.started.tokens = state.tokens;
    this.seconds = this.started.seconds = state.seconds;
    this.randomStream = state.randomStream;
    this.interventions = state.interventions;
    this.monitor.restore(state.monitor);
  }

  /** Weights, buffers, moments and step as they were; not what was spent since: tokens, seconds, data and noise. */
  private returnTo(checkpoint: Checkpoint): void {
    restoreCheckpoint(checkpoint, this.model, this.optimizer);
    const { state } = checkpoint;
    this.step = this.savedAtStep = state.step;
    this.updates = state.updates;
    this.validations = state.validations;
    this.validationLossNats = state.validationLossNats;
    this.recentLosses = state.recentLosses;
  }

  async toTheEnd(): Promise<TrainResult> {
    const { recipe, options } = this;
    while (this.goesOn()) {
      const before = this.step;
      await this.trainStep();
      if (this.step > before) {
        if (this.step % recipe.evaluateEvery === 0 && this.step < recipe.steps) await this.evaluate(false);
        if (this.step % recipe.checkpointEvery === 0) this.save();
      }
      await nextTurn(); // lets a notebook show progress and notice an interrupt
    }
    const last = this.validations.at(-1), isFinished = last?.isFinal && last.step === this.step;
    if (!options.signal?.aborted && !isFinished) await this.finish();
    this.save();
    return this.result();
  }

  private goesOn(): boolean {
    return this.step < this.recipe.steps && !this.options.signal?.aborted && !this.hasDataEnded && !isPatienceOver(this.validations, this.recipe.earlyStop);
  }

  private async finish(): Promise<void> {
    const reason = this.endReason();
    if (reason === "earlyStop") this.record({ event: "earlyStop", what: `${this.recipe.earlyStop?.patience} evaluations brought no lower validation loss` });
    if (reason === "dataEnded") this.record({ event: "dataEnded", what: `the data ended before step ${this.recipe.steps}` });
    await this.evaluate(true);
  }

  private endReason(): TrainResult["endReason"] {
    if (this.options.signal?.aborted) return "stopped";
    if (this.step >= this.recipe.steps) return "done";
    return this.hasDataEnded ? "dataEnded" : "earlyStop";
  }

  private result(): TrainResult {
    const tokens = this.tokens - this.started.tokens, seconds = this.seconds - this.started.seconds;
    return {
      steps: this.step, tokens: this.tokens, seconds: this.seconds, tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
      trainLossNats: this.recentLosses.reduce((sum, loss) => sum + loss, 0) / this.recentLosses.length,
      validationLossNats: this.validationLossNats, best: bestValidation(this.validations), endReason: this.endReason(),
      isStopped: this.options.signal?.aborted ?? false, runFolder: this.options.runFolder,
    };
  }

  private async trainStep(): Promise<void> {
    const startedMs = performance.now();
    const batches = await this.nextBatches();
    if (batches.length === 0) { this.hasDataEnded = true; return; }
    const { precision, seed, routerEntropyEvery } = this.recipe, step = this.step + 1;
    const launched = launchStep(this.model, batches, this.optimizer.trained, {
      precision, seed, randomStream: this.randomStream, withEntropy: routerEntropyEvery > 0 && step % routerEntropyEvery === 0,
    });
    this.randomStream += batches.length;
    this.tokens += launched.tokens;
    const learningRate = learningRateAt(step, this.recipe);
    const judged = await this.update(launched, step, learningRate);
    const stepSeconds = (performance.now() - startedMs) / 1000;
    this.seconds += stepSeconds;
    if (!judged) return;
    const { measured, ...norms } = judged;
    this.recentLosses = [...this.recentLosses, measured.lossNats].slice(-recentSteps);
    const { tokens, seconds } = this;
    const record = stepRecord({
      step, tokens, seconds, flops: tokens * this.flopsPerToken, stepTokens: launched.tokens, stepSeconds, learningRate,
      isLimited: this.model.config.moe.capacity.kind !== "dropless", ...norms,
    }, measured, this.recipe);
    this.log?.append(record);
    this.options.onStep?.(record, this.recipe);
  }

  /** The micro-batches of a step; fewer, or none, where the source has no more. */
  private async nextBatches(): Promise<Batch[]> {
    const batches: Batch[] = [];
    try {
      while (batches.length < this.recipe.accumulationSteps) batches.push(checkBatch(await this.source.next()));
    } catch (error) {
      if (!(error instanceof DataError) || error.code !== "E_DATA_ENDED") throw error;
    }
    return batches;
  }

  /** Changes the weights unless the step exceeds the monitor's limits, then reads what was measured and judges it by the same
   *  limits: so a device is waited for once a step, when all its work is on the way.
   *  @returns undefined when the weights stayed as they were */
  private async update({ gradients, lossNats, read }: LaunchedStep, step: number, learningRate: number): Promise<JudgedStep | undefined> {
    const { norm, gradientScale } = this.optimizer.clip(gradients);
    const allowed = allowedScale(gradientScale, { lossNats, gradientNorm: norm }, this.monitor.limits());
    const names = this.monitor.measuresIn(step) ? [...gradients.keys()] : [];
    const norms = tf.tidy(() => tf.stack([norm, ...names.map((name) => globalNorm([gradients.get(name) as tf.Tensor]))]));
    try {
      this.optimizer.update(gradients, this.updates + 1, learningRate, allowed);
      const [measured, [gradientNorm, ...ofWeights]] = await Promise.all([read(), norms.data<"float32">()]);
      if (!this.react(this.monitor.judgeLoss(measured.lossNats), step)) return undefined;
      if (!this.react(this.monitor.judgeGradients(gradientNorm, gradients), step)) return undefined;
      const layers = this.monitor.measure(step, this.optimizer.trained.keys(), new Map(names.map((name, i) => [name, ofWeights[i]])), measured.expertCounts);
      for (const finding of layers?.findings ?? []) this.record(finding, step);
      this.model.afterStep(measured.expertCounts.map(({ counts }) => counts));
      this.updates += 1;
      this.step = step;
      return { measured, gradientNorm, ...(layers && { gradientNorms: layers.norms }) };
    } finally {
      tf.dispose([...gradients.values(), lossNats, norm, gradientScale, allowed, norms]);
    }
  }

  /** Does what the finding's policy says.
   *  @returns true when the step is to be made all the same */
  private react(finding: Finding | undefined, step: number): boolean {
    if (!finding) return true;
    if (finding.action === "record") { this.record(finding, step); return true; }
    const { maxInterventions } = this.recipe.monitor;
    const isOver = finding.action !== "stop" && this.interventions >= maxInterventions;
    if (finding.action === "stop" || isOver) {
      this.record({ ...finding, action: "stop" }, step);
      throw stopped(finding, step, isOver ? maxInterventions : undefined);
    }
    this.interventions += 1;
    if (finding.action === "skipStep") {
      this.record(finding, step);
      this.step = step;
    } else this.rollBack(finding, step);
    return false;
  }

  private rollBack(finding: Finding, step: number): void {
    const skipped: string[] = [];
    const checkpoint = readLatestCheckpoint(join(this.options.runFolder ?? "", checkpointFolder), (text) => { console.warn(text); skipped.push(text); });
    this.returnTo(checkpoint);
    for (const what of skipped) this.record({ event: "checkpointSkipped", what }, step);
    this.record({ ...finding, toStep: this.step }, step);
  }

  private record(event: Omit<EventRecord, "kind" | "step" | "tokens">, step = this.step): void {
    const record: EventRecord = { kind: "event", step, tokens: this.tokens, ...event };
    this.log?.append(record);
    this.options.onEvent?.(record);
  }

  private async evaluate(isFinal: boolean): Promise<void> {
    const { batchSize, contextLength, evaluationTokens } = this.recipe, { signal } = this.options;
    const sets: Record<string, { lossNats: number; tokens: number }> = {};
    let first: { lossNats: number; tokens: number; markedLossNats: number } | undefined;
    for (const [name, data] of this.validationSets) {
      const measured = await evaluate(this.model, data, { batchSize, contextLength, markTokens: evaluationTokens, signal, ...(!isFinal && { maxTokens: evaluationTokens }) }).catch((error: unknown) => {
        if (!signal?.aborted) throw error;
        return undefined; // stopped half way: a part of the validation data would be another measure
      });
      if (!measured) return;
      sets[name] = { lossNats: measured.lossNats, tokens: measured.tokens };
      first ??= measured;
    }
    if (!first) return;
    const { step, tokens, seconds } = this;
    this.validationLossNats = first.lossNats;
    this.validations = [...this.validations, { step, lossNats: first.markedLossNats, isFinal }];
    const record: EvaluationRecord = {
      kind: "evaluation", step, tokens, flops: tokens * this.flopsPerToken, seconds, validationLossNats: first.lossNats, validationTokens: first.tokens,
      ...(this.validationSets.length > 1 && { sets }),
    };
    this.log?.append(record);
    this.options.onEvaluation?.(record);
    this.savedAtStep = -1; // the checkpoint of this step, if there is one, doesn't hold the evaluation
    if (this.recipe.keepBest && bestValidation(this.validations)?.step === step) this.save();
  }

  private save(): void {
    const { runFolder, onCheckpoint } = this.options;
    if (runFolder === undefined || this.savedAtStep === this.step) return;
    this.log?.sync();
    const { step, updates, tokens, seconds, randomStream, recipe, validationLossNats, validations, recentLosses, interventions } = this;
    const path = writeCheckpoint(join(runFolder, checkpointFolder), {
      step, updates, tokens, seconds, randomStream, cursor: this.source.cursor(), recipe, config: this.model.config, validationLossNats, validations,
      metricsLines: this.log?.lines, recentLosses, monitor: this.monitor.state(), interventions,
    }, this.model, this.optimizer, recipe.keepCheckpoints);
    this.savedAtStep = step;
    onCheckpoint?.({ path, step, isBest: bestValidation(validations)?.step === step });
  }

  dispose(): void {
    this.optimizer.dispose();
  }
}

/** Settings that are right by themselves and can't be together. */
function checkTogether(model: Transformer, data: TrainingData, recipe: Recipe, options: TrainOptions): void {
  if (recipe.contextLength > model.config.contextLength) {
    throw new ConfigError({
      code: "E_CONFIG_CONTEXT_LENGTH", what: `the recipe's contextLength ${recipe.contextLength} exceeds the model's ${model.config.contextLength}`,
      why: "the model takes no longer rows", fix: `set the recipe's contextLength to ${model.config.contextLength} or less`,
    });
  }
  const { onNotFinite, onSpike } = recipe.monitor;
  if (options.runFolder === undefined && (onNotFinite === "rollBack" || onSpike === "rollBack")) {
    throw new ConfigError({ code: "E_CONFIG_ROLL_BACK", what: "the monitor is to roll back and there is no runFolder", why: "a roll-back returns to a checkpoint in the run folder", fix: "give a runFolder, or choose another policy" });
  }
  if (recipe.earlyStop && data.validation === undefined) {
    throw new ConfigError({ code: "E_CONFIG_EARLY_STOP", what: "earlyStop is set and there is no validation data", why: "it watches the validation loss", fix: "give validation data, or leave earlyStop out" });
  }
}

function validationSets(validation: TrainingData["validation"]): [string, EvaluationData][] {
  if (validation === undefined) return [];
  return validation instanceof Int32Array || typeof validation === "function" ? [["validation", validation]] : Object.entries(validation);
}

function checkBatch(batch: Batch): Batch {
  const { batchSize: B, contextLength: T } = batch;
  for (const name of ["inputs", "targets", "lossMask", "tokenMask", "documentStart"] as const) {
    const values = batch[name];
    if (values === undefined || values.length === B * T) continue;
    throw new DataError({ code: "E_BATCH_SHAPE", what: `a batch of ${B} × ${T} tokens has ${values.length} values in ${name}`, why: "there has to be one for each token", fix: "look at the BatchSource that made it" });
  }
  return batch;
}

/** The settings that differ, in words; "" when none does. One that an earlier version didn't know is left out. */
function recipeChanges(before: Recipe, now: Recipe): string {
  const values = (recipe: object): Map<string, string> => new Map(Object.entries(recipe).map(([name, value]) => [name, JSON.stringify(value)]));
  const next = values(now);
  return [...values(before)].filter(([name, value]) => next.get(name) !== value).map(([name, value]) => `${name}: ${value} → ${next.get(name) ?? "none"}`).join("; ");
}

const stopCodes = {
  lossNotFinite: "E_LOSS_NOT_FINITE", gradientNotFinite: "E_GRADIENT_NOT_FINITE", lossSpike: "E_LOSS_SPIKE", gradientSpike: "E_GRADIENT_SPIKE", deadLayer: "E_DEAD_LAYER",
} as const satisfies Record<Finding["event"], string>;

function stopped({ event, what }: Finding, step: number, interventions: number | undefined): TrainingError {
  return new TrainingError({
    code: interventions === undefined ? stopCodes[event] : "E_TRAINING_UNSTABLE",
    what: `in step ${step} ${what}${interventions === undefined ? "" : `, after ${interventions} skipped steps and roll-backs`}`,
    why: interventions === undefined ? "the recipe's monitor stops the run then, before the weights are touched" : "a run that has to be mended so often goes nowhere",
    fix: "lower learningRate, lengthen warmupSteps, look at the data of that step, and go on from the last checkpoint",
  });
}
