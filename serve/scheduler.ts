import { ApiError } from "./apiErrors.ts";
import type { DecodeEvent, DecodeJob, DecodeReport, FailureReport, ServedModel } from "./decodeMessages.ts";
import type { Decoder } from "./decoder.ts";
import { EventQueue } from "./eventQueue.ts";
import { createMetrics, type FailureReason, type Metrics } from "./metrics.ts";

export interface SchedulerSettings {
  /** Name under which the model is offered; undefined for the bundle's own. */
  readonly modelName: string | undefined;
  readonly maxActive: number;
  readonly maxQueue: number;
  readonly expertMetrics: boolean;
}

/** What a route gets of its request. */
export type CompletionEvent = Exclude<DecodeEvent, { kind: "failed" }>;

interface Ticket {
  readonly id: number;
  readonly job: DecodeJob;
  readonly events: EventQueue<CompletionEvent>;
  readonly forgetSignal: () => void;
  readonly arrivedMs: number;
  startedMs: number;
  firstTokenMs: number;
  lastTokenMs: number;
  promptTokens: number;
  generatedTokens: number;
}

/** A client that is told to wait tries again after this. The queue moves within a second at usual lengths. */
const retryAfterSeconds = 1;

/** Admits requests: so many run, so many wait, the rest is refused at once. Never waits itself and holds no tokens. */
export class Scheduler {
  readonly metrics: Metrics;
  private readonly decoder: Decoder;
  private readonly settings: SchedulerSettings;
  private readonly waiting: Ticket[] = [];
  private readonly running = new Map<number, Ticket>();
  private nextId = 0;
  private isDraining = false;
  private whenIdle: (() => void) | undefined;

  constructor(decoder: Decoder, settings: SchedulerSettings) {
    this.decoder = decoder;
    this.settings = settings;
    this.metrics = createMetrics({
      hasExpertMetrics: settings.expertMetrics,
      countRunning: () => this.running.size,
      countWaiting: () => this.waiting.length,
      cacheUsageRatio: () => this.cacheUsageRatio(),
      countExperts: () => decoder.countExperts(),
    });
    decoder.listen({ iteration: (report) => this.receive(report), lost: () => this.lose() });
  }

  /** Whether a request would be taken, and why not. */
  get readiness(): "ready" | "loading" | "draining" {
    if (this.isDraining) return "draining";
    return this.decoder.model === undefined ? "loading" : "ready";
  }

  /** What is served, under the name that clients use; undefined while it isn't loaded. */
  get model(): ServedModel | undefined {
    const { model } = this.decoder;
    return model === undefined ? undefined : { ...model, name: this.settings.modelName ?? model.name };
  }

  /** Queues a request. Its events end after "finished"; they throw the typed error if it fails.
   *  @param signal ends the request when the client has gone
   *  @throws ApiError 503 E_NOT_READY, E_QUEUE_FULL */
  submit(job: DecodeJob, signal: AbortSignal): AsyncIterable<CompletionEvent> {
    this.admit();
    const id = this.nextId++;
    const cancel = () => this.cancel(id, cancelled());
    signal.addEventListener("abort", cancel, { once: true });
    const ticket: Ticket = {
      id, job, events: new EventQueue(), forgetSignal: () => signal.removeEventListener("abort", cancel),
      arrivedMs: performance.now(), startedMs: 0, firstTokenMs: 0, lastTokenMs: 0, promptTokens: 0, generatedTokens: 0,
    };
    this.waiting.push(ticket);
    this.startWaiting();
    if (signal.aborted) cancel();
    return ticket.events;
  }

  /** Takes no more requests and waits for those it has; what still runs after the timeout is ended with an error. */
  async drain(timeoutMs: number): Promise<void> {
    this.isDraining = true;
    if (this.running.size + this.waiting.length === 0) return;
    const idle = new Promise<void>((resolve) => { this.whenIdle = resolve; });
    const timer = setTimeout(() => {
      for (const { id } of [...this.running.values(), ...this.waiting]) this.cancel(id, shutDown());
    }, timeoutMs);
    await idle;
    clearTimeout(timer);
  }

  private admit(): void {
    if (this.readiness !== "ready") {
      this.metrics.fail("not_ready");
      throw notReady(this.readiness);
    }
    const { maxActive, maxQueue } = this.settings;
    if (this.running.size >= maxActive && this.waiting.length >= maxQueue) {
      this.metrics.fail("queue_full");
      throw new ApiError({
        code: "E_QUEUE_FULL", status: 503, retryAfterSeconds, what: `${this.running.size} requests run and ${this.waiting.length} wait`,
        why: `the server decodes ${maxActive} at a time and lets ${maxQueue} wait`,
        fix: "try again after the time in Retry-After, or raise MOE_LAB_MAX_QUEUE or MOE_LAB_MAX_ACTIVE",
      });
    }
  }

  private startWaiting(): void {
    while (this.running.size < this.settings.maxActive) {
      const ticket = this.waiting.shift();
      if (ticket === undefined) return;
      this.running.set(ticket.id, ticket);
      this.decoder.post({ kind: "submit", id: ticket.id, job: ticket.job });
    }
  }

