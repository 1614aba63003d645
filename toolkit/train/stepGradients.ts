import * as tf from "@tensorflow/tfjs-core";
import type { FloatStorage } from "../backend/floatStorage.ts";
import type { Batch } from "../data/batches.ts";
import type { RoutingRecord, Transformer } from "../models/transformer.ts";
import { RandomSource } from "../random.ts";
import { lossTokens, realTokens } from "./evaluate.ts";
import type { LayerCounts } from "./gradientMonitor.ts";
import { batchLoss, type BatchLossOptions } from "./loss.ts";

/** What the micro-batches of a step say together. */
export interface StepGradients {
  /** means over the whole step: cross-entropy over targets that count, router losses over tokens and layers, without their weights */
  readonly lossNats: number;
  readonly balanceLoss: number;
  readonly zLoss: number;
  /** where the model has it */
  readonly sequenceBalanceLoss?: number;
  /** of the routers' own, with its weight; where they have one */
  readonly routerOwnLoss?: number;
  /** tokens without padding */
  readonly tokens: number;
  /** of trained weights that the loss depends on; the caller disposes them */
  readonly gradients: Map<string, tf.Tensor>;
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
export async function stepGradients(model: Transformer, batches: readonly Batch[], weights: ReadonlyMap<string, tf.Variable>, options: StepOptions): Promise<StepGradients> {
  const lossShares = shares(batches.map(lossTokens)), tokenShares = shares(batches.map(realTokens));
  const gradients = new Map<string, tf.Tensor>();
  const losses: MicroBatch[] = [];
  let expertCounts: LayerCounts[] = [];
  try {
    for (const [index, batch] of batches.entries()) {
      const micro = forwardBackward(model, batch, weights, {
        precision: options.precision, lossShare: lossShares[index], tokenShare: tokenShares[index],
        random: new RandomSource(options.seed, firstNoiseStream + options.randomStream + index),
        ...(index > 0 && { earlierCounts: expertCounts.map(({ counts }) => counts) }),
      }, options.withEntropy);
      addGradients(gradients, micro.gradients);
      losses.push(micro);
      expertCounts = await addCounts(expertCounts, micro.routing, model.config.moe.numExperts);
    }
  } catch (error) {
    tf.dispose([...gradients.values(), ...losses.map(({ values }) => values)]);
    throw error;
  }
  // One download for all losses.
  const together = losses.length === 1 ? losses[0].values : tf.tidy(() => tf.concat(losses.map(({ values }) => values)));
  const values = await together.data<"float32">();
  tf.dispose([together, ...losses.map((micro) => micro.values)]);
  const { names, routing } = losses[0], perBatch = values.length / batches.length;
  const mean = (valueOf: (index: number) => number, weightOf: readonly number[]): number =>
    // A micro-batch without tokens has no means.
    weightOf.reduce((sum, weight, index) => (weight > 0 ? sum + weight * valueOf(index) : sum), 0);
  const meanAt = (place: number): number => mean((index) => values[index * perBatch + place], place === 0 ? lossShares : tokenShares);
  return {
    lossNats: meanAt(0), balanceLoss: meanAt(1), zLoss: meanAt(2), ...Object.fromEntries(names.map((name, i) => [name, meanAt(3 + i)])),
    tokens: batches.reduce((sum, batch) => sum + realTokens(batch), 0), gradients, expertCounts,
    dropRate: routing.map((_, layer) => mean((index) => losses[index].routing[layer].dropRate, tokenShares)),
    tokenEntropy: options.withEntropy ? routing.map((_, layer) => meanAt(3 + names.length + layer)) : undefined,
  };
}

/** Losses that only some models have. */
type ExtraLoss = "sequenceBalanceLoss" | "routerOwnLoss";

interface MicroBatch {
  /** cross-entropy, balance loss and z-loss, the extra losses by `names`, then each layer's token entropy where it is asked for */
  readonly values: tf.Tensor1D;
  readonly names: readonly ExtraLoss[];
  readonly routing: readonly Pick<RoutingRecord, "layer" | "ids" | "dropRate">[];
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

function forwardBackward(model: Transformer, batch: Batch, weights: ReadonlyMap<string, tf.Variable>, options: BatchLossOptions, withEntropy: boolean): MicroBatch {
  let kept: Omit<MicroBatch, "gradients"> | undefined;
  const { value, grads } = tf.variableGrads(() => {
    const { total, crossEntropy, balance, z, sequenceBalance, own, routing } = batchLoss(model, batch, options);
    const extra = new Map<ExtraLoss, tf.Scalar>([...(sequenceBalance ? [["sequenceBalanceLoss", sequenceBalance] as const] : []), ...(own ? [["routerOwnLoss", own] as const] : [])]);
    // variableGrads gives back the total only; what else is wanted of the step has to outlive its tidy.
    kept = {
      values: tf.keep(tf.stack([crossEntropy, balance, z, ...extra.values(), ...(withEntropy ? routing.map((record) => tokenEntropy(record, batch)) : [])]) as tf.Tensor1D),
      names: [...extra.keys()],
      routing: routing.map(({ layer, ids, dropRate }) => ({ layer, ids: tf.keep(ids), dropRate })),
    };
    return total;
  }, [...weights.values()]);
  value.dispose();
  if (!kept) throw new Error("variableGrads didn't run its function");
  // A weight that the loss doesn't depend on has no gradient.
  const gradients = new Map([...weights].flatMap(([name, weight]): [string, tf.Tensor][] => (weight.name in grads ? [[name, grads[weight.name]]] : [])));
  return { ...kept, gradients };
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

async function addCounts(earlier: readonly LayerCounts[], routing: MicroBatch["routing"], numExperts: number): Promise<LayerCounts[]> {
  const added: LayerCounts[] = [];
  for (const [index, { layer, ids }] of routing.entries()) {
    const counts = Float64Array.from(earlier[index]?.counts ?? new Float64Array(numExperts));
    for (const expert of await ids.data<"int32">()) if (expert >= 0) counts[expert] += 1;
    ids.dispose();
    added.push({ layer, counts });
  }
  return added;
}

/** Each count's share of the sum; equal shares where all counts are 0. */
function shares(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total > 0 ? count / total : 1 / counts.length));
}
