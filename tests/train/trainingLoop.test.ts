import * as tf from "@tensorflow/tfjs-core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { sequentialBatches, TokenBatches, type Batch } from "../../toolkit/data/batches.ts";
import type { BatchSource } from "../../toolkit/data/batchSource.ts";
import { DataError } from "../../toolkit/errors.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { listCheckpoints, readLatestCheckpoint } from "../../toolkit/train/checkpoint.ts";
import { evaluate } from "../../toolkit/train/evaluate.ts";
import { readMetrics, type EvaluationRecord, type EventRecord, type StepRecord } from "../../toolkit/train/metrics.ts";
import type { RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

let home: string;
beforeAll(async () => { await chooseBackend(); });
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-loop-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const ids = Int32Array.from({ length: 1500 }, (_, i) => (i * 7) % 23);
const data = { train: ids.subarray(0, 1200), validation: ids.subarray(1200) };
const config = transformerConfig({ vocabSize: 23, numLayers: 2, width: 8, numHeads: 2, contextLength: 12, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 8 } });
const settings: RecipeSettings = { steps: 10, batchSize: 4, contextLength: 12, warmupSteps: 2, evaluateEvery: 100 };
const fresh = () => new Transformer(config, { seed: 1 });

describe("early stop", () => {
  const watched: RecipeSettings = { ...settings, steps: 40, learningRate: 0, evaluateEvery: 2 };

  test("ends the run after `patience` evaluations without a lower loss, and says so", async () => {
    const events: EventRecord[] = [], runFolder = join(home, "run");
    // With a learning rate of 0 no evaluation is better than the first.
    const result = await train(fresh(), data, { ...watched, earlyStop: { patience: 3, minDeltaNats: 0 } }, { runFolder, onEvent: (event) => events.push(event) });
    expect(result).toMatchObject({ steps: 8, endReason: "earlyStop", isStopped: false, best: { step: 2 } });
    expect(events).toMatchObject([{ event: "earlyStop", step: 8 }]);
    // Resumed it stays ended, and nothing is recorded twice.
    const before = readMetrics(join(runFolder, "metrics.jsonl"));
    expect(await train(fresh(), data, { ...watched, earlyStop: { patience: 3, minDeltaNats: 0 } }, { runFolder, ifExists: "resume" })).toMatchObject({ steps: 8, endReason: "earlyStop" });
    expect(readMetrics(join(runFolder, "metrics.jsonl"))).toEqual(before);
  });

  test("doesn't take a loss that is lower by less than minDeltaNats for a better one", async () => {
    const learning: RecipeSettings = { ...watched, learningRate: 1e-4, warmupSteps: 0 };
    expect((await train(fresh(), data, { ...learning, earlyStop: { patience: 3, minDeltaNats: 0 } })).endReason).toBe("done");
    expect((await train(fresh(), data, { ...learning, earlyStop: { patience: 3, minDeltaNats: 10 } })).steps).toBe(8);
  });

  test("needs validation data", async () => {
    await expect(train(fresh(), { train: data.train }, { ...watched, earlyStop: { patience: 1, minDeltaNats: 0 } })).rejects.toMatchObject({ code: "E_CONFIG_EARLY_STOP" });
  });
});

describe("evaluation sets", () => {
  test("by name are each evaluated; the first is the validation loss", async () => {
    const records: EvaluationRecord[] = [], model = fresh(), near = ids.subarray(0, 200), far = ids.subarray(200, 300);
    await train(model, { train: data.train, validation: { near, far } }, settings, { onEvaluation: (record) => records.push(record) });
    const shape = { batchSize: 4, contextLength: 12 };
    const expected = { near: (await evaluate(model, near, shape)).lossNats, far: (await evaluate(model, far, shape)).lossNats };
    expect(records).toMatchObject([{ step: 10, validationLossNats: expected.near, validationTokens: 199, sets: { near: { lossNats: expected.near, tokens: 199 }, far: { lossNats: expected.far, tokens: 99 } } }]);
  });

  test("may be batches with a loss mask: the mean is over the targets that it names", async () => {
    const model = fresh(), shape = { batchSize: 4, contextLength: 12 };
    const whole = [...sequentialBatches(data.validation, shape)];
    // Half of the targets and the other half add up to all.
    const half = (keep: number) => () => whole.map((batch) => ({ ...batch, lossMask: batch.lossMask.map((value, i) => (i % 2 === keep ? value : 0)) }));
    const [all, even, odd] = [await evaluate(model, data.validation, shape), await evaluate(model, half(0), shape), await evaluate(model, half(1), shape)];
    expect(even.tokens + odd.tokens).toBe(all.tokens);
    expect((even.lossNats * even.tokens + odd.lossNats * odd.tokens) / all.tokens).toBeCloseTo(all.lossNats, 5);
  });

  test("without any target are refused", async () => {
    const none = () => [...sequentialBatches(data.validation, { batchSize: 4, contextLength: 12 })].map((batch) => ({ ...batch, lossMask: batch.lossMask.fill(0) }));
    await expect(evaluate(fresh(), none, { batchSize: 4, contextLength: 12 })).rejects.toMatchObject({ code: "E_NO_TARGETS" });
  });
});

