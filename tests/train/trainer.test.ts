import * as tf from "@tensorflow/tfjs-core";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { nativeMemory, resetPeakBytes } from "../../toolkit/backend/memory.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { listCheckpoints, readCheckpoint, readLatestCheckpoint } from "../../toolkit/train/checkpoint.ts";
import { evaluate } from "../../toolkit/train/evaluate.ts";
import { readMetrics, type StepRecord } from "../../toolkit/train/metrics.ts";
import { AdamW } from "../../toolkit/train/optimizer.ts";
import { recipe } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

let home: string;
beforeAll(async () => { await chooseBackend(); });
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-train-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

/** Each token follows from the one before it, so a model that learns reaches a loss near 0. */
const ids = Int32Array.from({ length: 3000 }, (_, i) => (i * 7) % 23);
const data = { train: ids.subarray(0, 2600), validation: ids.subarray(2600) };
const config = transformerConfig({ vocabSize: 23, numLayers: 2, width: 16, numHeads: 2, contextLength: 12, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } });
const settings = { steps: 12, batchSize: 4, contextLength: 12, warmupSteps: 3, learningRate: 1e-2, evaluateEvery: 5, checkpointEvery: 4, keepCheckpoints: 10 };
const fresh = () => new Transformer(config, { seed: 1 });
const bitsOf = (model: Transformer) => [...model.parameters()].map(([name, weight]) => [name, Array.from(new Uint32Array(Float32Array.from(weight.dataSync()).buffer))]);

