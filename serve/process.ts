import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { ServerError } from "../toolkit/errors.ts";
import { compiledEntry } from "../toolkit/export/packageRoot.ts";
import type { ServerLine } from "./run.ts";

export interface StartServerSettings {
  /** 0, the default, lets the system choose. */
  readonly port?: number;
  readonly host?: string;
  readonly expertMetrics?: boolean;
  readonly maxActive?: number;
  readonly maxQueue?: number;
  /** How long active requests may go on after stop(). */
  readonly drainTimeoutMs?: number;
  /** How long loading may take. */
  readonly startTimeoutMs?: number;
}

/** A server that runs as its own process, and ends with this one. */
export interface RunningServer {
  /** e.g. "http://127.0.0.1:41233" */
  readonly url: string;
  readonly pid: number;
  /** Lets active requests finish, then ends the process.
   *  @returns its exit code, 0 after a drain; null if it had to be killed */
  stop(): Promise<number | null>;
  [Symbol.asyncDispose](): Promise<void>;
}

const stderrTailLength = 4000;
const readyPollMs = 20;
/** After the drain timeout the process needs only to close its sockets. */
const exitGraceMs = 5000;

/** Starts a server on a bundle and waits until it takes requests.
 *  @throws ServerError E_PORT_IN_USE, E_NOT_BUILT, E_SERVER_START with the end of its log, or the code with which the
 *  bundle can't be loaded */
export async function startServer(bundleDir: string, settings: StartServerSettings = {}): Promise<RunningServer> {
  const { port = 0, host = "127.0.0.1", drainTimeoutMs = 20_000, startTimeoutMs = 120_000, expertMetrics = false, maxActive, maxQueue } = settings;
  const args = [
    compiledEntry("serve/main.js"), bundleDir, "--port", String(port), "--host", host, "--drain-timeout-ms", String(drainTimeoutMs),
    `--expert-metrics=${expertMetrics}`, "--log-level", "warn", "--stop-on-stdin-end",
    ...(maxActive === undefined ? [] : ["--max-active", String(maxActive)]),
    ...(maxQueue === undefined ? [] : ["--max-queue", String(maxQueue)]),
  ];
  // Its standard input is a pipe from here: it ends with this process, also when this one is killed.
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let stderrTail = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => { stderrTail = (stderrTail + text).slice(-stderrTailLength); });
  const stop = async (): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), drainTimeoutMs + exitGraceMs);
    await exited;
    clearTimeout(killer);
    return child.exitCode;
  };
  try {
    const url = await readiness(child, exited, AbortSignal.timeout(startTimeoutMs), () => stderrTail);
    if (child.pid === undefined) throw startError("it has no process id", stderrTail);
    return { url, pid: child.pid, stop, [Symbol.asyncDispose]: async () => void await stop() };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** @returns the server's address once /health/ready says so */
async function readiness(child: ChildProcess, exited: Promise<unknown>, deadline: AbortSignal, stderrTail: () => string): Promise<string> {
  let url: string | undefined;
  let failure: ServerError | undefined;
  if (child.stdout === null) throw startError("its output can't be read", "");
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (text) => {
    const line = JSON.parse(text) as ServerLine;
    if (line.event === "listening") url = line.url;
    else failure = new ServerError(line.error);
  });
  let hasExited = false;
  const ended = Promise.all([exited, once(lines, "close")]).then(() => { hasExited = true; });
  for (;;) {
    await Promise.race([ended, wait(readyPollMs)]);
    if (hasExited) throw failure ?? startError(`it ended with exit code ${child.exitCode}`, stderrTail());
    if (deadline.aborted) throw startError("it isn't ready in time", stderrTail());
    if (url !== undefined && await isReady(url)) return url;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`)).ok;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch rejects with TypeError when the process has just ended
    return false;
  }
}

function startError(why: string, stderrTail: string): ServerError {
  return new ServerError({
    code: "E_SERVER_START", what: "the server didn't start", why,
    fix: stderrTail.trim() === "" ? "run it by hand to see more: moe-lab serve BUNDLE" : `see the end of its log:\n${stderrTail.trim()}\n`,
  });
}
