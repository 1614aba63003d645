import type { Magic, MagicContext } from "./magic.ts";

/** Magics that run code and tell how long it took. */
export const TIMING_MAGICS: readonly Magic[] = [
  {
    name: "%time", parameters: "code", summary: "runs the code of its line and tells its time; the lines below run after it",
    run: (context) => timed(context, "argument"),
  },
  {
    name: "%%time", parameters: "", summary: "runs the cell and tells its time",
    run: (context) => timed(context, "body"),
  },
];

/** CPU time is that of the whole process: native code works in several threads, and so may be more than the wall time. */
async function timed({ runCode, print }: MagicContext, part: "argument" | "body"): Promise<boolean> {
  const { isDone, time } = await runCode(part);
  if (time !== null) {
    const { wallMs, userCpuMs, systemCpuMs } = time;
    print(`wall ${duration(wallMs)}, CPU ${duration(userCpuMs + systemCpuMs)} (user ${duration(userCpuMs)}, system ${duration(systemCpuMs)})\n`);
  }
  return isDone;
}

/** @param milliseconds at least 0
 *  @returns three digits or so with the unit that fits, e.g. "1.53 s" */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds.toPrecision(3)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(2)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
