import inspector from "node:inspector";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import type { CellOutcome, ExecuteOrder, MainMessage, WorkerMessage } from "../runner/threadMessages.ts";
import type { Message } from "./wire.ts";

/** The main thread has this long to take an interrupt by message before its JavaScript is terminated, in ms. */
const INTERRUPT_GRACE_MS = 20;
/** Between two attempts to stop a cell that does not stop, in ms. */
const INTERRUPT_RETRY_MS = 50;
/** Between two attempts to reach a main thread that a late termination may have hit, in ms. */
const PING_RETRY_MS = 20;
/** After this an exit is forced: the main thread is in native code, in ms. */
const EXIT_FORCE_MS = 1000;

/** Output of older cells than this many no longer finds its cell. */
const REQUESTS_KEPT = 10_000;

interface ActiveRun { readonly id: number; readonly finish: (outcome: CellOutcome) => void; isInterrupted: boolean }

/** The worker's hold on the main thread: gives it cells, stops it, ends it. */
export class MainThread {
  readonly #port: MessagePort;
  readonly #session = new inspector.Session();
  readonly #requests = new Map<number, Message>();
  readonly #pongs = new Map<number, () => void>();
  #active: ActiveRun | null = null;
  #lastId = 0;

  constructor(receive: (message: MainMessage) => void) {
    if (parentPort === null) throw new Error("MainThread belongs into a worker thread");
    this.#port = parentPort;
    this.#session.connectToMainThread();
    this.#port.on("message", (message: MainMessage) => {
      if (message.type === "done") this.#done(message.runId, message.outcome);
      else if (message.type === "pong") this.#pongs.get(message.id)?.();
      else receive(message);
    });
  }

  post(message: WorkerMessage): void {
    this.#port.postMessage(message);
  }

  /** The execute_request whose cell made an output; output may come long after the cell's end. */
  requestOf(runId: number): Message | null {
    return this.#requests.get(runId) ?? null;
  }

  /** Runs a cell; resolves when the main thread is free again. */
  async run(request: Message, order: Omit<ExecuteOrder, "type" | "runId">): Promise<CellOutcome> {
    const id = ++this.#lastId;
    this.#requests.set(id, request);
    this.#requests.delete(id - REQUESTS_KEPT);
    const outcome = await new Promise<CellOutcome>((finish) => {
      this.#active = { id, finish, isInterrupted: false };
      this.post({ type: "execute", runId: id, ...order });
    });
    const wasInterrupted = this.#active?.isInterrupted ?? false;
    this.#active = null;
    // A termination may still be on its way and would hit the next cell.
    if (wasInterrupted) await this.#reach();
    return outcome;
  }

  /** Stops the running cell. Sends a message first: it suffices while the cell waits for something. A busy main
   *  thread does not read it, so its JavaScript is terminated, and then it does. */
  interrupt(): void {
    const run = this.#active;
    if (run === null) {
      this.post({ type: "interrupt", runId: null });
      return;
    }
    if (run.isInterrupted) return;
    run.isInterrupted = true;
    const attempt = (): void => {
      if (this.#active !== run) return;
      this.post({ type: "interrupt", runId: run.id });
      setTimeout(() => {
        if (this.#active !== run) return;
        this.#terminate();
        setTimeout(attempt, INTERRUPT_RETRY_MS);
      }, INTERRUPT_GRACE_MS);
    };
    attempt();
  }

  /** Ends the process, also when a cell is busy. */
  exit(code: number): void {
    if (this.#active === null) this.#session.disconnect();
    else setTimeout(() => { this.#terminate(); }, INTERRUPT_GRACE_MS);
    this.post({ type: "exit", code });
    setTimeout(() => { process.kill(process.pid, "SIGKILL"); }, EXIT_FORCE_MS);
  }

  #terminate(): void {
    this.#session.post("Runtime.terminateExecution");
  }

  #done(runId: number, outcome: CellOutcome): void {
    if (this.#active?.id === runId) this.#active.finish(outcome);
  }

  /** Resolves when the main thread has answered a message. */
  async #reach(): Promise<void> {
    const id = ++this.#lastId;
    await new Promise<void>((resolve) => {
      const ping = (): void => { this.post({ type: "ping", id }); };
      const timer = setInterval(ping, PING_RETRY_MS);
      this.#pongs.set(id, () => {
        clearInterval(timer);
        this.#pongs.delete(id);
        resolve();
      });
      ping();
    });
  }
}
