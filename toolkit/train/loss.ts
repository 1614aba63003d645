import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../backend/activationStorage.ts";
import type { FloatStorage } from "../backend/floatStorage.ts";
import type { Batch, MaskedBatch } from "../data/batches.ts";
import type { RoutingRecord, Transformer } from "../models/transformer.ts";
import { crossEntropy } from "../ops/crossEntropy.ts";

/** A batch, with or without padding. */
export type LossBatch = Batch & Partial<Pick<MaskedBatch, "lossMask">>;

export interface BatchLoss {
  /** crossEntropy + balanceLossWeight · balance + zLossWeight · z */
  readonly total: tf.Scalar;
  /** mean over unmasked tokens, nats */
  readonly crossEntropy: tf.Scalar;
  readonly balance: tf.Scalar;
  readonly z: tf.Scalar;
  readonly routing: readonly RoutingRecord[];
}

/** Runs the model on a batch and forms the training loss.
 *  @param precision how activations are kept for the backward pass */
export function batchLoss(model: Transformer, batch: LossBatch, precision: FloatStorage = "float32"): BatchLoss {
  const { batchSize: B, contextLength: T } = batch;
  const mask = batch.lossMask ? tf.tensor1d(batch.lossMask, "float32") : undefined;
  const { logits, routing } = withActivationStorage(precision, () => model.forward(tf.tensor2d(batch.inputs, [B, T], "int32")));
  const nats = crossEntropy(logits, tf.tensor1d(batch.targets, "int32"), mask);
  const { balance, z } = model.routerLosses(routing, mask);
  const { balanceLossWeight, zLossWeight } = model.config.moe;
  let total = nats;
  if (balanceLossWeight > 0) total = tf.add(total, tf.mul(balance, balanceLossWeight));
  if (zLossWeight > 0) total = tf.add(total, tf.mul(z, zLossWeight));
  return { total, crossEntropy: nats, balance, z, routing };
}
