import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, test } from "vitest";
import "../../toolkit/backend/register.ts";
import { NativeBackend } from "../../toolkit/backend/storage.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { MoeSettings } from "../../toolkit/moe/config.ts";
import type { StepRecord } from "../../toolkit/train/metrics.ts";
import type { RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";
import { cudaBinding } from "../../toolkit/backend/binding.ts";
import type { DeviceCounters } from "../../toolkit/backend/deviceFunctions.ts";
import { fakeDevice, useDevice } from "../backend/fakeDevice.ts";

/** MOE_LAB_CUDA_ADDON: a GPU's addon, or the emulated one, takes the place of the host's kernels on memory apart. */
const isReal = process.env.MOE_LAB_CUDA_ADDON !== undefined;
if (isReal) cudaBinding().openDevice(0);

let device: ReturnType<typeof fakeDevice>;
let before: DeviceCounters;
beforeEach(async () => {
  device = fakeDevice();
  const used = isReal ? cudaBinding() : device;
  await useDevice(used);
  before = used.deviceCounters();
});

/** Since the test began. */
function waits(): Pick<DeviceCounters, "downloads" | "synchronizations"> {
  const now = (isReal ? cudaBinding() : device).deviceCounters();
  return { downloads: now.downloads - before.downloads, synchronizations: now.synchronizations - before.synchronizations };
}

const V = 23, ids = Int32Array.from({ length: 3000 }, (_, i) => (i * 7 + i * i) % V);

function modelWith(moe: Partial<MoeSettings>): Transformer {
  return new Transformer(transformerConfig({
    vocabSize: V, numLayers: 2, width: 16, numHeads: 4, numKeyValueHeads: 2, contextLength: 12,
    moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16, ...moe },
  }), { seed: 1 });
}

/** Trains some steps; what is done to the model happens before each record. */
async function steps(moe: Partial<MoeSettings>, recipe: Partial<RecipeSettings> = {}, onStep?: (record: StepRecord) => void): Promise<{ records: StepRecord[]; weights: Float32Array[] }> {
  const model = modelWith(moe), records: StepRecord[] = [];
  await train(model, { train: ids }, { steps: 4, batchSize: 4, contextLength: 12, warmupSteps: 1, learningRate: 1e-2, routerEntropyEvery: 2, ...recipe }, {
    onStep: (record) => { records.push(record); onStep?.(record); },
  });
  const weights = [...model.state().values()].map((weight) => Float32Array.from(weight.dataSync()));
  model.dispose();
  return { records, weights };
}

const paths: [string, Partial<MoeSettings>, Partial<RecipeSettings>?][] = [
  ["the K most probable experts, dropless, with balance loss and z-loss", { balanceLossWeight: 0.01, zLossWeight: 1e-3 }],
  ["sigmoid scores with a bias in place of a loss, in groups", { numExperts: 8, router: { kind: "sigmoid", renormalize: true, groupLimit: { numGroups: 4, groupsPerToken: 2 } }, sequenceBalanceLossWeight: 1e-3 }],
  ["noise on the scores", { router: { kind: "noisyTopK" } }],
  ["one expert a token, with jitter and a dropped expert", { expertsPerToken: 1, router: { kind: "switch" }, capacity: { kind: "dropless" }, expertDropout: 0.3 }],
  ["shared experts and a dense layer's kind", { sharedExperts: { count: 1 }, experts: { kind: "geglu" } }],
  ["several micro-batches and narrow activations", { balanceLossWeight: 0.01 }, { accumulationSteps: 2, precision: "bfloat16" }],
  ["norms of each weight, and a monitor that holds updates back", {}, { monitor: { gradientNormsEvery: 1, onSpike: "skipStep", onNotFinite: "skipStep" } }],
];

describe("a step on a device", () => {
  test.each(paths)("waits for nothing until its measures are read: %s", async (_, moe, recipe) => {
    const seen: ReturnType<typeof waits>[] = [];
    await steps(moe, recipe, () => { seen.push(waits()); });
    // Two downloads a step, both beside JavaScript's thread: the measures and the norms.
    expect(seen.map(({ downloads }) => downloads)).toEqual([2, 4, 6, 8]);
    expect(seen.map(({ synchronizations }) => synchronizations)).toEqual([0, 0, 0, 0]);
  });

  test.skipIf(isReal).each(paths)("gives the bits of the host: %s", async (_, moe, recipe) => {
    const got = await steps(moe, recipe);
    tf.removeBackend("native");
    tf.registerBackend("native", () => new NativeBackend(), 10);
    await tf.setBackend("native");
    const wanted = await steps(moe, recipe);
    expect(got.weights).toEqual(wanted.weights);
    const measured = ({ lossNats, balanceLoss, zLoss, gradientNorm, expertLoad, routers }: StepRecord) => ({ lossNats, balanceLoss, zLoss, gradientNorm, expertLoad, routers });
    expect(got.records.map(measured)).toEqual(wanted.records.map(measured));
  });

  test.skipIf(isReal)("leaves no memory behind", async () => {
    const numArrays: number[] = [];
    await steps({ balanceLossWeight: 0.01 }, { steps: 6 }, () => { numArrays.push(device.numArrays); });
    expect(new Set(numArrays.slice(2)).size).toBe(1);
  });
});