describe("a source of batches", () => {
  const endingAfter = (count: number): BatchSource => {
    const inner = new TokenBatches(ids, { batchSize: 4, contextLength: 12, seed: 2 });
    let left = count;
    return {
      next: async () => {
        await Promise.resolve();
        if (left === 0) throw new DataError({ code: "E_DATA_ENDED", what: "the data is used up", why: "it is given once", fix: "repeat it" });
        left -= 1;
        return inner.next();
      },
      cursor: () => inner.cursor(), restore: (cursor) => { inner.restore(cursor); },
    };
  };

  test("that ends ends the run, with a last evaluation; a step takes what is left", async () => {
    const records: StepRecord[] = [], events: EventRecord[] = [];
    const result = await train(fresh(), { train: endingAfter(5), validation: data.validation }, { ...settings, accumulationSteps: 2 }, { onStep: (record) => records.push(record), onEvent: (event) => events.push(event) });
    expect(result).toMatchObject({ steps: 3, endReason: "dataEnded" });
    expect(records.map(({ tokens }) => tokens)).toEqual([96, 192, 240]);
    expect(events).toMatchObject([{ event: "dataEnded" }]);
    expect(Number.isFinite(result.validationLossNats)).toBe(true);
  });

  test("that gives a batch of a wrong size is refused", async () => {
    const source = { ...endingAfter(5), next: (): Batch => ({ inputs: new Int32Array(48), targets: new Int32Array(47), batchSize: 4, contextLength: 12 }) };
    await expect(train(fresh(), { train: source }, settings)).rejects.toMatchObject({ code: "E_BATCH_SHAPE" });
  });

  test("may count padding: it is no training token", async () => {
    const inner = new TokenBatches(ids, { batchSize: 4, contextLength: 12, seed: 2 }), mask = Float32Array.from({ length: 48 }, (_, i) => Number(i % 12 < 9));
    const source: BatchSource = { next: () => ({ ...inner.next(), lossMask: mask, tokenMask: mask }), cursor: () => inner.cursor(), restore: () => {} };
    expect((await train(fresh(), { train: source }, settings)).tokens).toBe(10 * 36);
  });
});

describe("a resumed run", () => {
  test("that was killed before its first checkpoint begins again", async () => {
    const runFolder = join(home, "run");
    await train(fresh(), data, settings, { runFolder });
    const whole = readMetrics(join(runFolder, "metrics.jsonl")).length;
    rmSync(join(runFolder, "checkpoints"), { recursive: true });
    expect(await train(fresh(), data, settings, { runFolder, ifExists: "resume" })).toMatchObject({ steps: 10 });
    expect(readMetrics(join(runFolder, "metrics.jsonl")).length).toBe(whole);
  });

  test("records what was changed in the recipe", async () => {
    const runFolder = join(home, "run"), events: EventRecord[] = [];
    await train(fresh(), data, settings, { runFolder });
    await train(fresh(), data, { ...settings, steps: 12, weightDecay: 0.2 }, { runFolder, ifExists: "resume", onEvent: (event) => events.push(event) });
    expect(events).toMatchObject([{ event: "recipeChanged", step: 10, what: "weightDecay: 0.1 → 0.2; steps: 10 → 12" }]);
  });

  test("that was finished is left as it is", async () => {
    const runFolder = join(home, "run");
    const first = await train(fresh(), data, settings, { runFolder }), before = readMetrics(join(runFolder, "metrics.jsonl"));
    const again = await train(fresh(), data, settings, { runFolder, ifExists: "resume" });
    expect(again).toMatchObject({ steps: 10, trainLossNats: first.trainLossNats, validationLossNats: first.validationLossNats });
    expect(readMetrics(join(runFolder, "metrics.jsonl"))).toEqual(before);
  });
});

test("a run that was stopped before its last evaluation gets it when it is resumed, once", async () => {
  const runFolder = join(home, "run"), controller = new AbortController();
  await train(fresh(), data, settings, { runFolder, signal: controller.signal, onStep: ({ step }) => { if (step === 10) controller.abort(); } });
  const evaluations = () => readMetrics(join(runFolder, "metrics.jsonl")).filter(({ kind }) => kind === "evaluation").length;
  expect(evaluations()).toBe(0);
  for (let time = 0; time < 2; time++) {
    const { validationLossNats } = await train(fresh(), data, settings, { runFolder, ifExists: "resume" });
    expect(evaluations()).toBe(1);
    expect(readLatestCheckpoint(join(runFolder, "checkpoints")).state).toMatchObject({ step: 10, validationLossNats });
  }
});

