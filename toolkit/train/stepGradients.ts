import * as tf from "@tensorflow/tfjs-core";
import type { FloatStorage } from "../backend/floatStorage.ts";
import type { Batch } from "../data/batches.ts";
import type { RoutingRecord, Transformer } from "../models/transformer.ts";
import { countChoices } from "../ops/countChoices.ts";
import { RandomSource } from "../random.ts";
import { lossTokens, realTokens } from "./evaluate.ts";
import type { LayerCounts } from "./gradientMonitor.ts";
import { batchLoss, type BatchLossOptions } from "./loss.ts";

/** A step whose gradients are computed, or are being computed on a device: nothing of it was waited for. */
export interface LaunchedStep {
  /** of trained weights that the loss depends on; the caller disposes them */
  readonly gradients: Map<string, tf.Tensor>;
  /** as in StepMeasures; the caller disposes it */
  readonly lossNats: tf.Scalar;
  /** tokens without padding */
  readonly tokens: number;
  /** Reads what the step measured, once. */
  readonly read: () => Promise<StepMeasures>;
}

/** What the micro-batches of a step say together. */
export interface StepMeasures {
  /** means over the whole step: cross-entropy over targets that count, router losses over tokens and layers, without their weights */
  readonly lossNats: number;
  readonly balanceLoss: number;
  readonly zLoss: number;
  /** where the model has it */
  readonly sequenceBalanceLoss?: number;
  /** of the routers' own, with its weight; where they have one */
  readonly routerOwnLoss?: number;
  /** choices of each expert, of each layer with a router, in order */
  readonly expertCounts: readonly LayerCounts[];
  /** of each layer with a router: dropped choices over all choices, 0 … 1 */
  readonly dropRate: readonly number[];
  /** of each layer with a router: mean over tokens of H(p)/ln E; undefined where it wasn't asked for */
  readonly tokenEntropy: readonly number[] | undefined;
}

export interface StepOptions {
  readonly precision: FloatStorage;
  readonly seed: number;
  /** of the first micro-batch's RandomSource; each further one has the next stream */
  readonly randomStream: number;
  readonly withEntropy: boolean;
}

/** Streams of noise lie above those of the data order, which count epochs. */
const firstNoiseStream = 2 ** 52;

/** Gradients of the loss over all micro-batches together: each is weighted by its targets that count, its router losses by
 *  its tokens, so that they equal those of one batch of all rows. The load that a balance loss of global scope reads is that
 *  of the micro-batches up to each one (arXiv:2501.11873 §3).
 *  @param weights the trained ones */
export function launchStep(model: Transformer, batches: readonly Batch[], weights: ReadonlyMap<string, tf.Variable>, options: StepOptions): LaunchedStep {
  const lossShares = shares(batches.map(lossTokens)), tokenShares = shares(batches.map(realTokens));
  const gradients = new Map<string, tf.Tensor>();
  const microBatches: MicroBatch[] = [];
  let expertCounts: readonly tf.Tensor1D[] = [];
  try {
    for (const [index, batch] of batches.entries()) {
      const micro = forwardBackward(model, batch, weights, {
        precision: options.precision, lossShare: lossShares[index], tokenShare: tokenShares[index],
        random: new RandomSource(options.seed, firstNoiseStream + options.randomStream + index),
        ...(index > 0 && { earlierCounts: expertCounts }),
      }, options.withEntropy);
      addGradients(gradients, micro.gradients);
      microBatches.push(micro);
      expertCounts = addCounts(expertCounts, micro.counts);
    }
  } catch (error) {
    tf.dispose([...gradients.values(), ...microBatches.map(({ values, counts }) => [values, ...counts]).flat(), ...expertCounts]);
    throw error;
  }
  tf.dispose([...expertCounts, ...microBatches.flatMap(({ counts }) => counts)]);
  const lossNats = tf.tidy(() => weightedSum(microBatches.map(({ values }) => tf.reshape(tf.slice(values, [0], [1]), [])), lossShares));
  const tokens = batches.reduce((sum, batch) => sum + realTokens(batch), 0);
  return { gradients, lossNats, tokens, read: () => readMeasures(microBatches, lossNats, tokenShares, options.withEntropy) };
}

/** One download for all values of a step. */
async function readMeasures(microBatches: readonly MicroBatch[], lossNats: tf.Scalar, tokenShares: readonly number[], withEntropy: boolean): Promise<StepMeasures> {
  const { names, layers, numExperts } = microBatches[0];
  const together = tf.tidy(() => tf.concat([tf.reshape(lossNats, [1]), ...microBatches.map(({ values }) => values)]));
  tf.dispose(microBatches.map(({ values }) => values));
  const values = await together.data<"float32">();
  together.dispose();
  const perBatch = (values.length - 1) / microBatches.length;
  const valueAt = (index: number, place: number): number => values[1 + index * perBatch + place];
  // A micro-batch without tokens has no means.
  const mean = (place: number): number => tokenShares.reduce((sum, share, index) => (share > 0 ? sum + share * valueAt(index, place) : sum), 0);
  const firstEntropy = 3 + names.length, firstCount = firstEntropy + (withEntropy ? layers.length : 0);
  /** of the choices, or of those that experts took */
  const countsOf = (index: number, row: number, isAssigned: boolean): number[] =>
    Array.from({ length: numExperts }, (_, e) => valueAt(index, firstCount + (2 * row + Number(isAssigned)) * numExperts + e));
  const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
  const dropRateOf = (index: number, row: number): number => {
    const choices = sum(countsOf(index, row, false));
    return choices === 0 ? 0 : (choices - sum(countsOf(index, row, true))) / choices;
  };
  return {
    lossNats: values[0], balanceLoss: mean(1), zLoss: mean(2), ...Object.fromEntries(names.map((name, i) => [name, mean(3 + i)])),
    expertCounts: layers.map((layer, row) => ({
      layer, counts: Float64Array.from({ length: numExperts }, (_, e) => sum(microBatches.map((_micro, index) => countsOf(index, row, false)[e]))),
    })),
    dropRate: layers.map((_, row) => tokenShares.reduce((total, share, index) => (share > 0 ? total + share * dropRateOf(index, row) : total), 0)),
    tokenEntropy: withEntropy ? layers.map((_, row) => mean(firstEntropy + row)) : undefined,
  };
}

