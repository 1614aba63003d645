import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { FinishReason } from "./schemas.ts";

/** Why a request failed. */
export type FailureReason = "invalid" | "queue_full" | "not_ready" | "cancelled" | "decoder";

const finishReasons: readonly FinishReason[] = ["stop", "length"];
const failureReasons: readonly FailureReason[] = ["invalid", "queue_full", "not_ready", "cancelled", "decoder"];

// Buckets of vLLM, so that dashboards compare (design/serving.md).
const firstTokenBuckets = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40];
const interTokenBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const requestBuckets = [0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240];
const tokenBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
const iterationBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

/** What the metrics read when they are scraped. */
export interface MetricSources {
  readonly hasExpertMetrics: boolean;
  countRunning(): number;
  countWaiting(): number;
  /** Part of the cache places of all sequences that hold a token, 0…1. */
  cacheUsageRatio(): number;
  /** Tokens of each expert since its decoder started, [layer][expert]. */
  countExperts(): Promise<readonly Float64Array[] | undefined>;
}

export type Metrics = ReturnType<typeof createMetrics>;

/** All metrics of a server, with the names of vLLM under the prefix moe_, and the default ones of the process.
 *  Every value is counted, none is made up. */
export function createMetrics(sources: MetricSources) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({ name, help, registers, collect() { this.set(read()); } });
  gauge("moe_num_requests_running", "Requests that are being decoded", () => sources.countRunning());
  gauge("moe_num_requests_waiting", "Requests that wait for a free place", () => sources.countWaiting());
  gauge("moe_kv_cache_usage_ratio", "Part of the cache places of all sequences that hold a token", () => sources.cacheUsageRatio());
  const updateExperts = sources.hasExpertMetrics ? registerExpertMetrics(registry, sources) : () => Promise.resolve();

  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name, help, buckets, registers });
  const successes = new Counter({ name: "moe_request_success_total", help: "Requests answered to the end", labelNames: ["finished_reason"], registers });
  const failures = new Counter({ name: "moe_request_failure_total", help: "Requests that failed", labelNames: ["reason"], registers });
  // A series that is absent until its first event makes rate() miss that event.
  for (const finished_reason of finishReasons) successes.inc({ finished_reason }, 0);
  for (const reason of failureReasons) failures.inc({ reason }, 0);
  return {
    contentType: registry.contentType,
    /** @returns all metrics in the text format of Prometheus */
    async scrape(): Promise<string> {
      // Before any metric is read: the load variation belongs to the same counts.
      await updateExperts();
      return await registry.metrics();
    },
    succeed: (reason: FinishReason) => successes.inc({ finished_reason: reason }),
    fail: (reason: FailureReason) => failures.inc({ reason }),
    promptTokens: counter("moe_prompt_tokens_total", "Prompt tokens of started requests"),
    generationTokens: counter("moe_generation_tokens_total", "Tokens generated"),
    timeToFirstToken: histogram("moe_time_to_first_token_seconds", "From the request's arrival to its first token", firstTokenBuckets),
    interTokenLatency: histogram("moe_inter_token_latency_seconds", "Between two tokens of a request", interTokenBuckets),
    endToEndLatency: histogram("moe_e2e_request_latency_seconds", "From the request's arrival to its last token", requestBuckets),
    queueTime: histogram("moe_request_queue_time_seconds", "From the request's arrival to its start", requestBuckets),
    prefillTime: histogram("moe_request_prefill_time_seconds", "From the request's start to its first token", requestBuckets),
    decodeTime: histogram("moe_request_decode_time_seconds", "From the request's first token to its last", requestBuckets),
    requestPromptTokens: histogram("moe_request_prompt_tokens", "Prompt tokens of a request", tokenBuckets),
    requestGenerationTokens: histogram("moe_request_generation_tokens", "Tokens generated for a request", tokenBuckets),
    iterationTokens: histogram("moe_iteration_tokens_total", "Tokens that went through the model in one turn over all sequences", iterationBuckets),
  };
}

/** @returns what brings the metrics up to date with the decoder */
function registerExpertMetrics(registry: Registry, sources: MetricSources): () => Promise<void> {
  const registers = [registry];
  const loadCv = new Gauge({ name: "moe_expert_load_cv", help: "Standard deviation over mean of the tokens of a layer's experts since the server started", labelNames: ["layer"], registers });
  const tokens = new Counter({ name: "moe_expert_tokens_total", help: "Tokens that an expert got, prompt and generated", labelNames: ["layer", "expert"], registers });
  const totals: Float64Array[] = [];
  // Counts of the decoder that are in the totals already.
  let added: readonly Float64Array[] = [];
  return async () => {
    const counts = await sources.countExperts();
    if (counts === undefined) return;
    // A decoder that was started anew counts from zero.
    const isRestarted = counts.some((layerCounts, layer) => layerCounts.some((count, expert) => count < (added[layer]?.[expert] ?? 0)));
    const base = isRestarted ? [] : added;
    added = counts;
    counts.forEach((layerCounts, layer) => {
      const total = (totals[layer] ??= new Float64Array(layerCounts.length));
      layerCounts.forEach((count, expert) => {
        const more = count - (base[layer]?.[expert] ?? 0);
        total[expert] = (total[expert] ?? 0) + more;
        tokens.inc({ layer, expert }, more);
      });
      loadCv.set({ layer }, coefficientOfVariation(total));
    });
  };
}

/** Population standard deviation over the mean; 0 for no tokens at all. */
function coefficientOfVariation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(mean > 0)) return 0;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) / mean;
}
