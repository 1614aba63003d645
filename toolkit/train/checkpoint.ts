import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { JsonValue } from "../data/batchSource.ts";
import { FileFormatError } from "../errors.ts";
import { readSafetensors, writeSafetensors, type NamedArray } from "../export/safetensors.ts";
import { fileOf, readSealedFolder, writeSealedFolder } from "../export/sealedFolder.ts";
import { assignVariables, readVariables } from "../export/weights.ts";
import type { TransformerConfig } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";
import type { MonitorState } from "./gradientMonitor.ts";
import type { AdamW } from "./optimizer.ts";
import type { Recipe } from "./recipe.ts";
import { bestValidation, type ValidationPoint } from "./validationHistory.ts";

const manifestName = "checkpoint.json";
const folderPattern = /^step-(\d{8})$/;
/** What a killed process may leave: a folder that it was writing, or one that it was about to replace. */
const unfinishedPattern = /^(step-\d{8})\.[0-9a-f]{8}\.(new|old)$/;

/** Of the layout. 1: the state stood in checkpoint.json, without what later versions need to go on bit for bit. */
const formatVersion = 2;

/** Where a run stands, beside its arrays; plain JSON. */
export interface TrainingState {
  /** finished steps */
  readonly step: number;
  /** updates of the weights: steps without the skipped ones */
  readonly updates: number;
  /** training tokens so far */
  readonly tokens: number;
  /** seconds of training so far */
  readonly seconds: number;
  /** stream of the next micro-batch's RandomSource; its seed is the recipe's */
  readonly randomStream: number;
  /** where the data stands */
  readonly cursor: JsonValue;
  readonly recipe: Recipe;
  readonly config: TransformerConfig;
  /** of the last evaluation, NaN before the first (null in the file) */
  readonly validationLossNats: number;
  /** evaluations so far */
  readonly validations: readonly ValidationPoint[];
  /** lines of metrics.jsonl; undefined in a checkpoint of version 1 */
  readonly metricsLines?: number;
  /** training losses of the last steps */
  readonly recentLosses: readonly number[];
  readonly monitor: MonitorState;
  /** skipped steps and roll-backs */
  readonly interventions: number;
}

/** Writes `folder/step-NNNNNNNN` whole or not at all, then deletes all but the newest `keep` and the one of the lowest
 *  validation loss, where the recipe keeps it.
 *  @throws FileFormatError E_WRITE_FAILED; earlier checkpoints are then untouched */
export function writeCheckpoint(folder: string, state: TrainingState, model: Transformer, optimizer: AdamW, keep: number): string {
  const path = join(folder, folderName(state.step));
  // The state is a file of its own, so that it stands under a checksum as the arrays do.
  writeSealedFolder(path, manifestName, {}, new Map<string, Uint8Array | string>([
    ["state.json", `${JSON.stringify({ formatVersion, ...state }, null, 2)}\n`],
    ["model.safetensors", writeSafetensors(readVariables(model.state()))],
    ["optimizer.safetensors", writeSafetensors(readVariables(optimizer.moments()))],
  ]));
  const best = state.recipe.keepBest ? bestValidation(state.validations) : undefined;
  for (const old of listCheckpoints(folder).slice(keep)) {
    if (best === undefined || old !== folderName(best.step)) rmSync(join(folder, old), { recursive: true });
  }
  return path;
}

function folderName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

/** Names of the checkpoints in a folder, newest first. */
export function listCheckpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => folderPattern.test(name)).sort().reverse();
}

/** Clears away what a killed process left half done. Only for the one process that writes to the folder. */
export function sweepUnfinished(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const match = unfinishedPattern.exec(name);
    if (!match) continue;
    const [, place, kind] = match;
    // Killed between two renames: the old checkpoint is whole and the only one of its step.
    if (kind === "old" && !existsSync(join(folder, place))) renameSync(join(folder, name), join(folder, place));
    else rmSync(join(folder, name), { recursive: true });
  }
}

export interface Checkpoint {
  readonly path: string;
  readonly state: TrainingState;
  readonly weights: ReadonlyMap<string, NamedArray>;
  readonly moments: ReadonlyMap<string, NamedArray>;
}

