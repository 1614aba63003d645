import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FileFormatError } from "../errors.ts";
import type { DataCursor } from "../data/batches.ts";
import { readSafetensors, writeSafetensors, type NamedArray } from "../export/safetensors.ts";
import { fileOf, readSealedFolder, writeSealedFolder } from "../export/sealedFolder.ts";
import { assignVariables, readVariables } from "../export/weights.ts";
import type { TransformerConfig } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";
import type { AdamW } from "./optimizer.ts";
import type { Recipe } from "./recipe.ts";

const manifestName = "checkpoint.json";
const folderPattern = /^step-(\d{8})$/;

/** Where a run stands, beside its arrays. */
export interface TrainingState {
  /** finished steps */
  readonly step: number;
  /** training tokens so far */
  readonly tokens: number;
  /** seconds of training so far */
  readonly seconds: number;
  readonly cursor: DataCursor;
  readonly recipe: Recipe;
  readonly config: TransformerConfig;
  /** of the last evaluation, NaN before the first (null in the file) */
  readonly validationLossNats: number;
}

/** Writes `folder/step-NNNNNNNN` whole or not at all, then deletes all but the newest `keep`.
 *  @throws FileFormatError E_WRITE_FAILED; earlier checkpoints are then untouched */
export function writeCheckpoint(folder: string, state: TrainingState, model: Transformer, optimizer: AdamW, keep: number): string {
  const path = join(folder, `step-${String(state.step).padStart(8, "0")}`);
  writeSealedFolder(path, manifestName, { ...state }, new Map([
    ["model.safetensors", writeSafetensors(readVariables(model.state()))],
    ["optimizer.safetensors", writeSafetensors(readVariables(optimizer.moments()))],
  ]));
  for (const old of listCheckpoints(folder).slice(keep)) rmSync(join(folder, old), { recursive: true });
  return path;
}

/** Names of the checkpoints in a folder, newest first. */
export function listCheckpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => folderPattern.test(name)).sort().reverse();
}

export interface Checkpoint {
  readonly path: string;
  readonly state: TrainingState;
  readonly weights: ReadonlyMap<string, NamedArray>;
  readonly moments: ReadonlyMap<string, NamedArray>;
}

/** @throws FileFormatError E_FOLDER_CORRUPT, E_SAFETENSORS_CORRUPT */
export function readCheckpoint(path: string): Checkpoint {
  const folder = readSealedFolder(path, manifestName);
  const state = folder.manifest as unknown as TrainingState;
  return {
    path,
    state: { ...state, validationLossNats: state.validationLossNats ?? Number.NaN },
    weights: readSafetensors(fileOf(folder, "model.safetensors", path), `${path}/model.safetensors`).arrays,
    moments: readSafetensors(fileOf(folder, "optimizer.safetensors", path), `${path}/optimizer.safetensors`).arrays,
  };
}

/** The newest checkpoint that is whole. One that is corrupt is skipped, with a warning that says why.
 *  @throws FileFormatError E_NO_CHECKPOINT */
export function readLatestCheckpoint(folder: string, warn: (text: string) => void = console.warn): Checkpoint {
  for (const name of listCheckpoints(folder)) {
    try {
      return readCheckpoint(join(folder, name));
    } catch (error) {
      if (!(error instanceof FileFormatError)) throw error;
      warn(`${error.what}: ${error.why}. Going on with the checkpoint before it.`);
    }
  }
  throw new FileFormatError({ code: "E_NO_CHECKPOINT", what: `${folder} has no checkpoint that can be used`, why: "a run is continued or promoted from its newest whole checkpoint", fix: "train first, or name another run folder" });
}

/** Puts weights and moments back in place. */
export function restoreCheckpoint(checkpoint: Checkpoint, model: Transformer, optimizer?: AdamW): void {
  assignVariables(model.state(), checkpoint.weights, checkpoint.path);
  if (optimizer) assignVariables(optimizer.moments(), checkpoint.moments, checkpoint.path);
}
