import * as tf from "@tensorflow/tfjs-core";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sequentialBatches } from "../data/batches.ts";
import type { Transformer } from "../models/transformer.ts";
import { crossEntropy } from "../ops/crossEntropy.ts";

export interface EvaluateOptions {
  readonly batchSize: number;
  readonly contextLength: number;
  /** stops after the batch in which this many tokens are reached */
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
}

/** Mean cross-entropy in nats over token ids, each target once, every window on its own (no context from before it).
 *  @returns lossNats, and the number of targets it is the mean of */
export async function evaluate(model: Transformer, ids: Int32Array, options: EvaluateOptions): Promise<{ lossNats: number; tokens: number }> {
  let sum = 0, tokens = 0;
  for (const batch of sequentialBatches(ids, options)) {
    options.signal?.throwIfAborted();
    const count = batch.lossMask.reduce((total, value) => total + value, 0);
    const loss = tf.tidy(() => {
      const { logits } = model.forward(tf.tensor2d(batch.inputs, [batch.batchSize, batch.contextLength], "int32"));
      return crossEntropy(logits, tf.tensor1d(batch.targets, "int32"), tf.tensor1d(batch.lossMask));
    });
    const [nats] = await loss.data<"float32">();
    loss.dispose();
    sum += nats * count;
    tokens += count;
    if (options.maxTokens !== undefined && tokens >= options.maxTokens) break;
    await nextTurn();
  }
  return { lossNats: sum / tokens, tokens };
}
