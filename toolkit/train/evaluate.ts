import * as tf from "@tensorflow/tfjs-core";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sequentialBatches, type Batch } from "../data/batches.ts";
import { DataError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import { crossEntropy } from "../ops/crossEntropy.ts";

/** What a model is evaluated on: token ids, or a function that gives the batches, the same ones each time. */
export type EvaluationData = Int32Array | (() => Iterable<Batch> | AsyncIterable<Batch>);

export interface EvaluateOptions {
  readonly batchSize: number;
  readonly contextLength: number;
  /** stops after the batch in which this many targets are reached */
  readonly maxTokens?: number;
  /** also give the mean as it stood after the batch in which this many targets were reached */
  readonly markTokens?: number;
  readonly signal?: AbortSignal;
}

export interface Evaluation {
  /** mean cross-entropy over the targets that count, nats */
  readonly lossNats: number;
  /** targets that it is the mean of */
  readonly tokens: number;
  /** the mean at markTokens; lossNats where there are fewer */
  readonly markedLossNats: number;
}

/** Mean cross-entropy in nats. Of token ids each target counts once, every window on its own (no context from before it);
 *  of batches the targets that their lossMask names.
 *  @throws DataError E_NO_TARGETS when nothing counts */
export async function evaluate(model: Transformer, data: EvaluationData, options: EvaluateOptions): Promise<Evaluation> {
  const { maxTokens = Infinity, markTokens = Infinity, signal } = options;
  let sum = 0, tokens = 0, markedLossNats: number | undefined;
  for await (const batch of data instanceof Int32Array ? sequentialBatches(data, options) : data()) {
    signal?.throwIfAborted();
    const count = lossTokens(batch);
    if (count > 0) sum += (await meanNats(model, batch)) * count;
    tokens += count;
    if (tokens >= markTokens) markedLossNats ??= sum / tokens;
    if (tokens >= maxTokens) break;
    await nextTurn();
  }
  if (tokens === 0) throw new DataError({ code: "E_NO_TARGETS", what: "the evaluation data has no target that counts", why: "a mean over nothing is no number", fix: "give data with at least one target whose lossMask is 1" });
  const lossNats = sum / tokens;
  return { lossNats, tokens, markedLossNats: markedLossNats ?? lossNats };
}

/** Targets of a batch that count in its loss. */
export function lossTokens({ lossMask, targets }: Batch): number {
  return lossMask ? lossMask.reduce((total, value) => total + value, 0) : targets.length;
}

/** Tokens of a batch without padding. */
export function realTokens({ tokenMask, inputs }: Batch): number {
  return tokenMask ? tokenMask.reduce((total, value) => total + value, 0) : inputs.length;
}

async function meanNats(model: Transformer, batch: Batch): Promise<number> {
  const loss = tf.tidy(() => {
    const { logits } = model.forward(tf.tensor2d(batch.inputs, [batch.batchSize, batch.contextLength], "int32"), {
      ...(batch.tokenMask && { tokenMask: tf.tensor1d(batch.tokenMask, "float32") }),
      ...(batch.documentStart && { documentStart: tf.tensor1d(batch.documentStart, "int32") }),
    });
    return crossEntropy(logits, tf.tensor1d(batch.targets, "int32"), batch.lossMask && tf.tensor1d(batch.lossMask));
  });
  const [nats] = await loss.data<"float32">();
  loss.dispose();
  return nats;
}