/** @throws FileFormatError E_FOLDER_CORRUPT, E_SAFETENSORS_CORRUPT, E_CHECKPOINT_VERSION */
export function readCheckpoint(path: string): Checkpoint {
  const folder = readSealedFolder(path, manifestName);
  // Not told by a mark in the manifest: one changed byte there would make a checkpoint of today look like an old one.
  const isFirstVersion = !folder.files.has("state.json") && typeof folder.manifest["step"] === "number";
  const state = isFirstVersion ? stateOfFirstVersion(folder.manifest) : parseState(fileOf(folder, "state.json", path), path);
  return {
    path,
    state: { ...state, validationLossNats: state.validationLossNats ?? Number.NaN },
    weights: readSafetensors(fileOf(folder, "model.safetensors", path), `${path}/model.safetensors`).arrays,
    moments: readSafetensors(fileOf(folder, "optimizer.safetensors", path), `${path}/optimizer.safetensors`).arrays,
  };
}

function parseState(bytes: Buffer, path: string): TrainingState {
  const { formatVersion: version, ...state } = JSON.parse(bytes.toString("utf8")) as TrainingState & { formatVersion: number };
  if (version !== formatVersion) {
    throw new FileFormatError({
      code: "E_CHECKPOINT_VERSION", what: `${path} has the layout version ${version}`, why: `this moe-lab reads the versions 1 and ${formatVersion}`,
      fix: "go on with the moe-lab that wrote it, or a newer one",
    });
  }
  // NaN is null in JSON.
  return { ...state, validations: state.validations.map((point) => ({ ...point, lossNats: point.lossNats ?? Number.NaN })) };
}

/** What version 1 didn't hold was not there to be held: no noise, no monitor, no history. */
function stateOfFirstVersion(manifest: Readonly<Record<string, unknown>>): TrainingState {
  const state = Object.fromEntries(Object.entries(manifest).filter(([name]) => name !== "sha256")) as unknown as
    Pick<TrainingState, "step" | "tokens" | "seconds" | "cursor" | "recipe" | "config" | "validationLossNats">;
  return {
    updates: state.step, randomStream: state.step, validations: [], recentLosses: [], interventions: 0,
    monitor: { losses: [], gradientNorms: [], deadSince: {} }, ...state,
  };
}

/** The newest checkpoint that is whole. One that is corrupt is skipped, with a warning that says why.
 *  @throws FileFormatError E_NO_CHECKPOINT */
export function readLatestCheckpoint(folder: string, warn: (text: string) => void = console.warn): Checkpoint {
  for (const name of listCheckpoints(folder)) {
    try {
      return readCheckpoint(join(folder, name));
    } catch (error) {
      if (!(error instanceof FileFormatError) || error.code === "E_CHECKPOINT_VERSION") throw error;
      warn(`${error.what}: ${error.why}. Going on with the checkpoint before it.`);
    }
  }
  throw noCheckpoint(folder, "train first, or name another run folder");
}

/** The checkpoint of the lowest validation loss.
 *  @throws FileFormatError E_NO_CHECKPOINT when no evaluation was saved, E_FOLDER_CORRUPT */
export function readBestCheckpoint(folder: string, warn: (text: string) => void = console.warn): Checkpoint {
  const best = bestValidation(readLatestCheckpoint(folder, warn).state.validations);
  if (best === undefined || !listCheckpoints(folder).includes(folderName(best.step))) throw noCheckpoint(folder, "train with keepBest: true, or take the newest checkpoint");
  return readCheckpoint(join(folder, folderName(best.step)));
}

function noCheckpoint(folder: string, fix: string): FileFormatError {
  return new FileFormatError({ code: "E_NO_CHECKPOINT", what: `${folder} has no checkpoint that can be used`, why: "a run is continued or promoted from a whole checkpoint", fix });
}

/** Puts weights and moments back in place. */
export function restoreCheckpoint(checkpoint: Checkpoint, model: Transformer, optimizer?: AdamW): void {
  assignVariables(model.state(), checkpoint.weights, checkpoint.path);
  if (optimizer) assignVariables(optimizer.moments(), checkpoint.moments, checkpoint.path);
}
