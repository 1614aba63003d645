/** Training steps of whole models: forward, backward, clipping and AdamW. `npm run bench -- train` */
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { train } from "../../toolkit/train/trainer.ts";
import { report } from "./report.ts";

const warmUpSteps = 3, steps = 15;

const models: [string, TransformerSettings, number][] = [
  ["quickstart (width 128, 4 layers)", {
    vocabSize: 1024, numLayers: 4, width: 128, numHeads: 4, contextLength: 128, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 256 } }, 8],
  ["tiny (width 64, 2 layers)", {
    vocabSize: 512, numLayers: 2, width: 64, numHeads: 4, contextLength: 64, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 128 } }, 8],
  ["width 256, 4 layers", {
    vocabSize: 512, numLayers: 4, width: 256, numHeads: 8, contextLength: 256, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 512 } }, 8],
  ["width 256, 4 layers, 64 experts", {
    vocabSize: 512, numLayers: 4, width: 256, numHeads: 8, contextLength: 256, moe: { numExperts: 64, expertsPerToken: 2, expertWidth: 512 } }, 8],
];

const backend = await chooseBackend();
report("train", `threads of ${backend.name} (${backend.reason})`, "threads", [backend.threads]);
for (const [name, settings, batchSize] of models) {
  const config = transformerConfig(settings), model = new Transformer(config);
  const random = new RandomSource(1), { contextLength, vocabSize } = config;
  const ids = Int32Array.from({ length: 100_000 }, () => random.nextInt(vocabSize));
  const stepMs: number[] = [];
  await train(model, { train: ids, validation: ids.subarray(0, 2 * contextLength) }, { steps: warmUpSteps + steps, batchSize, contextLength }, {
    onStep: ({ step, tokensPerSecond }) => { if (step > warmUpSteps) stepMs.push((1000 * batchSize * contextLength) / tokensPerSecond); },
  });
  const tokens = batchSize * contextLength;
  report("train", `${name}, ${batchSize} × ${contextLength} tokens, step`, "ms", stepMs);
  report("train", `${name}, rate`, "tokens/s", stepMs.map((ms) => (1000 * tokens) / ms));
  report("train", `${name}, useful work`, "GFLOP/s", stepMs.map((ms) => (tokens * modelSize(config).trainingFlopsPerToken) / ms / 1e6));
  model.dispose();
}
