import * as tf from "@tensorflow/tfjs-core";
import { ConfigError, DataError } from "../errors.ts";
import type { RoutedModel } from "./routedModel.ts";
import { RoutingReport } from "./routingReport.ts";
import { RoutingStats } from "./routingStats.ts";

export interface AnalyzeRoutingOptions {
  /** windows in one forward pass */
  readonly batchSize?: number;
  /** tokens in one window, at most the model's contextLength, which is the default */
  readonly contextLength?: number;
  /** only the first so many tokens */
  readonly maxTokens?: number;
  /** called after each forward pass */
  readonly onProgress?: (doneTokens: number, totalTokens: number) => void;
}

/** How many tokens the logits of one pass may cover before they crowd out everything else: V·N float32. */
const defaultBatchSize = 4;

function checkOptions(model: RoutedModel, batchSize: number, contextLength: number, numTokens: number): void {
  const longest = model.config.contextLength;
  if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > longest) {
    throw new ConfigError({
      code: "E_ANALYSIS_CONTEXT", what: `analyzeRouting got contextLength ${contextLength}`,
      why: `the model takes windows of 1 to ${longest} tokens`, fix: `leave contextLength out, or give one up to ${longest}`,
    });
  }
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new ConfigError({
      code: "E_ANALYSIS_BATCH", what: `analyzeRouting got batchSize ${batchSize}`,
      why: "a forward pass takes a whole number of windows, at least 1", fix: "leave batchSize out, or give a positive whole number",
    });
  }
  if (numTokens < 1) {
    throw new DataError({
      code: "E_ANALYSIS_NO_TOKENS", what: "analyzeRouting got no tokens",
      why: "shares of nothing have no value", fix: "pass the token ids of some text, and maxTokens of at least 1",
    });
  }
}

/** One forward pass; adds what every layer's router decided. */
async function addWindows(model: RoutedModel, stats: RoutingStats, ids: Int32Array, numWindows: number): Promise<void> {
  const records = tf.tidy(() => {
    const { routing } = model.forward(tf.tensor2d(ids, [numWindows, ids.length / numWindows], "int32"));
    return routing.map(({ layer, ids: chosen, probabilities }) => ({ layer, chosen, probabilities }));
  });
  try {
    for (const { layer, chosen, probabilities } of records) {
      stats.add(layer, await chosen.data<"int32">(), await probabilities.data<"float32">());
    }
  } finally {
    tf.dispose(records);
  }
}

/** Runs the model over a text and reports how its routers use the experts. The text is cut into windows one after the
 *  other, each seen from its own start; the last may be shorter, so every token counts once.
 *  @param ids token ids, e.g. of the validation set
 *  @throws ConfigError E_ANALYSIS_CONTEXT, E_ANALYSIS_BATCH; DataError E_ANALYSIS_NO_TOKENS */
export async function analyzeRouting(model: RoutedModel, ids: Int32Array, options: AnalyzeRoutingOptions = {}): Promise<RoutingReport> {
  const { numLayers, moe } = model.config;
  const { batchSize = defaultBatchSize, contextLength = model.config.contextLength, onProgress } = options;
  const numTokens = Math.min(ids.length, options.maxTokens ?? Infinity);
  checkOptions(model, batchSize, contextLength, numTokens);
  const stats = new RoutingStats(numLayers, moe.numExperts, moe.expertsPerToken);
  let done = 0;
  while (done < numTokens) {
    const numWindows = Math.min(batchSize, Math.floor((numTokens - done) / contextLength)) || 1;
    const end = Math.min(numTokens, done + numWindows * contextLength);
    await addWindows(model, stats, ids.subarray(done, end), numWindows);
    done = end;
    onProgress?.(done, numTokens);
  }
  return new RoutingReport(stats.summary());
}
