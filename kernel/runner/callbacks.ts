import { inspect, types } from "node:util";
import type { CellRun, CellRuns, OutputSink } from "./cellRun.ts";

/** A function of the user and the cell it came from. */
export interface Callback<F> { readonly call: F; readonly run: CellRun }

/** Calls back as part of the cell that gave the function: its output goes there, and so does the error it ends in.
 *  @param name what is said to have failed
 *  @param sink takes the outputs instead of the cell
 *  @returns for an asynchronous function a promise that resolves when it has ended or was stopped, and never rejects */
export function callBack(runs: CellRuns, origin: CellRun, name: string, work: () => unknown, sink: OutputSink | null = origin.sink): Promise<void> | null {
  const run = runs.resume(origin, sink);
  const fail = (error: unknown): void => { process.stderr.write(`${name} failed: ${inspect(error)}\n`); };
  return runs.within(run, () => {
    try {
      const result = work();
      if (types.isPromise(result)) {
        // What was stopped may never settle.
        const stopped = new Promise<void>((resolve) => { run.stop.signal.addEventListener("abort", () => { resolve(); }, { once: true }); });
        return Promise.race([result.then(() => undefined, fail), stopped]).finally(() => { run.isOver = true; });
      }
    } catch (error) {
      // A fault of the user's function; the kernel goes on.
      fail(error);
    }
    run.isOver = true;
    return null;
  });
}
