/** Memory and time of a forward and backward pass whose activations are kept in each storage. `npm run bench -- precision` */
import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { floatStorages, type FloatStorage } from "../../toolkit/backend/floatStorage.ts";
import { nativeMemory, resetPeakBytes } from "../../toolkit/backend/memory.ts";
import { transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { crossEntropy } from "../../toolkit/ops/crossEntropy.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { report } from "./report.ts";

const warmUpPasses = 3, passes = 15, batchSize = 8;

const models: [string, TransformerSettings][] = [
  ["quickstart (width 128, 4 layers)", {
    vocabSize: 1024, numLayers: 4, width: 128, numHeads: 4, contextLength: 128, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 256 } }],
  ["width 256, 4 layers", {
    vocabSize: 512, numLayers: 4, width: 256, numHeads: 8, contextLength: 256, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 512 } }],
];

/** What one pass took. */
interface Pass {
  readonly ms: number;
  /** held between the forward and the backward pass, beyond what was there before */
  readonly activationBytes: number;
  /** most that was held at once, beyond what was there before */
  readonly peakBytes: number;
}

function memory(): { storedBytes: number; peakBytes: number } {
  const figures = nativeMemory();
  if (figures === undefined) throw new Error("only the native backend has narrow storage");
  return figures;
}

function pass(model: Transformer, ids: tf.Tensor2D, targets: tf.Tensor1D, storage: FloatStorage): Pass {
  const before = memory().storedBytes;
  let afterForward = before;
  resetPeakBytes();
  const startedMs = performance.now();
  const { value, grads } = tf.variableGrads(() => {
    const loss = crossEntropy(withActivationStorage(storage, () => model.forward(ids)).logits, targets);
    afterForward = memory().storedBytes;
    return loss;
  }, [...model.parameters().values()]);
  const ms = performance.now() - startedMs;
  tf.dispose([value, grads]);
  return { ms, activationBytes: afterForward - before, peakBytes: memory().peakBytes - before };
}

await chooseBackend("native");
for (const [name, settings] of models) {
  const config = transformerConfig(settings), model = new Transformer(config);
  const random = new RandomSource(1), N = batchSize * config.contextLength;
  const tokens = (): Int32Array => Int32Array.from({ length: N }, () => random.nextInt(config.vocabSize));
  const ids = tf.tensor2d(tokens(), [batchSize, config.contextLength], "int32"), targets = tf.tensor1d(tokens(), "int32");
  const results = new Map<FloatStorage, Pass[]>(floatStorages.map((storage) => [storage, []]));
  // In turns, so that all storages meet the same machine.
  for (let i = 0; i < warmUpPasses + passes; i += 1)
    for (const [storage, done] of results) {
      const result = pass(model, ids, targets, storage);
      if (i >= warmUpPasses) done.push(result);
    }
  const wide = results.get("float32") ?? [];
  for (const [storage, done] of results) {
    const label = `${name}, ${N} tokens, activations in ${storage}`;
    report("precision", `${label}, kept for the backward pass`, "MB", done.map(({ activationBytes }) => activationBytes / 1e6));
    report("precision", `${label}, peak beyond the weights`, "MB", done.map(({ peakBytes }) => peakBytes / 1e6));
    report("precision", `${label}, forward and backward`, "ms", done.map(({ ms }) => ms));
    if (storage !== "float32") report("precision", `${label}, time of that in float32 in the same turn`, "times", done.map(({ ms }, i) => ms / wide[i].ms));
  }
  tf.dispose([ids, targets]);
  model.dispose();
}
