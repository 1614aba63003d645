import { Worker } from "node:worker_threads";
import { log } from "./log.ts";

/** What the guard's thread is started with. */
export interface HeapGuardStart {
  /** Heap limit of the main thread. */
  readonly limitBytes: number;
  /** The thread puts the number of the watch here in which the heap was full. */
  readonly exhaustedWatch: Int32Array;
}

/** Look at the heap from now on, or no more. Watches are numbered from 1. */
export type HeapGuardOrder = { readonly type: "watch"; readonly watch: number } | { readonly type: "rest" };

/** The thread reads small messages and holds nothing. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2 };

/** Saves the kernel when a cell fills the JavaScript heap, which otherwise ends the process. It looks from a thread of
 *  its own, since the protocol thread may be busy with a type check for seconds, and a cell fills a gigabyte in one. */
export class HeapGuard {
  private readonly start: HeapGuardStart;
  private readonly onExhausted: () => void;
  private thread: Worker | null = null;
  private watchNumber = 0;
  private isWatching = false;

  /** @param limitBytes heap limit of the main thread
   *  @param onExhausted called when the heap was full; the main thread's JavaScript is terminated already */
  constructor(limitBytes: number, onExhausted: () => void) {
    this.start = { limitBytes, exhaustedWatch: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
    this.onExhausted = onExhausted;
  }

  /** To be called when a cell starts. */
  watch(): void {
    if (this.isWatching) return;
    this.isWatching = true;
    this.order({ type: "watch", watch: ++this.watchNumber });
  }

  /** To be called when no cell runs any more. */
  rest(): void {
    this.isWatching = false;
    this.order({ type: "rest" });
  }

  /** Calls onExhausted if the heap was full. To be called when a cell has ended, since the guard's message may come later. */
  report(): void {
    const watch = Atomics.exchange(this.start.exhaustedWatch, 0, 0);
    // What an older watch found has been reported with its cells, or they ended before.
    if (this.isWatching && watch === this.watchNumber) this.onExhausted();
  }

  /** Ends the thread. */
  close(): void {
    void this.thread?.terminate();
    this.thread = null;
  }

  private order(order: HeapGuardOrder): void {
    this.thread ??= this.started();
    this.thread.postMessage(order);
  }

  private started(): Worker {
    const thread = new Worker(new URL("./heapGuardThread.js", import.meta.url), { workerData: this.start, resourceLimits: THREAD_LIMITS, name: "heap guard" });
    thread.on("message", () => { this.report(); });
    // Cells run without it too; the next one starts another.
    thread.on("error", (error) => {
      log(`the heap guard failed: ${String(error)}`);
      if (this.thread === thread) this.thread = null;
    });
    return thread;
  }
}
