import * as tf from "@tensorflow/tfjs-core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { TokenBatches, type Batch, type DataCursor } from "../../toolkit/data/batches.ts";
import type { BatchSource } from "../../toolkit/data/batchSource.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { GradientMonitor, monitorConfig } from "../../toolkit/train/gradientMonitor.ts";
import { readMetrics, withoutUndone, type EventRecord, type StepRecord } from "../../toolkit/train/metrics.ts";
import type { RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

let home: string;
beforeAll(async () => { await chooseBackend(); });
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-monitor-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const V = 23, ids = Int32Array.from({ length: 3000 }, (_, i) => (i * 7) % V);
const config = transformerConfig({ vocabSize: V, numLayers: 2, width: 16, numHeads: 2, contextLength: 12, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } });
const settings: RecipeSettings = { steps: 20, batchSize: 4, contextLength: 12, warmupSteps: 2, learningRate: 2e-2, evaluateEvery: 100, checkpointEvery: 4, schedule: { kind: "constant" } };
const bitsOf = (model: Transformer) => [...model.parameters().values()].map((weight) => Array.from(new Uint32Array(Float32Array.from(weight.dataSync()).buffer)));

/** A source whose n-th batch (from 1) is changed on its way. */
function changed(change: (batch: Batch, n: number) => Batch): BatchSource & { taken(): number } {
  const inner = new TokenBatches(ids, { batchSize: 4, contextLength: 12, seed: 2 });
  let taken = 0;
  return {
    next: () => { taken += 1; return change(inner.next(), taken); },
    cursor: () => ({ taken, inner: inner.cursor() }),
    restore: (cursor) => { ({ taken } = cursor as { taken: number }); inner.restore((cursor as { inner: DataCursor }).inner); },
    taken: () => taken,
  };
}

/** Noise in place of what follows: a model that has learnt the sequence is wrong about all of it. */
const noise = (batch: Batch): Batch => ({ ...batch, targets: batch.targets.map((id, i) => (id + 1 + ((i * i) % (V - 2))) % V) });
/** A target that counts NaN times: the mean is NaN. */
const notANumber = (batch: Batch): Batch => ({ ...batch, lossMask: Float32Array.from(batch.targets, (_, i) => (i === 0 ? Number.NaN : 1)) });

const spiky: RecipeSettings["monitor"] = { spikeWindow: 8, lossSpikeFactor: 1.3, gradientSpikeFactor: 1e6 };

interface Seen { events: EventRecord[]; steps: StepRecord[] }
async function run(source: BatchSource, monitor: RecipeSettings["monitor"], model = new Transformer(config, { seed: 1 }), runFolder?: string): Promise<Seen & { model: Transformer; tokens: number }> {
  const seen: Seen = { events: [], steps: [] };
  const { tokens } = await train(model, { train: source }, { ...settings, monitor }, { runFolder, onStep: (record) => seen.steps.push(record), onEvent: (record) => seen.events.push(record) });
  return { ...seen, model, tokens };
}

