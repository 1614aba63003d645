import type { CellRuns } from "./cellRun.ts";
import type { SharedFlags } from "./threadMessages.ts";

/** The signal of the cell that asks. Who asks for it means to heed it, so the worker, which sees the flag, gives the
 *  cell time to end by itself. */
export function createCellSignal(runs: CellRuns, flags: SharedFlags): () => AbortSignal {
  return () => {
    const { id, abort } = runs.current;
    // What an older cell left running must not hide that the newest has asked.
    if (id > Atomics.load(flags.signalReader, 0)) Atomics.store(flags.signalReader, 0, id);
    return abort.signal;
  };
}
