import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { setMaxListeners } from "node:events";
import type { Worker } from "node:worker_threads";
import type { CellRuns } from "./cellRun.ts";
import { interruptFamily } from "./processFamily.ts";

/** Ends what a stopped cell has started beside itself: child processes get SIGINT with all
 *  that they started, as from Ctrl+C in a terminal, and worker threads are terminated. Those of a cell that has ended go on.
 *  Source of the channels: nodejs.org/api/diagnostics_channel.html#built-in-channels */
export function endChildrenOfStoppedCells(runs: CellRuns): void {
  subscribe("child_process", (message) => {
    const { process: child } = message as { process: ChildProcess };
    endWithCell(runs, (done) => { child.once("exit", done); }, () => { if (child.pid !== undefined) interruptFamily(child.pid); });
  });
  subscribe("worker_threads", (message) => {
    const { worker } = message as { worker: Worker };
    endWithCell(runs, (done) => { worker.once("exit", done); }, () => { void worker.terminate(); });
  });
}

function endWithCell(runs: CellRuns, onExit: (done: () => void) => void, end: () => void): void {
  const run = runs.current;
  const { signal } = run.stop;
  const stop = (): void => { if (!run.isOver) end(); };
  // A cell may start many.
  setMaxListeners(0, signal);
  signal.addEventListener("abort", stop, { once: true });
  onExit(() => { signal.removeEventListener("abort", stop); });
}
