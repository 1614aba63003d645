import childProcess from "node:child_process";
import type { ChildProcess, SpawnSyncReturns } from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import type { Readable } from "node:stream";
import type { CellRuns } from "./cellRun.ts";
import type { SharedFlags } from "./threadMessages.ts";

type StreamName = "stdout" | "stderr";
interface StdioOptions { readonly stdio?: unknown; readonly maxBuffer?: number }

/** File descriptors of the two output streams. */
const STREAMS: readonly (readonly [number, StreamName])[] = [[1, "stdout"], [2, "stderr"]];

/** Shows in the cell what its child processes write to an inherited stdout or stderr: these are the kernel's own, which
 *  end up in the log of the Jupyter server. What native code writes there (printf) is not seen: Node.js can't put a pipe
 *  in the place of an open descriptor. */
export function captureChildOutput(runs: CellRuns, flags: SharedFlags): void {
  captureSpawn(runs);
  // An interrupt ends the child that the cell waits for.
  const waiting = <T>(call: () => T): T => {
    Atomics.store(flags.isInSyncChild, 0, 1);
    try {
      return call();
    } finally {
      Atomics.store(flags.isInSyncChild, 0, 0);
    }
  };
  const { spawnSync, execSync, execFileSync } = childProcess;
  Object.assign(childProcess, {
    spawnSync: (...given: unknown[]) => waiting(() => capturedSpawnSync(spawnSync, given)),
    execSync: (...given: unknown[]) => waiting(() => capturedExecSync(execSync, given)),
    execFileSync: (...given: unknown[]) => waiting(() => capturedExecSync(execFileSync, given)),
  });
  syncBuiltinESMExports();
}

/** spawn, exec, execFile and fork all come through this method. */
function captureSpawn(runs: CellRuns): void {
  const prototype = childProcess.ChildProcess.prototype as object;
  const spawn: unknown = Reflect.get(prototype, "spawn");
  if (typeof spawn !== "function") return;
  Object.defineProperty(prototype, "spawn", {
    configurable: true, writable: true,
    value(this: ChildProcess, options: StdioOptions): unknown {
      const stdio = stdioList(options.stdio);
      const inherited = STREAMS.filter(([descriptor]) => isInherited(stdio[descriptor], descriptor));
      if (inherited.length === 0) return Reflect.apply(spawn, this, [options]) as unknown;
      const piped = stdio.map((entry, i) => (inherited.some(([descriptor]) => descriptor === i) ? "pipe" : entry));
      const result: unknown = Reflect.apply(spawn, this, [{ ...options, stdio: piped }]);
      const run = runs.current;
      for (const [descriptor, name] of inherited) {
        // Typed as a duplex or null; null where the program was not found.
        const stream = this.stdio[descriptor] as Readable | null;
        stream?.setEncoding("utf8").on("data", (text: string) => { runs.within(run, () => { process[name].write(text); }); });
        // The user asked for no stream, and gets none.
        Object.assign(this, { [name]: null });
        Object.assign(this.stdio, { [descriptor]: null });
      }
      return result;
    },
  });
}

function capturedSpawnSync(spawnSync: (...given: never[]) => SpawnSyncReturns<unknown>, given: unknown[]): unknown {
  const options = optionsOf(given);
  const stdio = stdioList(options?.stdio);
  const inherited = STREAMS.filter(([descriptor]) => isInherited(stdio[descriptor], descriptor));
  if (inherited.length === 0) return Reflect.apply(spawnSync, undefined, given) as unknown;
  const piped = stdio.map((entry, i) => (inherited.some(([descriptor]) => descriptor === i) ? "pipe" : entry));
  const result = Reflect.apply(spawnSync, undefined, withOptions(given, { maxBuffer: Infinity, ...options, stdio: piped })) as SpawnSyncReturns<unknown>;
  for (const [, name] of inherited) writeOutput(name, result[name]);
  const isKept = (i: number): boolean => inherited.every(([descriptor]) => descriptor !== i);
  return {
    ...result, ...Object.fromEntries(inherited.map(([, name]) => [name, null])),
    output: (result.output as unknown[] | null)?.map((entry, i) => (isKept(i) ? entry : null)) ?? null,
  };
}

/** execSync and execFileSync show stderr themselves unless they are told what to do with it. */
function capturedExecSync(execSync: (...given: never[]) => unknown, given: unknown[]): unknown {
  const { stdio, ...options } = optionsOf(given) ?? {};
  const list = stdioList(stdio);
  if (!STREAMS.every(([descriptor]) => isInherited(list[descriptor], descriptor))) return Reflect.apply(execSync, undefined, given) as unknown;
  try {
    writeOutput("stdout", Reflect.apply(execSync, undefined, withOptions(given, { maxBuffer: Infinity, ...options })) as unknown);
    return null;
  } catch (error) {
    if (error instanceof Error && "stdout" in error) writeOutput("stdout", error.stdout);
    throw error;
  }
}

function writeOutput(name: StreamName, output: unknown): void {
  if (typeof output === "string" || output instanceof Uint8Array) process[name].write(output);
}

function optionsOf(given: readonly unknown[]): StdioOptions | undefined {
  const last = given.at(-1);
  return typeof last === "object" && last !== null && !Array.isArray(last) ? last : undefined;
}

function withOptions(given: readonly unknown[], options: StdioOptions): unknown[] {
  return [...given.slice(0, -1), options];
}

/** Source: nodejs.org/api/child_process.html#optionsstdio */
function stdioList(stdio: unknown): unknown[] {
  if (Array.isArray(stdio)) return stdio as unknown[];
  return [stdio, stdio, stdio];
}

function isInherited(entry: unknown, descriptor: number): boolean {
  return entry === "inherit" || entry === descriptor || (descriptor === 1 ? entry === process.stdout : entry === process.stderr);
}
