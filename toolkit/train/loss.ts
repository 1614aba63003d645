import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../backend/activationStorage.ts";
import type { FloatStorage } from "../backend/floatStorage.ts";
import type { Batch } from "../data/batches.ts";
import type { RoutingRecord, Transformer } from "../models/transformer.ts";
import type { RouterLosses } from "../moe/balance.ts";
import { crossEntropy } from "../ops/crossEntropy.ts";
import type { RandomSource } from "../random.ts";

export interface BatchLossOptions {
  /** how activations are kept for the backward pass; "float32" by default */
  readonly precision?: FloatStorage;
  /** Source of noise, jitter and dropout; present in training only. */
  readonly random?: RandomSource;
  /** as in RouterLossInput */
  readonly earlierCounts?: readonly tf.Tensor1D[];
  /** This batch's share of the targets that count in its optimizer step; 1 by default */
  readonly lossShare?: number;
  /** This batch's share of the tokens without padding in its optimizer step; 1 by default */
  readonly tokenShare?: number;
}

export interface BatchLoss extends Pick<RouterLosses, "balance" | "z" | "sequenceBalance" | "own"> {
  /** lossShare · crossEntropy + tokenShare · (balanceLossWeight · balance + zLossWeight · z + sequenceBalanceLossWeight ·
   *  sequenceBalance + own), without those whose weight is 0 */
  readonly total: tf.Scalar;
  /** mean over unmasked targets, nats */
  readonly crossEntropy: tf.Scalar;
  readonly routing: readonly RoutingRecord[];
}

/** Runs the model on a batch and forms the training loss. Over the micro-batches of a step, with their shares, totals and
 *  gradients add up to those of one batch of all rows; only the balance loss of global scope differs, for it reads the loads of
 *  the micro-batches so far. */
export function batchLoss(model: Transformer, batch: Batch, options: BatchLossOptions = {}): BatchLoss {
  const { precision = "float32", random, earlierCounts, lossShare = 1, tokenShare = 1 } = options;
  const { batchSize: B, contextLength: T } = batch;
  const lossMask = batch.lossMask && tf.tensor1d(batch.lossMask, "float32");
  const tokenMask = batch.tokenMask && tf.tensor1d(batch.tokenMask, "float32");
  const documentStart = batch.documentStart && tf.tensor1d(batch.documentStart, "int32");
  const { logits, routing } = withActivationStorage(precision, () => model.forward(tf.tensor2d(batch.inputs, [B, T], "int32"), {
    ...(random && { training: { random } }), ...(tokenMask && { tokenMask }), ...(documentStart && { documentStart }),
  }));
  const nats = crossEntropy(logits, tf.tensor1d(batch.targets, "int32"), lossMask);
  const { weighted, ...losses } = model.routerLosses(routing, { batchSize: B, ...(tokenMask && { tokenMask }), ...(earlierCounts && { earlierCounts }) });
  let total = times(nats, lossShare);
  // Without a token the router losses have no value.
  if (weighted && tokenShare > 0) total = tf.add(total, times(weighted, tokenShare));
  return { total, crossEntropy: nats, ...losses, routing };
}

function times(loss: tf.Scalar, share: number): tf.Scalar {
  return share === 1 ? loss : tf.mul(loss, share);
}
