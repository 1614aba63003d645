import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FileFormatError } from "../errors.ts";
import { Transformer } from "../models/transformer.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readBestCheckpoint, readLatestCheckpoint, restoreCheckpoint, type TrainingState } from "./checkpoint.ts";
import { checkpointFolder } from "./runFolder.ts";

export interface LoadedRun {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  /** where the checkpoint stands */
  readonly state: TrainingState;
}

/** Loads model and tokenizer of a run folder.
 *  @param which the newest whole checkpoint, or the one of the lowest validation loss
 *  @throws FileFormatError E_NO_CHECKPOINT, E_NO_TOKENIZER, E_WEIGHTS_MISMATCH */
export function loadRun(runFolder: string, which: "newest" | "best" = "newest"): LoadedRun {
  const folder = join(runFolder, checkpointFolder);
  const checkpoint = which === "best" ? readBestCheckpoint(folder) : readLatestCheckpoint(folder);
  const tokenizer = Tokenizer.fromJSON(readTokenizerFile(join(runFolder, "tokenizer.json")));
  const model = new Transformer(checkpoint.state.config);
  restoreCheckpoint(checkpoint, model);
  return { model, tokenizer, state: checkpoint.state };
}

function readTokenizerFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new FileFormatError({ code: "E_NO_TOKENIZER", what: `${path} can't be read as JSON`, why: "a model is promoted together with its tokenizer", fix: "pass the tokenizer to train(), or copy its tokenizer.json there", cause });
  }
}
