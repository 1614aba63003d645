import inspector from "node:inspector";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { interruptFamily, newestChild } from "../runner/processFamily.ts";
import type { CellOutcome, ErrorReport, ExecuteOrder, MainMessage, SharedFlags, WorkerMessage } from "../runner/threadMessages.ts";
import { HeapGuard } from "./heapGuard.ts";
import type { Message } from "./wire.ts";

/** The main thread has this long to take an interrupt by message before its JavaScript is terminated, in ms. */
const INTERRUPT_GRACE_MS = 20;
/** A cell that has read cellSignal has this long to end by itself, e.g. to finish a training step and save it, in ms. */
const SIGNAL_GRACE_MS = 10_000;
/** Between two attempts to stop a cell that does not stop, in ms. */
const INTERRUPT_RETRY_MS = 50;
/** Between two attempts to reach a main thread that a late termination may have hit, in ms. */
const PING_RETRY_MS = 20;
/** After this an exit is forced: the main thread is in native code, in ms. */
const EXIT_FORCE_MS = 1000;

/** Output of older cells than this many no longer finds its cell. */
const REQUESTS_KEPT = 10_000;

/** Without a cell the main thread answers at once, or when a loaded machine lets it, in ms. */
const IDLE_ANSWER_MS = 500;

interface ActiveRun {
  readonly id: number;
  finish: (outcome: CellOutcome) => void;
  stage: "running" | "asked" | "stopped";
  /** Why the kernel itself stopped it. */
  stopError: ErrorReport | null;
}

/** The worker's hold on the main thread: gives it cells, stops it, ends it. */
export class MainThread {
  private readonly flags: SharedFlags;
  private readonly port: MessagePort;
  private readonly session = new inspector.Session();
  private readonly heapGuard: HeapGuard;
  private readonly requests = new Map<number, Message>();
  private readonly pongs = new Map<number, () => void>();
  /** One for each shell at most. */
  private readonly active = new Map<number, ActiveRun>();
  /** Pending while an interrupt looks for what keeps the main thread busy though no cell runs. */
  private freeing: Promise<void> | null = null;
  private isEvaluating = false;
  /** Makes a main thread that stands at a breakpoint go on, and with true ends what it does. */
  releasePause: (terminates: boolean) => void = () => undefined;
  private lastId = 0;

  /** @param heapLimitBytes of the main thread */
  constructor(flags: SharedFlags, heapLimitBytes: number, receive: (message: MainMessage) => void) {
    if (parentPort === null) throw new Error("MainThread belongs into a worker thread");
    this.flags = flags;
    this.port = parentPort;
    this.session.connectToMainThread();
    this.heapGuard = new HeapGuard(heapLimitBytes, () => { this.heapExhausted(heapLimitBytes); });
    this.port.on("message", (message: MainMessage) => {
      if (message.type === "done") {
        this.heapGuard.report();
        this.done(message.runId, message.outcome);
      }
      else if (message.type === "pong") this.pongs.get(message.id)?.();
      else receive(message);
    });
  }

  post(message: WorkerMessage): void {
    this.port.postMessage(message);
  }

  /** The execute_request whose cell made an output; output may come long after the cell's end. */
  requestOf(runId: number): Message | null {
    return this.requests.get(runId) ?? null;
  }

  /** Runs a cell; resolves when the main thread is free again.
   *  @returns wasInterrupted also of a cell that was asked to end and did so without an error */
  async run(request: Message, order: Omit<ExecuteOrder, "type" | "runId">): Promise<{ outcome: CellOutcome; wasInterrupted: boolean }> {
    if (this.freeing !== null) await this.freeing;
    const id = ++this.lastId;
    this.requests.set(id, request);
    this.requests.delete(id - REQUESTS_KEPT);
    const run: ActiveRun = { id, finish: () => undefined, stage: "running", stopError: null };
    const outcome = await new Promise<CellOutcome>((finish) => {
      this.active.set(id, Object.assign(run, { finish }));
      this.post({ type: "execute", runId: id, ...order });
      this.heapGuard.watch();
    });
    const { stage } = run;
    this.active.delete(id);
    if (this.active.size === 0) this.heapGuard.rest();
    // A termination may still be on its way and would hit the next cell.
    if (stage === "stopped") await this.reach();
    if (run.stopError === null) return { outcome, wasInterrupted: stage !== "running" };
    return { outcome: { status: "error", ...run.stopError, untypedNames: outcome.untypedNames }, wasInterrupted: true };
  }

  /** Asks the running cells, of all shells, to end if they listen for that, and else, or the second time, stops them. */
  interrupt(): void {
    if (this.active.size === 0) {
      this.post({ type: "interrupt", runId: null });
      this.freeing ??= this.free();
      this.releasePause(true);
      return;
    }
    for (const run of this.active.values()) this.askToEnd(run);
  }

