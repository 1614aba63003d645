import { writeSync } from "node:fs";
import { systemErrorCode } from "../errors.ts";

const STDERR = 2;

/** Writes a line to the process's own stderr, which Jupyter's server shows in its log. process.stderr of the protocol
 *  thread would go through the main thread, and there it is the cell's. */
export function log(line: string): void {
  try {
    writeSync(STDERR, `[moe-lab kernel] ${line}\n`);
  } catch (error) {
    // Nobody reads it, or not fast enough: a log is not worth a kernel.
    if (systemErrorCode(error) === undefined) throw error;
  }
}