describe("a batch whose loss is not a number", () => {
  const source = () => changed((batch, n) => (n === 7 ? notANumber(batch) : batch));

  test("stops the run by default, before the weights are touched", async () => {
    const model = new Transformer(config, { seed: 1 }), before = new Transformer(config, { seed: 1 });
    await train(before, { train: changed((batch) => batch) }, { ...settings, steps: 6 });
    await expect(run(source(), {}, model)).rejects.toMatchObject({ code: "E_LOSS_NOT_FINITE" });
    expect(bitsOf(model)).toEqual(bitsOf(before));
  });

  test("is skipped where the policy says so: the run equals one on data without it, up to the number of updates", async () => {
    const { events, steps, model } = await run(source(), { onNotFinite: "skipStep" });
    expect(events).toMatchObject([{ event: "lossNotFinite", action: "skipStep", step: 7, value: null }]);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    const clean = changed((batch) => batch), without: BatchSource = { ...clean, next: () => { if (clean.taken() === 6) void clean.next(); return clean.next(); } };
    const other = new Transformer(config, { seed: 1 });
    await train(other, { train: without }, { ...settings, steps: 19 });
    expect(bitsOf(model)).toEqual(bitsOf(other));
  });

  test("is rolled back to the last checkpoint where the policy says so, and not met again", async () => {
    const runFolder = join(home, "run");
    const bad = source(), { events, steps, tokens } = await run(bad, { onNotFinite: "rollBack" }, undefined, runFolder);
    expect(events).toMatchObject([{ event: "lossNotFinite", action: "rollBack", step: 7, toStep: 4 }]);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    // Steps 5, 6 and the bad 7 were spent for nothing: the counters say what was spent.
    expect(bad.taken()).toBe(23);
    expect(tokens).toBe(23 * 48);
    const records = readMetrics(join(runFolder, "metrics.jsonl"));
    expect(records.filter(({ kind }) => kind === "event").length).toBe(1);
    expect(withoutUndone(records).filter(({ kind }) => kind === "step").map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("stays in the records when the run is stopped after the roll-back and resumed", async () => {
    const runFolder = join(home, "run"), wholeFolder = join(home, "whole"), controller = new AbortController();
    const recipe: RecipeSettings = { ...settings, monitor: { onNotFinite: "rollBack" } };
    await train(new Transformer(config, { seed: 1 }), { train: source() }, recipe, { runFolder: wholeFolder });
    let made = 0;
    // The seventh step that is made is the fifth anew, behind the roll-back in step 7.
    await train(new Transformer(config, { seed: 1 }), { train: source() }, recipe, { runFolder, signal: controller.signal, onStep: () => { made += 1; if (made === 7) controller.abort(); } });
    await train(new Transformer(config, { seed: 9 }), { train: source() }, recipe, { runFolder, ifExists: "resume" });
    const kinds = (folder: string) => readMetrics(join(folder, "metrics.jsonl")).map(({ kind, step }) => [kind, step]);
    expect(kinds(runFolder)).toEqual(kinds(wholeFolder));
  });

  test("is rolled back to the beginning before there was a checkpoint", async () => {
    const { events } = await run(changed((batch, n) => (n === 2 ? notANumber(batch) : batch)), { onNotFinite: "rollBack" }, undefined, join(home, "run"));
    expect(events).toMatchObject([{ step: 2, toStep: 0 }]);
  });

  test("stops a run that met too many", async () => {
    const always = changed((batch, n) => (n > 5 ? notANumber(batch) : batch));
    await expect(run(always, { onNotFinite: "rollBack", maxInterventions: 3 }, undefined, join(home, "run"))).rejects.toMatchObject({ code: "E_TRAINING_UNSTABLE" });
    expect(readMetrics(join(home, "run", "metrics.jsonl")).filter(({ kind }) => kind === "event")).toMatchObject([{ action: "rollBack" }, { action: "rollBack" }, { action: "rollBack" }, { action: "stop" }]);
  });

  test("can't be rolled back without a run folder", async () => {
    await expect(run(source(), { onNotFinite: "rollBack" })).rejects.toMatchObject({ code: "E_CONFIG_ROLL_BACK" });
  });
});

describe("gradients that are not finite", () => {
  test("stop the run and name the first weight", () => {
    const monitor = new GradientMonitor(monitorConfig({}));
    const gradients = new Map([["a", tf.tensor1d([1, 2])], ["b", tf.tensor1d([1, Infinity])], ["c", tf.tensor1d([Number.NaN])]]);
    expect(monitor.judgeGradients(Number.NaN, gradients)).toMatchObject({ event: "gradientNotFinite", action: "stop", weight: "b" });
  });

  test("under a loss that is finite are found before the update", async () => {
    const model = new Transformer(config, { seed: 1 }), before = bitsOf(model);
    // The mean over weights this small is finite, and the factor 1 / Σ weights of its gradient is not.
    const tiny = changed((batch) => ({ ...batch, lossMask: new Float32Array(48).fill(1e-42) }));
    await expect(run(tiny, {}, model)).rejects.toMatchObject({ code: "E_GRADIENT_NOT_FINITE", what: expect.stringContaining("the gradient of embedding holds NaN or infinite values") as string });
    expect(bitsOf(model)).toEqual(before);
  });
});

describe("a spike of the loss", () => {
  const source = () => changed((batch, n) => (n === 15 ? noise(batch) : batch));

  test("is recorded and the step made, by default", async () => {
    const { events, steps } = await run(source(), spiky);
    expect(events).toMatchObject([{ event: "lossSpike", action: "record", step: 15 }]);
    expect(events[0].value).toBe(steps[14].lossNats);
    // 1.3 times the 0.9-quantile of the 8 steps before it, by nearest rank the largest.
    expect(events[0].threshold).toBeCloseTo(1.3 * Math.max(...steps.slice(6, 14).map(({ lossNats }) => lossNats)), 12);
  });

  test.each(["skipStep", "rollBack"] as const)("is answered by the policy %s", async (onSpike) => {
    const { events } = await run(source(), { ...spiky, onSpike }, undefined, join(home, "run"));
    expect(events).toMatchObject([{ event: "lossSpike", action: onSpike, step: 15, ...(onSpike === "rollBack" && { toStep: 12 }) }]);
  });

  test("stops the run where the policy says so", async () => {
    await expect(run(source(), { ...spiky, onSpike: "stop" })).rejects.toMatchObject({ code: "E_LOSS_SPIKE" });
  });
});

test("a spike of the gradient norm is judged against the running quantile, once a quarter of the window is known", () => {
  const monitor = new GradientMonitor(monitorConfig({ onSpike: "skipStep", spikeWindow: 8, spikeQuantile: 0.5, gradientSpikeFactor: 3 }));
  const judge = (norm: number) => monitor.judgeGradients(norm, new Map())?.event;
  expect([9, 1, 2, 3].map(judge)).toEqual([undefined, undefined, undefined, undefined]);
  // The median of 1, 2, 3, 9 by nearest rank is 2; a skipped value does not join them.
  expect([6.1, 6.1, 5.9].map(judge)).toEqual(["gradientSpike", "gradientSpike", undefined]);
});

describe("dead layers", () => {
  const monitor = () => new GradientMonitor(monitorConfig({ gradientNormsEvery: 2, deadSteps: 4 }));
  const one = new Map([["a", 5], ["dead", 0]]);
  const counts = (...assignments: number[]) => [{ layer: 0, counts: Float64Array.from(assignments) }];

  test("are found once, after deadSteps without a gradient, and norms are measured in every n-th step only", () => {
    const watching = monitor();
    const found = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((step) => watching.measure(step, one.keys(), one, []));
    expect(found.map((measured) => measured?.norms)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((step) => (step % 2 === 0 ? { a: 5, dead: 0 } : undefined)));
    expect(found.flatMap((measured) => measured?.findings ?? [])).toMatchObject([{ event: "deadLayer", weight: "dead", what: "dead got no gradient in steps 2 to 6" }]);
  });

  test("a weight that the loss doesn't depend on is dead too", () => {
    const watching = monitor();
    const found = [2, 4, 6].flatMap((step) => watching.measure(step, ["gone"], one, [])?.findings ?? []);
    expect(found).toMatchObject([{ weight: "gone" }]);
  });

  test("experts that got no tokens are not dead", () => {
    const watching = monitor(), weights = ["layers.0.moe.experts.down", "layers.1.moe.experts.down"];
    const found = [2, 4, 6, 8].flatMap((step) => watching.measure(step, weights, one, counts(5, 0, 3))?.findings ?? []);
    expect(found.map(({ weight }) => weight)).toEqual(["layers.1.moe.experts.down"]);
  });

  test("a gradient that comes back ends the count", () => {
    const watching = monitor(), gone = new Map<string, number>();
    const found = [2, 4].map(() => gone).concat([one]).concat([gone, gone]).flatMap((gradients, i) => watching.measure(2 * (i + 1), ["a"], gradients, [])?.findings ?? []);
    expect(found).toEqual([]);
  });

  test("norms of each weight's gradient are recorded when asked for, and give the global norm", async () => {
    const { steps } = await run(changed((batch) => batch), { gradientNormsEvery: 5 });
    expect(steps.map((record) => record.gradientNorms !== undefined)).toEqual(steps.map(({ step }) => step % 5 === 0));
    expect(Math.hypot(...Object.values(steps[4].gradientNorms ?? {}))).toBeCloseTo(steps[4].gradientNorm, 6);
  });
});

describe("monitors that cannot be", () => {
  test.each([[{ onNotFinite: "record" }, "E_CONFIG_POLICY"], [{ onSpike: "skip" }, "E_CONFIG_POLICY"], [{ lossSpikeFactor: 1 }, "E_CONFIG_POSITIVE"], [{ spikeQuantile: 2 }, "E_CONFIG_WEIGHT"], [{ spikeWindows: 4 }, "E_CONFIG_UNKNOWN"]])("%j", (monitor, code) => {
    expect(() => monitorConfig(monitor as RecipeSettings["monitor"] & object)).toThrow(expect.objectContaining({ code }));
  });
});
