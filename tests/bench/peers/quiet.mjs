// Measuring on a machine that others use too: waits for it to be idle, and tells how much of it others took meanwhile.
// OpenMP's threads spin where they wait for each other, so a peer gets ten times slower when it has to share a processor.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const isKnown = existsSync("/proc/stat");
const sampleMs = 200;
/** Share of all processors that others may take of a measurement. */
const toleratedShare = 0.05;

/** Ticks that all processors were busy, and all ticks. Source: proc(5), /proc/stat. */
function machineTicks() {
  const [user, nice, system, idle, ioWait, irq, softIrq, steal] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0].trim().split(/\s+/).slice(1).map(Number);
  const busy = user + nice + system + irq + softIrq + steal;
  return { busy, all: busy + idle + ioWait };
}

/** Ticks of a process and its threads. Source: proc(5), /proc/pid/stat, fields 14 and 15. */
function processTicks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Runs `work` and resolves to its result and the share of the machine that processes other than `pids` took. */
async function watched(pids, work) {
  const own = () => pids.reduce((sum, pid) => sum + processTicks(pid), 0);
  const before = { ...machineTicks(), own: own() };
  const result = await work();
  const after = { ...machineTicks(), own: own() };
  const othersShare = (after.busy - before.busy - (after.own - before.own)) / Math.max(1, after.all - before.all);
  return { result, othersShare };
}

/** Repeats `work` until others left the machine alone meanwhile; when the deadline has passed, takes what comes.
 *  Where the system doesn't tell the load, every result is taken.
 *  @param pids of the processes whose load is ours, this one included
 *  @param deadlineMs as performance.now() */
export async function quietly(pids, deadlineMs, work) {
  if (!isKnown) return { result: await work(), isDisturbed: false };
  while (true) {
    const { othersShare: before } = await watched(pids, () => sleep(sampleMs));
    const isLate = performance.now() > deadlineMs;
    if (before > toleratedShare && !isLate) continue;
    const { result, othersShare } = await watched(pids, work);
    if (othersShare <= toleratedShare || isLate) return { result, isDisturbed: othersShare > toleratedShare };
  }
}
