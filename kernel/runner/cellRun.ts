import timers from "node:timers";
import { promiseHooks } from "node:v8";
import { AbortController, Set } from "./intrinsics.ts";
import type { OutputMessage } from "./threadMessages.ts";

/** One execution of a cell and everything that belongs to it, also after it ended. */
export interface CellRun {
  readonly id: number;
  /** Behind cellSignal: the cell is asked to end. */
  readonly abort: AbortController;
  /** The cell is over, whether it has ended or not: its timers are refused. */
  readonly stop: AbortController;
  /** Timers and intervals that have not fired for the last time. */
  readonly timers: Set<NodeJS.Timeout | NodeJS.Immediate>;
  /** Displays whose bundle is a promise; the cell ends after them. */
  readonly pendingDisplays: Set<Promise<void>>;
  /** Value of the last expression; null when the cell ends in a statement. */
  result: { readonly value: unknown } | null;
  /** Takes the outputs instead of the cell; null where they are the cell's. */
  readonly sink: OutputSink | null;
  isOver: boolean;
}

/** Takes outputs that are to be shown elsewhere, as in an Output widget; false for one that it has no place for. */
export type OutputSink = (message: OutputMessage) => boolean;

// Taken before timers.ts replaces them.
const { clearTimeout: clearNodeTimeout, clearImmediate: clearNodeImmediate } = timers;

/** Clears a timer of any kind. */
export function clearTimer(timer: NodeJS.Timeout | NodeJS.Immediate): void {
  if ("refresh" in timer) clearNodeTimeout(timer);
  else clearNodeImmediate(timer);
}

function createCellRun(id: number, sink: OutputSink | null = null): CellRun {
  return { id, abort: new AbortController(), stop: new AbortController(), timers: new Set(), pendingDisplays: new Set(), result: null, sink, isOver: false };
}

/** Knows which cell the code that runs now belongs to: what follows an await, and timers, keep the cell that made them.
 *
 *  Not an AsyncLocalStorage: before Node.js 24 that turns async_hooks on, and then Node.js aborts when an interrupt
 *  terminates code after an await. Promise hooks alone have no such check. */
export class CellRuns {
  /** Runs with something left to abort. */
  private readonly live = new Set<CellRun>();
  private latest: CellRun = createCellRun(0);
  private running: CellRun | null = null;
  private readonly outer: (CellRun | null)[] = [];
  private isWatching = false;
  private firstPromise: object | null = null;

  constructor() {
    promiseHooks.createHook({
      init: (promise) => {
        if (this.isWatching) {
          this.isWatching = false;
          this.firstPromise = promise;
        }
        if (this.running !== null) new RunStamp(promise, this.running);
      },
      before: (promise) => {
        this.outer.push(this.running);
        this.running = RunStamp.of(promise);
      },
      after: () => { this.running = this.outer.pop() ?? null; },
    });
  }

  start(id: number): CellRun {
    this.forgetEnded();
    const run = createCellRun(id);
    this.latest = run;
    this.live.add(run);
    return run;
  }

  /** A run for a callback of a cell that may have ended, or was stopped: output goes to that cell, and an interrupt
   *  stops what the callback starts. Whoever asks sets isOver when the callback has ended. */
  resume({ id }: CellRun, sink: OutputSink | null): CellRun {
    this.forgetEnded();
    const run = createCellRun(id, sink);
    this.live.add(run);
    return run;
  }

  /** Does work as part of a run. */
  within<T>(run: CellRun, work: () => T): T {
    const outer = this.running;
    this.running = run;
    try {
      return work();
    } finally {
      this.running = outer;
    }
  }

  /** Does work and tells which promise was made first in it. This class does it because it has the only hook: with two,
   *  Node.js ends the process when a hook finds the stack full, as in an endless recursion of async functions. */
  firstPromiseOf(work: () => void): object | null {
    this.isWatching = true;
    this.firstPromise = null;
    work();
    this.isWatching = false;
    return this.firstPromise;
  }

  /** To be called first by what the event loop calls: a terminated cell could not clean up after itself. */
  reset(): void {
    this.outer.length = 0;
    this.running = null;
  }

  /** The cell that the running code belongs to; the latest one where that is unknown. */
  get current(): CellRun {
    return this.running ?? this.latest;
  }

  /** Asks a run to end: its signal fires, and it may go on for what is left to do. */
  abort(id: number): void {
    for (const run of this.live) if (run.id === id) run.abort.abort();
  }

  /** Stops a run, or with null every run: its signal fires and its timers are gone. */
  stop(id: number | null): void {
    for (const run of this.live) {
      if (id !== null && run.id !== id) continue;
      for (const timer of run.timers) clearTimer(timer);
      run.timers.clear();
      run.stop.abort();
      run.abort.abort();
      this.live.delete(run);
    }
  }

  private forgetEnded(): void {
    for (const run of this.live) if (run.isOver && run.timers.size === 0) this.live.delete(run);
  }
}

/** Constructs to the object it is given, so that a subclass can put a private field on it. */
const Given = function (target: object) { return target; } as unknown as new (target: object) => object;

/** Notes the run on a promise itself: faster than a WeakMap, and nobody sees it. */
class RunStamp extends Given {
  readonly #run: CellRun;

  constructor(promise: object, run: CellRun) {
    super(promise);
    this.#run = run;
  }

  static of(promise: object): CellRun | null {
    return #run in promise ? promise.#run : null;
  }
}
