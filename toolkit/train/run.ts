import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FileFormatError } from "../errors.ts";
import { Transformer } from "../models/transformer.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readLatestCheckpoint, restoreCheckpoint, type TrainingState } from "./checkpoint.ts";
import { checkpointFolder } from "./trainer.ts";

export interface LoadedRun {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  /** where the newest whole checkpoint stands */
  readonly state: TrainingState;
}

/** Loads model and tokenizer of a run folder from its newest whole checkpoint.
 *  @throws FileFormatError E_NO_CHECKPOINT, E_NO_TOKENIZER, E_WEIGHTS_MISMATCH */
export function loadRun(runFolder: string): LoadedRun {
  const checkpoint = readLatestCheckpoint(join(runFolder, checkpointFolder));
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
