import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { ConfigError } from "../errors.ts";
import type { TransformerConfig } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Recipe } from "../train/recipe.ts";
import type { TrainCallbacks, TrainResult } from "../train/trainer.ts";
import { withDeviceOption } from "./device.ts";
import type { TrainConfigFile } from "./trainConfig.ts";
import type { DataConfig, OpenedData } from "./trainData.ts";

interface Options { config: string; data?: string[]; output?: string; resume?: boolean; check?: boolean }
type RunOptions = Options & { output: string };

/** Exit code after Ctrl-C, as shells give it. */
const interruptedExitCode = 130;

const help = `
A config has four parts; all but these few settings have defaults:

  model:
    numLayers: 4
    width: 128
    numHeads: 4
    contextLength: 128
    moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 256 }
                                     # or  preset: olmoe  with  scale: tiny  and what differs
  tokenizer:
    vocabSize: 2048                  # trains a new one; or  file: tokenizer.json
  data:
    validation: { share: 0.05 }      # of the documents; or  files: held-out.jsonl
  recipe:
    steps: 1000
    batchSize: 8
    schedule: { kind: wsd }          # or cosine, linear, constant
    monitor: { onNotFinite: rollBack, onSpike: skipStep }

--data takes files and patterns: JSON Lines, JSON, CSV, Parquet, plain text, tokenised .bin. Documents are packed into rows.
--output gets recipe.json, tokenizer.json, metrics.jsonl and checkpoints/.
Ctrl-C ends the run after its step and writes a checkpoint; --resume goes on from it, bit for bit as if nothing had been.
Exit codes: 0 the run is finished, 1 an error (what, why and fix are printed), 130 stopped by Ctrl-C.

  npx moe-lab train --config recipe.yaml --data 'texts/*.jsonl' --output runs/first
  npx moe-lab train --config recipe.yaml --data 'texts/*.jsonl' --output runs/first --resume
  npx moe-lab promote runs/first --out service`;

/** `moe-lab train --config FILE --data FILE… --output DIR` */
export function addTrain(program: Command): void {
  withDeviceOption(program.command("train")).description("train a model as a YAML file describes it")
    .requiredOption("--config <file>", "YAML file with model, tokenizer, data and recipe")
    .option("--data <files...>", "training files or patterns, in place of the config's data.files")
    .option("--output <folder>", "run folder")
    .option("--resume", "go on from the newest checkpoint in the run folder")
    .option("--check", "check the config and print the model's size and cost; nothing is read or trained")
    .addHelpText("after", help)
    .action(async (options: Options) => {
      const { readTrainConfig } = await import("./trainConfig.ts");
      const file = readTrainConfig(options.config);
      const { model, recipe } = await checkedSettings(file);
      if (options.check) { await printSize(model, recipe); return; }
      const runOptions = checkOutput(options);
      const result = await trainFromConfig(file, recipe, dataOf(file, options), runOptions);
      report(result, runOptions);
      if (result.isStopped) process.exitCode = interruptedExitCode;
    });
}

/** Model and recipe, checked before any data is read. The recipe's rows are as long as the model's unless it says otherwise. */
async function checkedSettings(file: TrainConfigFile): Promise<{ model: TransformerConfig; recipe: Recipe }> {
  const { recipe: wholeRecipe } = await import("../train/recipe.ts");
  const { modelConfigOf } = await import("./trainModel.ts");
  const { readTokenizer } = await import("./trainData.ts");
  const { tokenizer, recipe } = file.config;
  const model = modelConfigOf(file, "file" in tokenizer ? readTokenizer(tokenizer.file).vocabSize : tokenizer.vocabSize);
  return { model, recipe: file.check("recipe", () => wholeRecipe({ contextLength: model.contextLength, ...recipe })) };
}

function dataOf({ config }: TrainConfigFile, options: Options): DataConfig {
  const files = options.data ?? config.data.files;
  if (files === undefined) throw new ConfigError({ code: "E_NO_DATA", what: "no training files are named", why: "there is nothing to train on", fix: "pass --data FILE, or set data.files in the config" });
  return { ...config.data, files };
}

function checkOutput(options: Options): RunOptions {
  const { output, resume } = options;
  if (output === undefined) throw new ConfigError({ code: "E_NO_OUTPUT", what: "no run folder is named", why: "metrics and checkpoints have to go somewhere", fix: "pass --output, e.g. --output runs/first" });
  const isThere = existsSync(output) && readdirSync(output).length > 0;
  if (isThere && !resume) throw new ConfigError({ code: "E_RUN_EXISTS", what: `${output} holds something already`, why: "training into it would mix two runs", fix: "choose another --output, or go on with --resume" });
  if (!isThere && resume) throw new ConfigError({ code: "E_NO_RUN", what: `${output} holds no run`, why: "--resume goes on with one", fix: "check --output, or leave --resume out to begin" });
  return { ...options, output };
}

