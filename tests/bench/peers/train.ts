/** Our side of `npm run bench:peers -- train`: whole training steps as the trainer makes them. */
import * as tf from "@tensorflow/tfjs-core";
import type { Batch } from "../../../toolkit/data/batches.ts";
import type { NamedArray } from "../../../toolkit/export/safetensors.ts";
import { transformerConfig, type TransformerConfig, type TransformerSettings } from "../../../toolkit/models/config.ts";
import { modelSize } from "../../../toolkit/models/count.ts";
import { Transformer } from "../../../toolkit/models/transformer.ts";
import { RandomSource } from "../../../toolkit/random.ts";
import { batchLoss } from "../../../toolkit/train/loss.ts";
import { AdamW } from "../../../toolkit/train/optimizer.ts";
import { recipe } from "../../../toolkit/train/recipe.ts";
import { train } from "../../../toolkit/train/trainer.ts";
import { namedArray, serveCases, warmUpMs, type PeerCase } from "./worker.ts";

const B = 8;
/** Of the first update, which both sides compare. */
const checkedLearningRate = 1e-3;
/** So small that the routing, and with it the work, stays that of the fresh weights on both sides. */
const measuredLearningRate = 1e-7;

function randomIds(count: number, vocabSize: number): Int32Array {
  const random = new RandomSource(1);
  return Int32Array.from({ length: count }, () => random.nextInt(vocabSize));
}

/** Rows of activations times a weight, [rows, inner] × [inner, columns]. */
interface WeightProduct {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

/** The products of a forward pass that have a weight, an expert's with the rows it got; the backward pass has two for each.
 *  @param expertIds of each layer, [N · K] */
function weightProducts(config: TransformerConfig, expertIds: readonly Int32Array[]): WeightProduct[] {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, vocabSize: V } = config;
  const { numExperts: E, expertsPerToken: K, expertWidth: H } = config.moe, N = B * config.contextLength;
  return [
    ...expertIds.flatMap((ids) => {
      if (ids.length !== N * K) throw new Error(`a layer routed ${ids.length} instead of ${N * K}`);
      const rowsOf = new Array<number>(E).fill(0);
      for (const id of ids) rowsOf[id] += 1;
      const dense = [Q * D, G * D, G * D].map((columns) => ({ rows: N, inner: C, columns }));
      const experts = rowsOf.filter((rows) => rows > 0).flatMap((rows) => [{ rows, inner: C, columns: 2 * H }, { rows, inner: H, columns: C }]);
      return [...dense, { rows: N, inner: Q * D, columns: C }, { rows: N, inner: C, columns: E }, ...experts];
    }),
    { rows: N, inner: C, columns: V },
  ];
}

/** FLOPs of the same products by the model's own count, without the scores and mixing of attention. */
function weightProductFlops(config: TransformerConfig): number {
  const { numHeads: Q, headSize: D, numLayers: L, contextLength: T } = config;
  return B * T * (modelSize(config).forwardFlopsPerToken - L * 4 * Q * D * ((T + 1) / 2));
}

/** Weights, batch, losses, gradients and updated weights of one step. */
function referenceStep(config: TransformerConfig): { arrays: Map<string, NamedArray>; settings: object } {
  const T = config.contextLength, ids = randomIds(B * T + 1, config.vocabSize);
  const batch: Batch = { inputs: ids.slice(0, -1), targets: ids.slice(1), batchSize: B, contextLength: T };
  const model = new Transformer(config, { seed: 1 }), optimizer = new AdamW(model.parameters(), recipe({ steps: 1 }));
  const arrays = new Map<string, NamedArray>([
    ["inputs", { dtype: "int32", shape: [B, T], data: batch.inputs }], ["targets", { dtype: "int32", shape: [B * T], data: batch.targets }],
  ]);
  const add = (kind: string, tensors: Iterable<[string, tf.Tensor]>): void => {
    for (const [name, tensor] of tensors) arrays.set(`${kind}.${name}`, namedArray(tensor));
  };
  add("weight", model.parameters());
  const expertIds: Int32Array[] = [];
  tf.tidy(() => {
    const { total, crossEntropy, balance, z, routing } = batchLoss(model, batch);
    for (const { ids } of routing) expertIds.push(ids.dataSync<"int32">().slice());
    add("expected.loss", Object.entries({ total, crossEntropy, balance, z }));
    const names = new Map([...model.parameters()].map(([name, weight]) => [weight.name, name]));
    const { grads } = tf.variableGrads(() => batchLoss(model, batch).total, [...model.parameters().values()]);
    const gradients = new Map(Object.entries(grads).map(([id, gradient]) => [names.get(id) ?? id, gradient]));
    add("expected.gradient", gradients);
    optimizer.update(gradients, 1, checkedLearningRate, optimizer.clip(gradients).gradientScale);
    add("expected.updated", model.parameters());
  });
  optimizer.dispose();
  model.dispose();
  const { beta1, beta2, adamEpsilon, weightDecay, maxGradientNorm } = recipe({ steps: 1 });
  const floor = { products: weightProducts(config, expertIds), flops: weightProductFlops(config) };
  return { arrays, settings: { config, checkedLearningRate, measuredLearningRate, beta1, beta2, adamEpsilon, weightDecay, maxGradientNorm, floor } };
}

function trainingCase(name: string, runsPerRound: number, settings: TransformerSettings): PeerCase {
  const config = transformerConfig(settings), T = config.contextLength;
  let model: Transformer | undefined, lastMs = warmUpMs;
  return {
    name: `${name}, ${B} × ${T} tokens`,
    runsPerRound,
    reference: () => referenceStep(config),
    measureMs: async (runs) => {
      model ??= new Transformer(config, { seed: 1 });
      const ids = randomIds(100_000, config.vocabSize), stepMs: number[] = [], warmUpSteps = Math.ceil(warmUpMs / lastMs);
      const steps = { steps: warmUpSteps + runs, batchSize: B, contextLength: T, warmupSteps: 0, learningRate: measuredLearningRate };
      await train(model, { train: ids, validation: ids.subarray(0, T + 1) }, steps, {
        onStep: ({ step, tokensPerSecond }) => { if (step > warmUpSteps) stepMs.push((1000 * B * T) / tokensPerSecond); },
      });
      lastMs = Math.min(...stepMs);
      return stepMs;
    },
  };
}

const experts = (numExperts: number, expertWidth: number): TransformerSettings["moe"] => ({ numExperts, expertsPerToken: 2, expertWidth });
const wide = { vocabSize: 512, numLayers: 4, width: 256, numHeads: 8, contextLength: 256 };
await serveCases([
  trainingCase("tiny (width 64, 2 layers, 8 experts of 128)", 20, { vocabSize: 512, numLayers: 2, width: 64, numHeads: 4, contextLength: 64, moe: experts(8, 128) }),
  trainingCase("width 256, 4 layers, 8 experts of 512", 3, { ...wide, moe: experts(8, 512) }),
  trainingCase("width 256, 4 layers, 64 experts of 512", 2, { ...wide, moe: experts(64, 512) }),
]);