  /** The heap is the whole kernel's: which cell filled it nobody knows, so all are stopped. */
  private heapExhausted(limitBytes: number): void {
    for (const run of this.active.values()) {
      run.stopError ??= heapError(limitBytes);
      this.stop(run);
    }
  }

  private askToEnd(run: ActiveRun): void {
    if (run.stage === "running" && Atomics.load(this.flags.signalReader, 0) === run.id) {
      run.stage = "asked";
      this.post({ type: "abort", runId: run.id });
      this.releasePause(false);
      setTimeout(() => { this.stop(run); }, SIGNAL_GRACE_MS);
      return;
    }
    this.stop(run);
  }

  /** Sends a message first: it suffices while the cell waits for something. A busy main thread does not read it, so its
   *  JavaScript is terminated, and then it does. */
  private stop(run: ActiveRun): void {
    if (!this.isActive(run) || run.stage === "stopped") return;
    run.stage = "stopped";
    const attempt = (): void => {
      if (!this.isActive(run)) return;
      this.post({ type: "interrupt", runId: run.id });
      this.releasePause(true);
      setTimeout(() => {
        if (!this.isActive(run)) return;
        this.terminate();
        this.interruptSyncChild();
        setTimeout(attempt, INTERRUPT_RETRY_MS);
      }, INTERRUPT_GRACE_MS);
    };
    attempt();
  }

  /** Terminates the callback of a widget or timer that keeps the main thread busy after its cell has ended. */
  private async free(): Promise<void> {
    const timer = setInterval(() => { this.terminate(); }, INTERRUPT_GRACE_MS);
    await this.reach();
    clearInterval(timer);
    // A termination may still be on its way.
    await this.reach();
    this.freeing = null;
  }

  /** Evaluates an expression that must have no side effect; V8 does so also in the middle of a busy cell.
   *  @param busyLimitMs how long to wait while a cell runs, which may be in native code
   *  @returns a string or number; undefined when the expression fails or the main thread does not answer in time, and
   *  while such an answer is still to come */
  evaluate(expression: string, busyLimitMs: number): Promise<unknown> {
    if (this.isEvaluating) return Promise.resolve(undefined);
    this.isEvaluating = true;
    const limitMs = this.active.size === 0 ? IDLE_ANSWER_MS : busyLimitMs;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs, undefined);
      const parameters = { expression, returnByValue: true, silent: true, throwOnSideEffect: true, timeout: limitMs };
      this.session.post("Runtime.evaluate", parameters, (error, response: inspector.Runtime.EvaluateReturnType | undefined) => {
        this.isEvaluating = false;
        clearTimeout(timer);
        resolve(error === null && response?.exceptionDetails === undefined ? response?.result.value : undefined);
      });
    });
  }

  /** Whether a cell is running. */
  get isRunning(): boolean {
    return this.active.size > 0;
  }

  /** Ends the process, also when a cell is busy. */
  exit(code: number): void {
    this.heapGuard.close();
    if (this.active.size === 0) this.session.disconnect();
    else {
      setTimeout(() => { this.terminate(); }, INTERRUPT_GRACE_MS);
      // Node.js waits with its end for the inspector.
      setTimeout(() => { this.session.disconnect(); }, INTERRUPT_RETRY_MS);
    }
    // How the cells end is for nobody: the sockets are closed.
    this.active.clear();
    this.post({ type: "exit", code });
    setTimeout(() => { process.kill(process.pid, "SIGKILL"); }, EXIT_FORCE_MS);
  }

  private terminate(): void {
    this.session.post("Runtime.terminateExecution");
  }

  /** execSync and the like return when their child has ended, and no sooner. */
  private interruptSyncChild(): void {
    if (Atomics.load(this.flags.isInSyncChild, 0) === 0) return;
    const child = newestChild(process.pid);
    if (child !== null) interruptFamily(child);
  }

  private done(runId: number, outcome: CellOutcome): void {
    this.active.get(runId)?.finish(outcome);
  }

  private isActive(run: ActiveRun): boolean {
    return this.active.get(run.id) === run;
  }

  /** Resolves when the main thread has answered a message. */
  private async reach(): Promise<void> {
    const id = ++this.lastId;
    await new Promise<void>((resolve) => {
      const ping = (): void => { this.post({ type: "ping", id }); };
      const timer = setInterval(ping, PING_RETRY_MS);
      this.pongs.set(id, () => {
        clearInterval(timer);
        this.pongs.delete(id);
        resolve();
      });
      ping();
    });
  }
}

function heapError(limitBytes: number): ErrorReport {
  const evalue = `the JavaScript heap of ${(limitBytes / 2 ** 30).toFixed(1)} GiB is full, so the cell was stopped. What it has stored in variables `
    + "is still there: empty them, or restart the kernel with NODE_OPTIONS=--max-old-space-size=<MiB> for a larger heap";
  return { ename: "HeapExhaustedError", evalue, traceback: [`HeapExhaustedError: ${evalue}`] };
}
