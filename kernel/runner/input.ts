import { receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { InputError, InterruptError } from "../errors.ts";
import type { CellRuns } from "./cellRun.ts";
import { InputState } from "./threadMessages.ts";
import type { MainMessage, SharedFlags } from "./threadMessages.ts";

/** A wait is cut into pieces so that a termination gets through, in ms. */
const WAIT_SLICE_MS = 100;

/** The input function of cells: blocks the main thread until the worker has the user's line.
 *  @throws InputError E_INPUT_REFUSED when the front end takes no input; InterruptError E_INPUT_INTERRUPTED */
export function createInput(
  runs: CellRuns, post: (message: MainMessage) => void, flags: SharedFlags, answers: MessagePort,
): (prompt?: string, password?: boolean) => string {
  return (prompt = "", password = false) => {
    Atomics.store(flags.input, 0, InputState.waiting);
    post({ type: "input", runId: runs.current.id, prompt: String(prompt), isPassword: password });
    while (Atomics.load(flags.input, 0) === InputState.waiting) Atomics.wait(flags.input, 0, InputState.waiting, WAIT_SLICE_MS);
    switch (Atomics.load(flags.input, 0)) {
      case InputState.refused:
        throw new InputError({
          code: "E_INPUT_REFUSED", what: "input() was called where nobody can answer",
          why: "the front end runs this cell without standard input", fix: "run the notebook interactively or replace input() by a constant",
        });
      case InputState.interrupted:
        throw new InterruptError({
          code: "E_INPUT_INTERRUPTED", what: "input() was interrupted", why: "the user stopped the cell", fix: "run the cell again",
        });
      default:
        return String(receiveMessageOnPort(answers)?.message ?? "");
    }
  };
}
