import * as tf from "@tensorflow/tfjs-core";
import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TokenBatches, type Batch } from "../data/batches.ts";
import { ConfigError, FileFormatError, TrainingError } from "../errors.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";
import { modelSize } from "../models/count.ts";
import type { Transformer } from "../models/transformer.ts";
import { notebookSignal } from "../plot/notebook.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readLatestCheckpoint, restoreCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { evaluate } from "./evaluate.ts";
import { batchLoss } from "./loss.ts";
import { MetricsLog, type EvaluationRecord, type StepRecord } from "./metrics.ts";
import { AdamW } from "./optimizer.ts";
import { recipe as wholeRecipe, type Recipe } from "./recipe.ts";
import { learningRateAt } from "./schedule.ts";

export interface TrainingData {
  /** token ids */
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

export interface TrainOptions {
  /** Where metrics, checkpoints and the tokenizer go; nothing is written without it. */
  readonly runFolder?: string;
  /** What to do when runFolder holds a run: refuse, go on from its newest checkpoint, or rename it to `<name>.<time>`. */
  readonly ifExists?: "fail" | "resume" | "setAside";
  /** Kept in the run folder, so that the run can be promoted. */
  readonly tokenizer?: Tokenizer;
  /** Ends the run after the current step; the model is then consistent and a checkpoint is written.
   *  In a notebook, unless given, the interrupt of the cell. */
  readonly signal?: AbortSignal;
  readonly onStep?: (record: StepRecord, recipe: Recipe) => void;
  readonly onEvaluation?: (record: EvaluationRecord) => void;
  /** When the run has ended in any way. */
  readonly onEnd?: () => Promise<void>;
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
  readonly validationLossNats: number;
  /** true when the signal ended the run */
  readonly isStopped: boolean;
  readonly runFolder: string | undefined;
}

/** Name of the checkpoint folder in a run folder. */
export const checkpointFolder = "checkpoints";

/** Trains a model on token ids and returns when the recipe's steps are done.
 *  @throws ConfigError E_CONFIG_*, TrainingError E_LOSS_NOT_FINITE, E_GRADIENT_NOT_FINITE, FileFormatError E_RUN_EXISTS, E_WRITE_FAILED */
export async function train(model: Transformer, data: TrainingData, settings: Pick<Recipe, "steps"> & Partial<Recipe>, options: TrainOptions = {}): Promise<TrainResult> {
  const run = new Run(model, data, wholeRecipe(settings), options);
  try {
    return await run.toTheEnd();
  } finally {
    run.dispose();
    await options.onEnd?.();
  }
}

class Run {
  private readonly model: Transformer;
  private readonly data: TrainingData;
  private readonly recipe: Recipe;
  private readonly options: TrainOptions;
  private readonly batches: TokenBatches;
  private readonly optimizer: AdamW;
  private readonly log: MetricsLog | undefined;
  private readonly flopsPerToken: number;
  private step = 0;
  private tokens = 0;
  private seconds = 0;
  private savedAtStep = -1;
  private validationLossNats = Number.NaN;
  private readonly recentLosses: number[] = [];
  private readonly started = { tokens: 0, seconds: 0 };

  constructor(model: Transformer, data: TrainingData, recipe: Recipe, options: TrainOptions) {
    if (recipe.contextLength > model.config.contextLength) {
      throw new ConfigError({
        code: "E_CONFIG_CONTEXT_LENGTH", what: `the recipe's contextLength ${recipe.contextLength} exceeds the model's ${model.config.contextLength}`,
        why: "the model takes no longer rows", fix: `set the recipe's contextLength to ${model.config.contextLength} or less`,
      });
    }
    this.model = model;
    this.data = data;
    this.recipe = recipe;
    this.options = { ...options, signal: options.signal ?? notebookSignal() };
    this.batches = new TokenBatches(data.train, recipe);
    this.optimizer = new AdamW(model.parameters(), recipe);
    this.flopsPerToken = modelSize({ ...model.config, contextLength: recipe.contextLength }).trainingFlopsPerToken;
    this.log = options.runFolder === undefined ? undefined : this.openRunFolder(options.runFolder);
  }

