import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { TokenBatches, type Batch } from "../../toolkit/data/batches.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import type { MoeSettings } from "../../toolkit/moe/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { RandomSource } from "../../toolkit/random.ts";
import type { StepRecord } from "../../toolkit/train/metrics.ts";
import { launchStep } from "../../toolkit/train/stepGradients.ts";
import { train } from "../../toolkit/train/trainer.ts";

beforeAll(async () => { await chooseBackend(); });

const T = 12, ids = Int32Array.from({ length: 3000 }, (_, i) => (i * i * 3 + i * 7) % 23);
const configWith = (moe: Partial<MoeSettings>) =>
  transformerConfig({ vocabSize: 23, numLayers: 2, width: 16, numHeads: 2, contextLength: T, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16, balanceLossWeight: 0, zLossWeight: 0, ...moe } });

/** Rows from to to of a batch, as a batch. */
function rows(batch: Batch, from: number, to: number): Batch {
  const part = <A extends Int32Array | Float32Array>(values: A): A => values.slice(from * T, to * T) as A;
  return {
    batchSize: to - from, contextLength: T, inputs: part(batch.inputs), targets: part(batch.targets),
    ...(batch.lossMask && { lossMask: part(batch.lossMask) }), ...(batch.tokenMask && { tokenMask: part(batch.tokenMask) }),
  };
}

async function gradientsOf(model: Transformer, batches: readonly Batch[]) {
  const launched = launchStep(model, batches, model.parameters(), { precision: "float32", seed: 1, randomStream: 0, withEntropy: true });
  const measured = { ...await launched.read(), tokens: launched.tokens };
  launched.lossNats.dispose();
  const gradients = new Map([...launched.gradients].map(([name, gradient]) => [name, Float32Array.from(gradient.dataSync())]));
  for (const gradient of launched.gradients.values()) gradient.dispose();
  return { ...measured, gradients };
}

/** Largest difference, relative to the largest value of its weight. */
function difference(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): number {
  return Math.max(...[...a].map(([name, values]) => {
    const other = b.get(name) ?? new Float32Array(0), largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    return values.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]) / largest), 0);
  }));
}