async function printSize(model: TransformerConfig, recipe: Recipe): Promise<void> {
  const { modelSize } = await import("../models/count.ts");
  const size = modelSize(model), tokens = recipe.steps * recipe.accumulationSteps * recipe.batchSize * recipe.contextLength;
  console.log(`The config is right.\n  parameters        ${size.totalParameters.toLocaleString("en-US")}, ${size.activeParameters.toLocaleString("en-US")} active for a token` +
    `\n  training tokens   ${tokens.toLocaleString("en-US")} in ${recipe.steps.toLocaleString("en-US")} steps\n  training FLOPs    ${(tokens * size.trainingFlopsPerToken).toExponential(2)}`);
}

async function trainFromConfig(file: TrainConfigFile, recipe: Recipe, data: DataConfig, { output, resume }: RunOptions): Promise<TrainResult> {
  const { chooseBackend } = await import("../backend/choose.ts");
  const { modelConfigOf } = await import("./trainModel.ts");
  const { openData, tokenizerOf } = await import("./trainData.ts");
  const { Transformer } = await import("../models/transformer.ts");
  const { modelSize } = await import("../models/count.ts");
  const backend = await chooseBackend();
  const ownTokenizer = join(output, "tokenizer.json");
  const tokenizer = await tokenizerOf(resume && existsSync(ownTokenizer) ? { file: ownTokenizer } : file.config.tokenizer, data);
  const config = modelConfigOf(file, tokenizer.vocabSize);
  const model = file.check("model", () => new Transformer(config, { seed: recipe.seed }));
  const opened = await openData(data, tokenizer, recipe);
  console.log(`${(modelSize(config).totalParameters / 1e6).toFixed(2)} M parameters, vocabulary ${tokenizer.vocabSize}, backend ${backend.name} ${backend.device === "cpu" ? `with ${backend.threads} threads` : `on ${backend.device}`}`);
  return runWithInterrupt(model, opened, recipe, tokenizer, output);
}

/** Trains until the end or the first Ctrl-C; a second one ends the process at once. */
async function runWithInterrupt(model: Transformer, data: OpenedData, recipe: Recipe, tokenizer: Tokenizer, output: string): Promise<TrainResult> {
  const { train } = await import("../train/trainer.ts");
  const interrupt = new AbortController();
  const onSignal = (): void => {
    console.error("\nstopping after this step; once more to end at once, without a checkpoint");
    interrupt.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, onSignal);
  try {
    return await train(model, data, recipe, { runFolder: output, ifExists: "resume", tokenizer, signal: interrupt.signal, ...await display() });
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
    const { read, kept, bad } = data.report(), badRecords = Object.values(bad).reduce((sum, count) => sum + count, 0);
    console.log(`documents: ${read} read, ${kept} kept, ${badRecords} bad`);
    await data.train.close();
  }
}

/** The bar on a terminal; elsewhere a line for each evaluation. Events in both. */
async function display(): Promise<TrainCallbacks> {
  const { watchTraining } = await import("../train/watch.ts");
  const onEvent: TrainCallbacks["onEvent"] = ({ step, event, action, what }) => { console.error(`\nstep ${step}: ${event}${action === undefined ? "" : ` (${action})`}: ${what}`); };
  if (process.stderr.isTTY) return { ...watchTraining(), onEvent };
  return { onEvent, onEvaluation: ({ step, tokens, validationLossNats }) => { console.log(`step ${step}, ${tokens.toLocaleString("en-US")} tokens: validation loss ${validationLossNats.toFixed(4)} nats`); } };
}

function report({ steps, tokens, tokensPerSecond, trainLossNats, validationLossNats, endReason }: TrainResult, { output, config }: RunOptions): void {
  const ended = { done: "finished", stopped: "stopped", earlyStop: "ended early: the validation loss no longer fell", dataEnded: "ended with the data" }[endReason];
  console.log(`${ended} at step ${steps}: ${tokens.toLocaleString("en-US")} tokens, ${Math.round(tokensPerSecond).toLocaleString("en-US")} tokens/s\n` +
    `loss ${trainLossNats.toFixed(4)} nats in training, ${validationLossNats.toFixed(4)} in validation\n` +
    (endReason === "stopped" ? `Go on:   npx moe-lab train --config ${config} --data … --output ${output} --resume` : `Next:    npx moe-lab promote ${output} --out ${join(output, "service")}`));
}
