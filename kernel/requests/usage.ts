import { readdirSync, readFileSync } from "node:fs";
import { cpus, freemem, hostname, totalmem } from "node:os";
import { systemErrorCode } from "../errors.ts";
import type { RequestHandler } from "./kernelState.ts";

interface Reading { readonly atMs: number; readonly kernelCpuMs: number; readonly hostBusyMs: number; readonly hostTotalMs: number }

const BYTES_PER_KB = 1024;
const MICROSECONDS_PER_MS = 1000;
/** Of /proc/<pid>/stat's times; Linux has had this value on every architecture that Node.js runs on. */
const MS_PER_CLOCK_TICK = 10;

/** Measures what the kernel's process and its children use. Rates are averages since the reading before, the first
 *  since the kernel's start. */
export class UsageMeter {
  private last = readNow([process.pid]);

  /** Fields and units as ipykernel's usage_reply has them: percent of one processor, bytes. Source: ipykernel, kernelbase.py */
  read(): object {
    const pids = processTree();
    const now = readNow(pids);
    const { last } = this;
    this.last = now;
    const hostMs = now.hostTotalMs - last.hostTotalMs;
    return {
      hostname: hostname(), pid: process.pid,
      // A child that ended takes its time with it, so the sum may fall.
      kernel_cpu: round(100 * Math.max(0, now.kernelCpuMs - last.kernelCpuMs) / Math.max(1, now.atMs - last.atMs)),
      kernel_memory: pids.reduce((sum, pid) => sum + memoryOf(pid), 0),
      cpu_count: cpus().length,
      ...(hostMs > 0 ? { host_cpu_percent: round(100 * (now.hostBusyMs - last.hostBusyMs) / hostMs) } : {}),
      host_virtual_memory: hostMemory(),
    };
  }
}

/** usage_request. Source: ipykernel and its client, jupyterlab's kernel usage panel */
export const usage: RequestHandler = (state) => state.usage.read();

function readNow(pids: readonly number[]): Reading {
  const own = process.cpuUsage();
  const children = pids.filter((pid) => pid !== process.pid).reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  let hostBusyMs = 0;
  let hostTotalMs = 0;
  for (const { times } of cpus()) {
    const busyMs = times.user + times.nice + times.sys + times.irq;
    hostBusyMs += busyMs;
    hostTotalMs += busyMs + times.idle;
  }
  return { atMs: performance.now(), kernelCpuMs: (own.user + own.system) / MICROSECONDS_PER_MS + children, hostBusyMs, hostTotalMs };
}

/** This process and its descendants where /proc tells of them, else this process alone. */
function processTree(): number[] {
  const tree = [process.pid];
  if (process.platform !== "linux") return tree;
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1]);
    if (Number.isInteger(parent)) children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  for (const pid of tree) tree.push(...children.get(pid) ?? []);
  return tree;
}

function cpuMsOf(pid: number): number {
  const fields = statFields(pid);
  return fields === null ? 0 : (Number(fields[11]) + Number(fields[12])) * MS_PER_CLOCK_TICK;
}

/** Memory of a process: its proportional share where shared pages are counted, as ipykernel does, else what is resident. */
function memoryOf(pid: number): number {
  const text = readProc(`/proc/${pid}/smaps_rollup`);
  const share = text === null ? null : /^Pss:\s+(\d+) kB/m.exec(text);
  if (share !== null) return Number(share[1]) * BYTES_PER_KB;
  return pid === process.pid ? process.memoryUsage.rss() : 0;
}

/** The fields of /proc/<pid>/stat behind the name, which may hold spaces: state, parent, … Source: man 5 proc */
function statFields(pid: number): string[] | null {
  const text = readProc(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Names and meaning as psutil.virtual_memory has them, all in bytes but percent. */
function hostMemory(): object {
  const text = process.platform === "linux" ? readProc("/proc/meminfo") : null;
  const bytes = (name: string, fallback: number): number => {
    const found = text === null ? null : new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text);
    return found === null ? fallback : Number(found[1]) * BYTES_PER_KB;
  };
  const total = bytes("MemTotal", totalmem());
  const free = bytes("MemFree", freemem());
  const available = bytes("MemAvailable", free);
  const details = text === null ? {} : {
    active: bytes("Active", 0), inactive: bytes("Inactive", 0), buffers: bytes("Buffers", 0),
    cached: bytes("Cached", 0) + bytes("SReclaimable", 0), shared: bytes("Shmem", 0), slab: bytes("Slab", 0),
  };
  return { total, available, percent: round(100 * (total - available) / total), used: total - available, free, ...details };
}

/** @returns null when the process is gone or not ours */
function readProc(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return null;
  }
}

function round(percent: number): number {
  return Math.round(percent * 10) / 10;
}