describe("gradients of micro-batches", () => {
  const batch = new TokenBatches(ids, { batchSize: 8, contextLength: T, seed: 3 }).next();

  test("add up to those of the whole batch, with z-loss and the balance loss within rows", async () => {
    const model = new Transformer(configWith({ zLossWeight: 0.5, sequenceBalanceLossWeight: 0.5 }), { seed: 1 });
    const whole = await gradientsOf(model, [batch]);
    const parts = await gradientsOf(model, [rows(batch, 0, 1), rows(batch, 1, 5), rows(batch, 5, 8)]);
    expect(difference(whole.gradients, parts.gradients)).toBeLessThan(2e-5);
    expect(parts.lossNats).toBeCloseTo(whole.lossNats, 5);
    expect(parts.zLoss).toBeCloseTo(whole.zLoss, 4);
    expect(parts.sequenceBalanceLoss).toBeCloseTo(whole.sequenceBalanceLoss ?? Number.NaN, 5);
    expect(parts.tokens).toBe(8 * T);
    expect(parts.expertCounts).toEqual(whole.expertCounts);
    parts.tokenEntropy?.forEach((entropy, layer) => expect(entropy).toBeCloseTo(whole.tokenEntropy?.[layer] ?? Number.NaN, 5));
  });

  test("add up to those of the whole batch when some have few targets that count, or few tokens", async () => {
    const random = new RandomSource(4);
    // The first row counts in one place, others in about half; rows end in padding of their own length.
    const tokenMask = Float32Array.from({ length: 8 * T }, (_, i) => Number(i % T < T - Math.floor(i / T)));
    const lossMask = tokenMask.map((value, i) => value * (i < T ? Number(i === 5) : Number(random.next() < 0.5)));
    const masked = { ...batch, lossMask, tokenMask };
    const model = new Transformer(configWith({ zLossWeight: 0.5 }), { seed: 1 });
    const whole = await gradientsOf(model, [masked]);
    const parts = await gradientsOf(model, [rows(masked, 0, 1), rows(masked, 1, 4), rows(masked, 4, 8)]);
    expect(difference(whole.gradients, parts.gradients)).toBeLessThan(2e-5);
    expect(parts.lossNats).toBeCloseTo(whole.lossNats, 5);
    expect(parts.zLoss).toBeCloseTo(whole.zLoss, 4);
    expect(parts.tokens).toBe(tokenMask.reduce((sum, value) => sum + value, 0));
    // Padding reaches no expert.
    expect(parts.expertCounts.map(({ counts }) => counts.reduce((sum, count) => sum + count, 0))).toEqual([2 * parts.tokens, 2 * parts.tokens]);
  });

  test("leave out what holds nothing but padding", async () => {
    const padding = { ...rows(batch, 0, 1), lossMask: new Float32Array(T), tokenMask: new Float32Array(T) };
    const model = new Transformer(configWith({ balanceLossWeight: 0.1, zLossWeight: 0.5 }), { seed: 1 });
    const [alone, beside] = [await gradientsOf(model, [batch]), await gradientsOf(model, [batch, padding])];
    expect(difference(alone.gradients, beside.gradients)).toBeLessThan(2e-5);
    expect(beside).toMatchObject({ lossNats: alone.lossNats, zLoss: alone.zLoss, tokens: alone.tokens });
  });

  test("read the load of all micro-batches so far in the balance loss of global scope, and their own in that of local scope", async () => {
    const balanceOf = async (balanceScope: "global" | "local", batches: readonly Batch[]) => (await gradientsOf(new Transformer(configWith({ balanceLossWeight: 0.1, balanceScope }), { seed: 1 }), batches)).balanceLoss;
    const [first, second] = [rows(batch, 0, 4), rows(batch, 4, 8)];
    const [ofFirst, ofSecond] = [await balanceOf("local", [first]), await balanceOf("local", [second])];
    expect(await balanceOf("local", [first, second])).toBeCloseTo((ofFirst + ofSecond) / 2, 6);
    // Of equal micro-batches the loads so far are those of each: both scopes are one.
    expect(await balanceOf("global", [first, first])).toBeCloseTo(ofFirst, 6);
    expect(await balanceOf("global", [first, second])).not.toBeCloseTo((ofFirst + ofSecond) / 2, 6);
  });

  test("draw noise of their own, the same when the step is made again", async () => {
    const model = new Transformer(configWith({ router: { kind: "noisyTopK" } }), { seed: 1 });
    const row = rows(batch, 0, 4);
    const [once, again, twice] = [await gradientsOf(model, [row]), await gradientsOf(model, [row]), await gradientsOf(model, [row, row])];
    expect(again.gradients).toEqual(once.gradients);
    // Had both drawn the same, their mean would be that of one.
    expect(difference(once.gradients, twice.gradients)).toBeGreaterThan(1e-3);
  });
});

describe("a run with accumulation", () => {
  test("takes accumulationSteps batches a step, in the order of the data, and counts their tokens", async () => {
    const inner = new TokenBatches(ids, { batchSize: 2, contextLength: T, seed: 3 }), taken: Batch[] = [], records: StepRecord[] = [];
    const source = { next: () => { taken.push(inner.next()); return taken[taken.length - 1]; }, cursor: () => inner.cursor(), restore: () => {} };
    await train(new Transformer(configWith({ balanceLossWeight: 0.01 }), { seed: 1 }), { train: source }, { steps: 3, contextLength: T, accumulationSteps: 4 }, { onStep: (record) => records.push(record) });
    expect(taken.length).toBe(12);
    expect(records.map(({ tokens }) => tokens)).toEqual([96, 192, 288]);
  });
});
