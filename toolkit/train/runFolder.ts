import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { FileFormatError } from "../errors.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";
import type { TransformerConfig } from "../models/config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { listCheckpoints, readLatestCheckpoint, sweepUnfinished, type Checkpoint } from "./checkpoint.ts";
import { MetricsLog } from "./metrics.ts";
import type { Recipe } from "./recipe.ts";

/** Name of the checkpoint folder in a run folder. */
export const checkpointFolder = "checkpoints";

/** What to do when the folder holds a run: refuse, go on from its newest checkpoint, or rename it to `<name>.<time>`. */
export type IfExists = "fail" | "resume" | "setAside";

/** Looks at what is in a run folder, before anything is written.
 *  @param warn of checkpoints that are corrupt
 *  @returns the checkpoint to go on from; undefined where the run starts at its beginning
 *  @throws FileFormatError E_RUN_EXISTS, E_NO_CHECKPOINT when there are checkpoints and all are corrupt */
export function checkpointToResume(runFolder: string, ifExists: IfExists, warn: (text: string) => void): Checkpoint | undefined {
  if (!existsSync(runFolder) || readdirSync(runFolder).length === 0) return undefined;
  if (ifExists === "fail") {
    throw new FileFormatError({ code: "E_RUN_EXISTS", what: `${runFolder} holds a run already`, why: "training into it would mix two runs", fix: 'choose another runFolder, or ifExists: "resume" or "setAside"' });
  }
  if (ifExists === "setAside") {
    renameSync(runFolder, `${runFolder}.${new Date().toISOString().replace(/[:.]/g, "-")}`);
    return undefined;
  }
  const folder = join(runFolder, checkpointFolder);
  sweepUnfinished(folder);
  // A run that was killed before its first checkpoint starts again.
  return listCheckpoints(folder).length > 0 ? readLatestCheckpoint(folder, warn) : undefined;
}

/** Writes recipe.json and tokenizer.json and opens metrics.jsonl where the run goes on.
 *  @throws FileFormatError E_WRITE_FAILED */
export function openRunFolder(runFolder: string, settings: { model: TransformerConfig; recipe: Recipe }, tokenizer: Tokenizer | undefined, checkpoint: Checkpoint | undefined): MetricsLog {
  writeFileWhole(join(runFolder, "recipe.json"), `${JSON.stringify(settings, null, 2)}\n`);
  if (tokenizer) writeFileWhole(join(runFolder, "tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
  return new MetricsLog(join(runFolder, "metrics.jsonl"), checkpoint && { step: checkpoint.state.step, lines: checkpoint.state.metricsLines });
}