/** Losses that only some models have. */
type ExtraLoss = "sequenceBalanceLoss" | "routerOwnLoss";

interface MicroBatch {
  /** cross-entropy, balance loss and z-loss, the extra losses by `names`, each layer's token entropy where it is asked for, then for
   *  each layer the choices of each expert, and those that it took */
  readonly values: tf.Tensor1D;
  readonly names: readonly ExtraLoss[];
  /** of each layer with a router: its number */
  readonly layers: readonly number[];
  /** E */
  readonly numExperts: number;
  /** choices of each expert, [E], of each layer with a router */
  readonly counts: readonly tf.Tensor1D[];
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

function forwardBackward(model: Transformer, batch: Batch, weights: ReadonlyMap<string, tf.Variable>, options: BatchLossOptions, withEntropy: boolean): MicroBatch {
  const { numExperts } = model.config.moe;
  let kept: Omit<MicroBatch, "gradients"> | undefined;
  const { value, grads } = tf.variableGrads(() => {
    const { total, crossEntropy, balance, z, sequenceBalance, own, routing } = batchLoss(model, batch, options);
    const extra = new Map<ExtraLoss, tf.Scalar>([...(sequenceBalance ? [["sequenceBalanceLoss", sequenceBalance] as const] : []), ...(own ? [["routerOwnLoss", own] as const] : [])]);
    const counts = routing.map(({ ids }) => choicesOf(ids, numExperts));
    const scalars = tf.stack([crossEntropy, balance, z, ...extra.values(), ...(withEntropy ? routing.map((record) => tokenEntropy(record, batch)) : [])]);
    // variableGrads gives back the total only; what else is wanted of the step has to outlive its tidy.
    kept = {
      values: tf.keep(tf.concat([scalars as tf.Tensor1D, ...routing.flatMap(({ ids, assigned }, row) => [counts[row], assigned === ids ? counts[row] : choicesOf(assigned, numExperts)])])),
      names: [...extra.keys()], layers: routing.map(({ layer }) => layer), numExperts, counts: counts.map((count) => tf.keep(count)),
    };
    return total;
  }, [...weights.values()]);
  value.dispose();
  if (!kept) throw new Error("variableGrads didn't run its function");
  // A weight that the loss doesn't depend on has no gradient.
  const gradients = new Map([...weights].flatMap(([name, weight]): [string, tf.Tensor][] => (weight.name in grads ? [[name, grads[weight.name]]] : [])));
  return { ...kept, gradients };
}

function choicesOf(ids: tf.Tensor2D, numExperts: number): tf.Tensor1D {
  return tf.reshape(countChoices(ids, numExperts), [numExperts]);
}

/** Mean over tokens of H(p)/ln E. */
function tokenEntropy({ probabilities }: RoutingRecord, { tokenMask }: Batch): tf.Scalar {
  const E = probabilities.shape[1];
  if (E === 1) return tf.scalar(0);
  const total = tf.sum(probabilities, 1, true);
  const p = tf.div(probabilities, tf.maximum(total, 1e-20)); // sigmoid scores don't sum to 1
  const perToken = tf.div(tf.sum(tf.mul(p, tf.log(tf.maximum(p, 1e-20))), 1), -Math.log(E));
  if (!tokenMask) return tf.mean(perToken);
  const mask = tf.tensor1d(tokenMask);
  return tf.div(tf.sum(tf.mul(perToken, mask)), tf.sum(mask));
}

function addGradients(sums: Map<string, tf.Tensor>, gradients: ReadonlyMap<string, tf.Tensor>): void {
  for (const [name, gradient] of gradients) {
    const sum = sums.get(name);
    sums.set(name, sum ? tf.add(sum, gradient) : gradient);
    if (sum) tf.dispose([sum, gradient]);
  }
}

/** New tensors; those of before are disposed. */
function addCounts(earlier: readonly tf.Tensor1D[], counts: readonly tf.Tensor1D[]): tf.Tensor1D[] {
  const sums = counts.map((count, row) => (earlier.length > 0 ? tf.add<tf.Tensor1D>(earlier[row], count) : tf.clone(count)));
  tf.dispose([...earlier]);
  return sums;
}

/** Σ share · value over those whose share isn't 0: what has none need not be a number. */
function weightedSum(values: readonly tf.Scalar[], factors: readonly number[]): tf.Scalar {
  const terms = values.flatMap((value, i) => (factors[i] === 0 ? [] : factors[i] === 1 ? [value] : [tf.mul<tf.Scalar>(value, factors[i])]));
  return terms.length === 1 ? terms[0] : tf.addN(terms);
}

/** Each count's share of the sum; equal shares where all counts are 0. */
function shares(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total > 0 ? count / total : 1 / counts.length));
}