describe("training", () => {
  test("learns a sequence in which each token follows from the one before", async () => {
    const result = await train(fresh(), data, { ...settings, steps: 150 });
    expect(result.validationLossNats).toBeLessThan(0.3);
    expect(result.tokens).toBe(150 * 4 * 12);
  });

  test("the first loss is ln V, what a model that knows nothing has", async () => {
    const records: StepRecord[] = [];
    await train(fresh(), data, { ...settings, steps: 1 }, { onStep: (record) => records.push(record) });
    expect(Math.abs(records[0].lossNats - Math.log(23))).toBeLessThan(0.05);
  });

  test("two runs with the same seeds are equal bit for bit", async () => {
    const [a, b] = [fresh(), fresh()];
    await train(a, data, settings);
    await train(b, data, settings);
    expect(bitsOf(a)).toEqual(bitsOf(b));
  });

  test.each(["bfloat16", "float16"] as const)("with %s activations it learns as well and needs less memory at the peak", async (precision) => {
    const wide = { ...settings, batchSize: 32, steps: 100 };
    const peakOf = async (model: Transformer, choice: typeof precision | "float32") => {
      resetPeakBytes();
      const before = nativeMemory()?.storedBytes ?? 0;
      const { validationLossNats } = await train(model, data, { ...wide, precision: choice });
      return { validationLossNats, bytes: (nativeMemory()?.peakBytes ?? 0) - before };
    };
    const [full, narrow] = [await peakOf(fresh(), "float32"), await peakOf(fresh(), precision)];
    expect(narrow.validationLossNats).toBeLessThan(0.3);
    if (tf.getBackend() === "native") expect(narrow.bytes).toBeLessThan(0.9 * full.bytes);
  });

  test("leaves no tensors behind", async () => {
    const model = fresh();
    const before = tf.memory().numTensors;
    await train(model, data, { ...settings, steps: 3 });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("an aborted run ends after the step, with a consistent model and a checkpoint of it", async () => {
    const controller = new AbortController();
    const model = fresh(), runFolder = join(home, "run");
    const result = await train(model, data, settings, { runFolder, signal: controller.signal, onStep: ({ step }) => { if (step === 5) controller.abort(); } });
    expect(result).toMatchObject({ steps: 5, isStopped: true });
    const checkpoint = readLatestCheckpoint(join(runFolder, "checkpoints"));
    expect(checkpoint.state.step).toBe(5);
    for (const [name, weight] of model.parameters()) expect(checkpoint.weights.get(name)?.data).toEqual(Float32Array.from(weight.dataSync()));
  });

  test("in a notebook the interrupt of the cell ends the run as a signal would", async () => {
    const controller = new AbortController();
    vi.stubGlobal("cellSignal", controller.signal);
    const result = await train(fresh(), data, settings, { onStep: ({ step }) => { if (step === 5) controller.abort(); } });
    vi.unstubAllGlobals();
    expect(result).toMatchObject({ steps: 5, isStopped: true });
  });

  test("a run aborted while it evaluates ends at once, keeps its last evaluation and is saved", async () => {
    const controller = new AbortController(), runFolder = join(home, "run");
    const evaluations: number[] = [];
    const running = train(fresh(), data, { ...settings, steps: 10 }, {
      runFolder, signal: controller.signal,
      // The first turn of the event loop ends the step, the second comes between two batches of the evaluation.
      onStep: ({ step }) => { if (step === 10) setImmediate(() => { setImmediate(() => { controller.abort(); }); }); },
      onEvaluation: ({ step }) => evaluations.push(step),
    });
    const result = await running;
    expect(evaluations).toEqual([5]);
    expect(result).toMatchObject({ steps: 10, isStopped: true });
    expect(readLatestCheckpoint(join(runFolder, "checkpoints")).state.validationLossNats).toBe(result.validationLossNats);
  });

  test("a loss that is not finite stops the run before it reaches the weights", async () => {
    const model = fresh();
    model.parameters().get("layers.0.moe.experts.down")?.assign(tf.fill([4, 16, 16], Number.NaN));
    const before = model.parameters().get("layers.1.moe.experts.down")?.dataSync().slice();
    await expect(train(model, data, settings)).rejects.toMatchObject({ code: "E_LOSS_NOT_FINITE" });
    expect(model.parameters().get("layers.1.moe.experts.down")?.dataSync()).toEqual(before);
  });
});

describe("checkpoints", () => {
  test("a resumed run equals an uninterrupted one bit for bit, in weights, moments and metrics", async () => {
    const whole = fresh(), wholeFolder = join(home, "whole"), cutFolder = join(home, "cut");
    await train(whole, data, settings, { runFolder: wholeFolder });
    // The run stops at step 6, is continued from its checkpoint by a model with other weights, and goes on to the end.
    const controller = new AbortController();
    await train(fresh(), data, settings, { runFolder: cutFolder, signal: controller.signal, onStep: ({ step }) => { if (step === 6) controller.abort(); } });
    const resumed = new Transformer(config, { seed: 99 });
    await train(resumed, data, settings, { runFolder: cutFolder, ifExists: "resume" });
    expect(bitsOf(resumed)).toEqual(bitsOf(whole));
    const last = (folder: string) => readLatestCheckpoint(join(folder, "checkpoints"));
    expect(last(cutFolder).moments).toEqual(last(wholeFolder).moments);
    expect(last(cutFolder).state.cursor).toEqual(last(wholeFolder).state.cursor);
    const losses = (folder: string) => readMetrics(join(folder, "metrics.jsonl")).map((record) => [record.kind, record.step, record.kind === "step" ? record.lossNats : record.kind === "evaluation" && record.validationLossNats]);
    expect(losses(cutFolder)).toEqual(losses(wholeFolder));
  });

  test("a corrupt newest checkpoint is skipped with a warning and the one before it is used", async () => {
    const runFolder = join(home, "run");
    await train(fresh(), data, settings, { runFolder });
    const folder = join(runFolder, "checkpoints");
    const [newest, before] = listCheckpoints(folder);
    truncateSync(join(folder, newest, "model.safetensors"), 500);
    const warn = vi.fn();
    expect(readLatestCheckpoint(folder, warn).path).toBe(join(folder, before));
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("model.safetensors is cut short or changed"));
    expect(() => readCheckpoint(join(folder, newest))).toThrow(/E_FOLDER_CORRUPT/);
  });

  test("only the newest are kept", async () => {
    const runFolder = join(home, "run");
    await train(fresh(), data, { ...settings, checkpointEvery: 2, keepCheckpoints: 3 }, { runFolder });
    expect(listCheckpoints(join(runFolder, "checkpoints"))).toEqual(["step-00000012", "step-00000010", "step-00000008"]);
  });

  test("a run folder that holds a run is never trained into unless asked", async () => {
    const runFolder = join(home, "run");
    await train(fresh(), data, settings, { runFolder });
    cpSync(runFolder, join(home, "copy"), { recursive: true });
    await expect(train(fresh(), data, settings, { runFolder })).rejects.toMatchObject({ code: "E_RUN_EXISTS" });
    await train(fresh(), data, { ...settings, steps: 2 }, { runFolder, ifExists: "setAside" });
    const aside = readdirSync(home).find((name) => name.startsWith("run."));
    expect(aside && existsSync(join(home, aside, "metrics.jsonl"))).toBe(true);
    expect(readMetrics(join(runFolder, "metrics.jsonl")).filter((record) => record.kind === "step").length).toBe(2);
  });

  test("a checkpoint of another model is refused by name of the weight", async () => {
    const runFolder = join(home, "run");
    await train(fresh(), data, settings, { runFolder });
    const other = new Transformer({ ...config, width: 32, headSize: 16 });
    await expect(train(other, data, settings, { runFolder, ifExists: "resume" })).rejects.toMatchObject({ code: "E_WEIGHTS_MISMATCH" });
  });
});

describe("AdamW", () => {
  test("three updates with decay and clipping equal the published algorithm in float64", () => {
    const start = [0.5, -1, 2], gradients = [[0.3, -0.2, 0.1], [3, 4, 0], [-0.1, 0.1, 0.2]];
    const [beta1, beta2, epsilon, decay, maxNorm, rate] = [0.9, 0.95, 1e-8, 0.1, 1, 0.01];
    const weights = new Map([["w", tf.variable(tf.tensor2d([start]))]]);
    const optimizer = new AdamW(weights, { beta1, beta2, adamEpsilon: epsilon, weightDecay: decay, maxGradientNorm: maxNorm });
    const expected = [...start], m = [0, 0, 0], v = [0, 0, 0];
    gradients.forEach((gradient, index) => {
      const norm = Math.hypot(...gradient);
      const byName = new Map([["w", tf.tensor2d([gradient])]]), clipped = optimizer.clip(byName);
      expect(clipped.norm.dataSync()[0]).toBeCloseTo(norm, 5);
      optimizer.update(byName, index + 1, rate, clipped.gradientScale);
      gradient.forEach((raw, i) => {
        const g = raw * Math.min(1, maxNorm / norm);
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        expected[i] -= rate * (decay * expected[i] + m[i] / (1 - beta1 ** (index + 1)) / (Math.sqrt(v[i] / (1 - beta2 ** (index + 1))) + epsilon));
      });
    });
    Array.from(weights.get("w")?.dataSync() ?? []).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
  });

  test("gains of norms are not decayed", () => {
    const weights = new Map([["gain", tf.variable(tf.tensor1d([2]))]]);
    new AdamW(weights, recipe({ steps: 1, weightDecay: 0.5 })).update(new Map([["gain", tf.tensor1d([0])]]), 1, 0.1, tf.scalar(1));
    expect(weights.get("gain")?.dataSync()[0]).toBe(2);
  });
});

describe("evaluation", () => {
  test("counts each target once, also those of the last, partial batch", async () => {
    const { tokens, lossNats } = await evaluate(fresh(), data.validation, { batchSize: 4, contextLength: 12 });
    expect(tokens).toBe(data.validation.length - 1);
    expect(Math.abs(lossNats - Math.log(23))).toBeLessThan(0.05);
  });
});

describe("recipes that cannot be", () => {
  test.each([{ steps: 0 }, { batchSize: -1 }, { learningRate: Number.NaN }, { beta2: 1 }, { maxGradientNorm: 0 }, { seed: 0.5 }])("%j", (change) => {
    expect(() => recipe({ ...settings, ...change })).toThrow(/E_CONFIG/);
  });
  test("a row longer than the model's context", async () => {
    await expect(train(fresh(), data, { ...settings, contextLength: 13 })).rejects.toMatchObject({ code: "E_CONFIG_CONTEXT_LENGTH" });
  });
});
