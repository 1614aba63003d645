import inspector from "node:inspector";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import type { CellOutcome, ExecuteOrder, MainMessage, SharedFlags, WorkerMessage } from "../runner/threadMessages.ts";
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

interface ActiveRun { readonly id: number; readonly finish: (outcome: CellOutcome) => void; stage: "running" | "asked" | "stopped" }

/** The worker's hold on the main thread: gives it cells, stops it, ends it. */
export class MainThread {
  private readonly flags: SharedFlags;
  private readonly port: MessagePort;
  private readonly session = new inspector.Session();
  private readonly requests = new Map<number, Message>();
  private readonly pongs = new Map<number, () => void>();
  private active: ActiveRun | null = null;
  private lastId = 0;

  constructor(flags: SharedFlags, receive: (message: MainMessage) => void) {
    if (parentPort === null) throw new Error("MainThread belongs into a worker thread");
    this.flags = flags;
    this.port = parentPort;
    this.session.connectToMainThread();
    this.port.on("message", (message: MainMessage) => {
      if (message.type === "done") this.done(message.runId, message.outcome);
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
    const id = ++this.lastId;
    this.requests.set(id, request);
    this.requests.delete(id - REQUESTS_KEPT);
    const outcome = await new Promise<CellOutcome>((finish) => {
      this.active = { id, finish, stage: "running" };
      this.post({ type: "execute", runId: id, ...order });
    });
    const stage = this.active?.stage;
    this.active = null;
    // A termination may still be on its way and would hit the next cell.
    if (stage === "stopped") await this.reach();
    return { outcome, wasInterrupted: stage !== "running" };
  }

  /** Asks the running cell to end if it listens for that, and else, or the second time, stops it. */
  interrupt(): void {
    const run = this.active;
    if (run === null) {
      this.post({ type: "interrupt", runId: null });
      return;
    }
    if (run.stage === "running" && Atomics.load(this.flags.signalReader, 0) === run.id) {
      run.stage = "asked";
      this.post({ type: "abort", runId: run.id });
      setTimeout(() => { this.stop(run); }, SIGNAL_GRACE_MS);
      return;
    }
    this.stop(run);
  }

  /** Sends a message first: it suffices while the cell waits for something. A busy main thread does not read it, so its
   *  JavaScript is terminated, and then it does. */
  private stop(run: ActiveRun): void {
    if (this.active !== run || run.stage === "stopped") return;
    run.stage = "stopped";
    const attempt = (): void => {
      if (this.active !== run) return;
      this.post({ type: "interrupt", runId: run.id });
      setTimeout(() => {
        if (this.active !== run) return;
        this.terminate();
        setTimeout(attempt, INTERRUPT_RETRY_MS);
      }, INTERRUPT_GRACE_MS);
    };
    attempt();
  }

  /** Ends the process, also when a cell is busy. */
  exit(code: number): void {
    if (this.active === null) this.session.disconnect();
    else setTimeout(() => { this.terminate(); }, INTERRUPT_GRACE_MS);
    this.post({ type: "exit", code });
    setTimeout(() => { process.kill(process.pid, "SIGKILL"); }, EXIT_FORCE_MS);
  }

  private terminate(): void {
    this.session.post("Runtime.terminateExecution");
  }

  private done(runId: number, outcome: CellOutcome): void {
    if (this.active?.id === runId) this.active.finish(outcome);
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
