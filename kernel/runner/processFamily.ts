import { readdirSync, readFileSync } from "node:fs";
import { systemErrorCode } from "../errors.ts";

/** Number of starttime among the fields of /proc/PID/stat that follow the program's name. Source: proc(5) */
const START_TIME_FIELD = 19;

/** Sends SIGINT to a process and all that it started, as Ctrl+C in a terminal does: a shell waits for its command and
 *  would not end alone. Where the system has no /proc the process alone gets it. */
export function interruptFamily(pid: number): void {
  for (const member of [...descendants(pid), pid]) {
    try {
      process.kill(member, "SIGINT");
    } catch (error) {
      // It has ended, or is another user's.
      if (systemErrorCode(error) === undefined) throw error;
    }
  }
}

/** The child that a process started last, or null when it has none or the system does not tell. */
export function newestChild(pid: number): number | null {
  const started = children(pid).map((child) => ({ child, time: Number(readProc(`${child}/stat`).split(") ").at(-1)?.split(" ")[START_TIME_FIELD]) }));
  return started.sort((a, b) => b.time - a.time || b.child - a.child)[0]?.child ?? null;
}

function descendants(pid: number): number[] {
  return children(pid).flatMap((child) => [...descendants(child), child]);
}

function children(pid: number): number[] {
  return threads(pid).flatMap((thread) => readProc(`${pid}/task/${thread}/children`).trim().split(" ").filter((text) => text !== "").map(Number));
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}

/** @returns an empty string when the process has ended or the system has no such file */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return "";
  }
}