  private receive({ fedTokens, events }: Extract<DecodeReport, { kind: "iteration" }>): void {
    if (fedTokens > 0) this.metrics.iterationTokens.observe(fedTokens);
    for (const event of events) {
      const ticket = this.running.get(event.id);
      // What a cancelled sequence did before the cancellation reached its thread.
      if (ticket === undefined) continue;
      if (event.kind === "failed") this.fail(ticket, event.error);
      else {
        this.measure(ticket, event);
        ticket.events.push(event);
        if (event.kind === "finished") this.release(ticket, () => ticket.events.end());
      }
    }
  }

  private measure(ticket: Ticket, event: CompletionEvent): void {
    const nowMs = performance.now();
    const { metrics } = this;
    switch (event.kind) {
      case "started":
        ticket.startedMs = nowMs;
        ticket.promptTokens = event.promptTokens;
        metrics.promptTokens.inc(event.promptTokens);
        metrics.requestPromptTokens.observe(event.promptTokens);
        metrics.queueTime.observe((nowMs - ticket.arrivedMs) / 1000);
        break;
      case "token":
        if (ticket.generatedTokens === 0) {
          ticket.firstTokenMs = nowMs;
          metrics.timeToFirstToken.observe((nowMs - ticket.arrivedMs) / 1000);
          metrics.prefillTime.observe((nowMs - ticket.startedMs) / 1000);
        } else metrics.interTokenLatency.observe((nowMs - ticket.lastTokenMs) / 1000);
        ticket.lastTokenMs = nowMs;
        ticket.generatedTokens += 1;
        metrics.generationTokens.inc();
        break;
      case "finished":
        metrics.decodeTime.observe((nowMs - ticket.firstTokenMs) / 1000);
        metrics.endToEndLatency.observe((nowMs - ticket.arrivedMs) / 1000);
        metrics.requestGenerationTokens.observe(ticket.generatedTokens);
        metrics.succeed(event.reason);
        break;
    }
  }

  private fail(ticket: Ticket, report: FailureReport): void {
    // What the client did wrong is counted where all wrong requests are, in app.ts.
    if (report.status >= 500) this.metrics.fail("decoder");
    this.release(ticket, () => ticket.events.fail(new ApiError(report)));
  }

  private cancel(id: number, error: ApiError): void {
    const ticket = this.running.get(id) ?? this.waiting.find((waiting) => waiting.id === id);
    if (ticket === undefined) return;
    // The decoder handles commands in order, so the place is free before the next submission reaches it.
    if (this.running.has(id)) this.decoder.post({ kind: "cancel", id });
    this.metrics.fail("cancelled");
    this.release(ticket, () => ticket.events.fail(error));
  }

  private lose(): void {
    for (const ticket of this.running.values()) this.end(ticket, "decoder", decoderLost());
    for (const ticket of this.waiting) this.end(ticket, "not_ready", notReady("loading"));
    this.running.clear();
    this.waiting.length = 0;
    this.whenIdle?.();
  }

  private end(ticket: Ticket, reason: FailureReason, error: ApiError): void {
    this.metrics.fail(reason);
    ticket.forgetSignal();
    ticket.events.fail(error);
  }

  private release(ticket: Ticket, tell: () => void): void {
    ticket.forgetSignal();
    tell();
    this.running.delete(ticket.id);
    const at = this.waiting.indexOf(ticket);
    if (at >= 0) this.waiting.splice(at, 1);
    this.startWaiting();
    if (this.running.size + this.waiting.length === 0) this.whenIdle?.();
  }

  private cacheUsageRatio(): number {
    const contextLength = this.decoder.model?.contextLength;
    if (contextLength === undefined) return 0;
    let held = 0;
    for (const { promptTokens, generatedTokens } of this.running.values()) held += Math.min(contextLength, promptTokens + generatedTokens);
    return held / (contextLength * this.settings.maxActive);
  }
}

function notReady(readiness: "loading" | "draining" | "ready"): ApiError {
  return new ApiError({
    code: "E_NOT_READY", status: 503, retryAfterSeconds, what: `the server is ${readiness}`,
    why: readiness === "draining" ? "it shuts down and only finishes what it has" : "the model isn't loaded yet",
    fix: "try again after the time in Retry-After; GET /health/ready answers 200 once it takes requests",
  });
}

function cancelled(): ApiError {
  return new ApiError({
    code: "E_CANCELLED", status: 499, what: "the request was cancelled", why: "the client closed the connection", fix: "send it again",
  });
}

function shutDown(): ApiError {
  return new ApiError({
    code: "E_SHUTTING_DOWN", status: 503, retryAfterSeconds, what: "the request was ended before it was complete",
    why: "the server shuts down and its drain timeout has passed", fix: "send it again, or raise MOE_LAB_DRAIN_TIMEOUT_MS",
  });
}

function decoderLost(): ApiError {
  return new ApiError({
    code: "E_DECODER_LOST", status: 500, what: "the request was ended before it was complete",
    why: "the decode thread broke", fix: "send it again in a few seconds: the thread is started anew",
  });
}