describe("callbacks and records", () => {
  test("onCheckpoint tells each checkpoint as it lies there, onEnd the result", async () => {
    const runFolder = join(home, "run"), checkpoints: number[] = [];
    let ended: unknown;
    const result = await train(fresh(), data, { ...settings, checkpointEvery: 4, keepBest: false }, {
      runFolder, onCheckpoint: ({ step, path }) => { expect(listCheckpoints(join(path, ".."))[0]).toContain(String(step)); checkpoints.push(step); }, onEnd: (last) => { ended = last; },
    });
    expect(checkpoints).toEqual([4, 8, 10]);
    expect(ended).toBe(result);
  });

  test("onEnd comes after an error too", async () => {
    let ends = 0;
    await expect(train(fresh(), data, settings, { onStep: () => { throw new Error("mine"); }, onEnd: () => { ends += 1; } })).rejects.toThrow("mine");
    expect(ends).toBe(1);
  });

  test("a step's record has loss against tokens, FLOPs and seconds, and each layer's routing", async () => {
    const records: StepRecord[] = [];
    await train(fresh(), data, { ...settings, routerEntropyEvery: 5 }, { onStep: (record) => records.push(record) });
    const { trainingFlopsPerToken } = modelSize(config);
    records.forEach(({ step, tokens, flops, routers, expertLoad, maxVio }) => {
      expect(tokens).toBe(step * 48);
      expect(flops).toBe(tokens * trainingFlopsPerToken);
      expect(routers.map(({ layer }) => layer)).toEqual([0, 1]);
      // (max − mean) / mean over the shares of 4 experts, whose mean is 1/4.
      routers.forEach((router, row) => expect(router.maxVio).toBeCloseTo((Math.max(...expertLoad[row]) - 0.25) / 0.25, 10));
      expect(maxVio).toBeCloseTo((routers[0].maxVio + routers[1].maxVio) / 2, 10);
      for (const { tokenEntropy } of routers) {
        // Fresh routers are undecided.
        if (step % 5 === 0) expect(tokenEntropy).toBeGreaterThan(0.9);
        else expect(tokenEntropy).toBeUndefined();
        expect(tokenEntropy ?? 0).toBeLessThanOrEqual(1 + 1e-6);
      }
    });
    expect(records.every(({ routers }) => routers.every(({ dropRate }) => dropRate === undefined))).toBe(true);
    expect(records.every(({ seconds }, i) => seconds > (records[i - 1]?.seconds ?? 0))).toBe(true);
  });

  test("with capacity a step's record has the share of choices that were dropped", async () => {
    const records: StepRecord[] = [];
    const limited = transformerConfig({ ...config, moe: { ...config.moe, capacity: { kind: "factor", factor: 0.5 } } });
    await train(new Transformer(limited, { seed: 1 }), data, settings, { onStep: (record) => records.push(record) });
    // An expert takes ceil(48 tokens · 2 choices · 0.5 / 4 experts) = 12 of the 96 choices, so at least half are dropped.
    for (const { routers, expertLoad } of records) {
      routers.forEach(({ dropRate }, row) => expect(dropRate).toBeCloseTo(1 - expertLoad[row].reduce((sum, share) => sum + Math.min(12, Math.round(96 * share)), 0) / 96, 10));
    }
  });

  test("a dense model is trained too; its records have no routing", async () => {
    const records: StepRecord[] = [], dense = transformerConfig({ vocabSize: 23, numLayers: 2, width: 8, numHeads: 2, contextLength: 12, denseWidth: 16 });
    await train(new Transformer(dense, { seed: 1 }), data, settings, { onStep: (record) => records.push(record) });
    expect(records.at(-1)).toMatchObject({ step: 10, expertLoad: [], routers: [], maxVio: 0, balanceLoss: 0 });
    expect(records[9].lossNats).toBeLessThan(records[0].lossNats);
  });

  test("a batch that the model refuses in the middle of a step leaves no gradients of the others behind", async () => {
    const leftBehind = async (refused: number) => {
      const inner = new TokenBatches(ids, { batchSize: 4, contextLength: 12, seed: 2 }), model = fresh(), before = tf.memory().numTensors;
      let taken = 0;
      const source: BatchSource = { next: () => { taken += 1; return { ...inner.next(), ...(taken === refused && { inputs: new Int32Array(48).fill(23) }) }; }, cursor: () => inner.cursor(), restore: () => {} };
      await expect(train(model, { train: source }, { ...settings, accumulationSteps: 2 })).rejects.toMatchObject({ code: "E_INDEX_RANGE" });
      return tf.memory().numTensors - before;
    };
    // tfjs itself keeps what it saved for a backward pass that never came: the same whichever batch it is.
    expect(await leftBehind(4)).toBe(await leftBehind(1));
  });
});