  private openRunFolder(runFolder: string): MetricsLog {
    const { ifExists = "fail", tokenizer } = this.options;
    if (existsSync(runFolder) && readdirSync(runFolder).length > 0) {
      if (ifExists === "fail") {
        throw new FileFormatError({ code: "E_RUN_EXISTS", what: `${runFolder} holds a run already`, why: "training into it would mix two runs", fix: 'choose another runFolder, or ifExists: "resume" or "setAside"' });
      }
      if (ifExists === "setAside") renameSync(runFolder, `${runFolder}.${new Date().toISOString().replace(/[:.]/g, "-")}`);
      else this.resume(readLatestCheckpoint(join(runFolder, checkpointFolder)));
    }
    writeFileWhole(join(runFolder, "recipe.json"), `${JSON.stringify({ model: this.model.config, recipe: this.recipe }, null, 2)}\n`);
    if (tokenizer) writeFileWhole(join(runFolder, "tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
    return new MetricsLog(join(runFolder, "metrics.jsonl"), this.step);
  }

  private resume(checkpoint: ReturnType<typeof readLatestCheckpoint>): void {
    restoreCheckpoint(checkpoint, this.model, this.optimizer);
    const { state } = checkpoint;
    this.batches.restore(state.cursor);
    this.step = this.savedAtStep = state.step;
    this.tokens = this.started.tokens = state.tokens;
    this.seconds = this.started.seconds = state.seconds;
    this.validationLossNats = state.validationLossNats;
  }

  async toTheEnd(): Promise<TrainResult> {
    const { recipe, options } = this;
    while (this.step < recipe.steps && !options.signal?.aborted) {
      const record = await this.trainStep();
      this.log?.append(record);
      options.onStep?.(record, recipe);
      if (this.step % recipe.evaluateEvery === 0 && this.step < recipe.steps) await this.evaluate(recipe.evaluationTokens);
      if (this.step % recipe.checkpointEvery === 0) this.save();
      await nextTurn(); // lets a notebook show progress and notice an interrupt
    }
    if (!options.signal?.aborted) await this.evaluate();
    if (this.savedAtStep !== this.step) this.save();
    const tokens = this.tokens - this.started.tokens, seconds = this.seconds - this.started.seconds;
    return {
      steps: this.step, tokens: this.tokens, seconds: this.seconds, tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
      trainLossNats: this.recentLosses.reduce((sum, loss) => sum + loss, 0) / this.recentLosses.length,
      validationLossNats: this.validationLossNats, isStopped: options.signal?.aborted ?? false, runFolder: options.runFolder,
    };
  }

  private async trainStep(): Promise<StepRecord> {
    const startedMs = performance.now();
    const batch = this.batches.next();
    const { lossNats, balanceLoss, zLoss, gradients, expertCounts } = await this.forwardBackward(batch);
    const step = this.step + 1;
    const learningRate = learningRateAt(step, this.recipe);
    let gradientNorm: number;
    try {
      if (!Number.isFinite(lossNats)) {
        throw new TrainingError({ code: "E_LOSS_NOT_FINITE", what: `the loss of step ${step} is ${lossNats}`, why: "training can't go on from it", fix: "lower learningRate, lengthen warmupSteps, and go on from the last checkpoint" });
      }
      gradientNorm = this.optimizer.update(gradients, step, learningRate);
    } finally {
      for (const gradient of gradients.values()) gradient.dispose();
    }
    this.model.afterStep(expertCounts);
    const stepSeconds = (performance.now() - startedMs) / 1000;
    this.step = step;
    this.tokens += batch.inputs.length;
    this.seconds += stepSeconds;
    this.recentLosses.push(lossNats);
    if (this.recentLosses.length > 20) this.recentLosses.shift();
    const expertLoad = expertCounts.map((counts) => shares(counts));
    const maxVio = expertLoad.reduce((sum, load) => sum + Math.max(...load) * load.length - 1, 0) / expertLoad.length;
    return {
      kind: "step", step, tokens: this.tokens, flops: this.tokens * this.flopsPerToken, seconds: this.seconds, lossNats, balanceLoss, zLoss,
      learningRate, gradientNorm, tokensPerSecond: batch.inputs.length / stepSeconds, expertLoad, maxVio,
    };
  }

  private async forwardBackward(batch: Batch): Promise<{ lossNats: number; balanceLoss: number; zLoss: number; gradients: Map<string, tf.Tensor>; expertCounts: Float64Array[] }> {
    const weights = this.model.parameters();
    const kept: { losses?: tf.Tensor1D; ids: tf.Tensor2D[] } = { ids: [] };
    const { value, grads } = tf.variableGrads(() => {
      const loss = batchLoss(this.model, batch, this.recipe.precision);
      // variableGrads gives back the total only; what else is wanted of the step has to outlive its tidy.
      kept.losses = tf.keep(tf.stack([loss.crossEntropy, loss.balance, loss.z]) as tf.Tensor1D);
      kept.ids = loss.routing.map((record) => tf.keep(record.ids));
      return loss.total;
    }, [...weights.values()]);
    value.dispose();
    const [lossNats, balanceLoss, zLoss] = kept.losses ? await kept.losses.data<"float32">() : [];
    kept.losses?.dispose();
    const expertCounts = await Promise.all(kept.ids.map(async (ids) => countExperts(await ids.data<"int32">(), this.model.config.moe.numExperts)));
    for (const ids of kept.ids) ids.dispose();
    const gradients = new Map([...weights].map(([name, weight]) => [name, grads[weight.name]]));
    return { lossNats, balanceLoss, zLoss, gradients, expertCounts };
  }

  private async evaluate(maxTokens?: number): Promise<void> {
    const { batchSize, contextLength } = this.recipe;
    const { signal } = this.options;
    const measured = await evaluate(this.model, this.data.validation, { batchSize, contextLength, maxTokens, signal }).catch((error: unknown) => {
      if (!signal?.aborted) throw error;
      return undefined; // stopped half way: a part of the validation data would be another measure
    });
    if (!measured) return;
    const { lossNats, tokens } = measured;
    this.validationLossNats = lossNats;
    const record: EvaluationRecord = { kind: "evaluation", step: this.step, tokens: this.tokens, seconds: this.seconds, validationLossNats: lossNats, validationTokens: tokens };
    this.log?.append(record);
    this.options.onEvaluation?.(record);
  }

  private save(): void {
    if (this.options.runFolder === undefined) return;
    writeCheckpoint(join(this.options.runFolder, checkpointFolder), {
      step: this.step, tokens: this.tokens, seconds: this.seconds, cursor: this.batches.cursor(), recipe: this.recipe, config: this.model.config,
      validationLossNats: this.validationLossNats,
    }, this.model, this.optimizer, this.recipe.keepCheckpoints);
    this.savedAtStep = this.step;
  }

  dispose(): void {
    this.optimizer.dispose();
  }
}

function countExperts(ids: Int32Array, numExperts: number): Float64Array {
  const counts = new Float64Array(numExperts);
  for (const expert of ids) if (expert >= 0) counts[expert] += 1;
  return counts;
}

function shares(counts: Float64Array): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Array.from(counts, (count) => count / total);
}
