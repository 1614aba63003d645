import { Worker } from "node:worker_threads";
import { MoeLabError, ServerError } from "../toolkit/errors.ts";
import type { DecodeCommand, DecodeReport, ServedModel } from "./decodeMessages.ts";
import type { DecodeLoopSettings } from "./decodeLoop.ts";
import type { Decoder, DecoderListener } from "./decoder.ts";

/** What the decode thread is started with. */
export interface DecodeWorkerData extends DecodeLoopSettings {
  readonly bundleDir: string;
}

/** A scrape waits no longer for the counts: Prometheus gives up after 10 s by default. */
const countTimeoutMs = 2000;
const firstRestartDelayMs = 500;
const longestRestartDelayMs = 30_000;

/** Decodes on a worker thread, so that HTTP goes on during a feed. A thread that breaks is started anew, at first after
 *  half a second, then after twice as long each time. */
export class WorkerDecoder implements Decoder {
  private readonly workerData: DecodeWorkerData;
  private readonly counting = new Map<number, (counts: readonly Float64Array[] | undefined) => void>();
  private worker: Worker | undefined;
  private loadedModel: ServedModel | undefined;
  private listener: DecoderListener | undefined;
  private restart: NodeJS.Timeout | undefined;
  private restartDelayMs = firstRestartDelayMs;
  private nextRequestId = 0;
  private isClosed = false;

  constructor(workerData: DecodeWorkerData) {
    this.workerData = workerData;
  }

  get model(): ServedModel | undefined {
    return this.loadedModel;
  }

  listen(listener: DecoderListener): void {
    this.listener = listener;
  }

  /** Starts the thread and loads the bundle.
   *  @throws the typed error with which the bundle can't be loaded; ServerError E_DECODER_LOST */
  async load(): Promise<void> {
    // The worker runs as plain JavaScript, as everything that starts on its own does.
    const worker = new Worker(new URL("./decodeWorker.js", import.meta.url), { workerData: this.workerData, stdout: true });
    // Standard output belongs to the server's own lines (run.ts); what libraries print there goes to the log.
    worker.stdout.pipe(process.stderr, { end: false });
    this.worker = worker;
    await new Promise<void>((resolve, reject) => {
      let error: MoeLabError = decoderLost();
      worker.on("message", (report: DecodeReport) => {
        if (report.kind === "ready") {
          this.loadedModel = report.model;
          resolve();
        } else if (report.kind === "unloadable") error = new MoeLabError(report.error);
        else this.receive(report);
      });
      worker.on("error", (cause) => { error = decoderLost(cause); });
      worker.on("exit", () => {
        reject(error); // does nothing once the thread was ready
        if (this.worker === worker) this.lose(error);
      });
    });
  }

  post(command: DecodeCommand): void {
    this.worker?.postMessage(command);
  }

  async countExperts(): Promise<readonly Float64Array[] | undefined> {
    if (this.loadedModel === undefined) return undefined;
    const requestId = this.nextRequestId++;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => this.answerCount(requestId, undefined), countTimeoutMs);
      this.counting.set(requestId, (counts) => {
        clearTimeout(timer);
        resolve(counts);
      });
      this.post({ kind: "countExperts", requestId });
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.restart);
    const worker = this.worker;
    this.worker = undefined;
    this.loadedModel = undefined;
    await worker?.terminate();
  }

  private receive(report: Extract<DecodeReport, { kind: "iteration" | "expertCounts" }>): void {
    if (report.kind === "expertCounts") {
      this.answerCount(report.requestId, report.counts);
      return;
    }
    // A thread that decodes is healthy again.
    if (report.fedTokens > 0) this.restartDelayMs = firstRestartDelayMs;
    this.listener?.iteration(report);
  }

  private answerCount(requestId: number, counts: readonly Float64Array[] | undefined): void {
    this.counting.get(requestId)?.(counts);
    this.counting.delete(requestId);
  }

  private lose(error: MoeLabError): void {
    const wasReady = this.loadedModel !== undefined;
    this.worker = undefined;
    this.loadedModel = undefined;
    for (const requestId of [...this.counting.keys()]) this.answerCount(requestId, undefined);
    // A first load that fails is the caller's to handle; only a thread that once worked is started anew.
    if (this.isClosed || (!wasReady && this.restart === undefined)) return;
    if (wasReady) this.listener?.lost(error);
    this.restart = setTimeout(() => {
      this.load().catch((failure: unknown) => {
        // #lose has planned the next try already; what isn't typed is a bug and must be seen.
        if (!(failure instanceof MoeLabError)) throw failure;
      });
    }, this.restartDelayMs);
    this.restartDelayMs = Math.min(longestRestartDelayMs, this.restartDelayMs * 2);
  }
}

function decoderLost(cause?: unknown): ServerError {
  return new ServerError({
    code: "E_DECODER_LOST", what: "the decode thread ended", why: cause instanceof Error ? cause.message : "it exited without a word",
    fix: "try again in a few seconds: the thread is started anew; look into the server's log if it stays", cause,
  });
}
