import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../toolkit/data/batches.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { routerLosses, sequenceBalanceLoss } from "../../toolkit/moe/balance.ts";
import type { MoeSettings } from "../../toolkit/moe/config.ts";
import type { Routing } from "../../toolkit/moe/router.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { batchLoss, type BatchLossOptions } from "../../toolkit/train/loss.ts";
import { backends } from "../ops/backends.ts";
import { softmax, sum } from "./plainRouters.ts";
import { distance, randomRows, toRows } from "./routerBench.ts";

const value = (loss: tf.Scalar | undefined): number => loss?.dataSync()[0] ?? Number.NaN;
const off = { balanceLossWeight: 0, balanceScope: "global", sequenceBalanceLossWeight: 0, zLossWeight: 0 } as const;

function routingOf(ids: number[][], logits: number[][]): Routing {
  const idTensor = tf.tensor2d(ids, undefined, "int32"), scores = tf.tensor2d(logits);
  return { ids: idTensor, assigned: idTensor, weights: tf.ones([ids.length, ids[0].length]), logits: scores, probabilities: tf.softmax(scores) };
}

/** E · Σ f·P from the definition. */
function plainBalance(ids: number[][], probabilities: number[][], counted: (n: number) => boolean, earlier: ArrayLike<number> = []): number {
  const E = probabilities[0].length, rows = probabilities.filter((_, n) => counted(n));
  const counts = Array.from({ length: E }, (_, e) => (earlier[e] ?? 0) + ids.filter((_row, n) => counted(n)).flat().filter((id) => id === e).length);
  return E * sum(counts.map((count, e) => (count / sum(counts)) * (sum(rows.map((row) => row[e])) / rows.length)));
}

const [N, E, K] = [12, 4, 2];
const random = new RandomSource(3), ids = Array.from({ length: N }, () => [...random.permutation(E)].slice(0, K)), logits = randomRows(N, E, 4);
const probabilities = logits.map(softmax);

describe.each(backends)("router losses on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test("the balance loss of global scope reads the counts of the micro-batches before", () => {
    const earlier = Float64Array.of(40, 3, 0, 9), routing = [routingOf(ids, logits)];
    const mask = Array.from({ length: N }, (_, n) => Number(n % 5 !== 0)), tokenMask = tf.tensor1d(mask);
    const isReal = (n: number) => mask[n] === 1;
    expect(value(routerLosses(routing, off, { earlierCounts: [tf.tensor1d([...earlier])] }).balance)).toBeCloseTo(plainBalance(ids, probabilities, () => true, earlier), 5);
    expect(value(routerLosses(routing, off, { earlierCounts: [tf.tensor1d([...earlier])], tokenMask }).balance)).toBeCloseTo(plainBalance(ids, probabilities, isReal, earlier), 5);
    expect(value(routerLosses(routing, { ...off, balanceScope: "local" }, { earlierCounts: [tf.tensor1d([...earlier])], tokenMask }).balance)).toBeCloseTo(plainBalance(ids, probabilities, isReal), 5);
  });

  test("with earlier counts the gradient of the balance loss is E·fᵢ/N in each probability, with f over all counts", () => {
    const earlier = Float64Array.of(40, 3, 0, 9), routing = routingOf(ids, logits);
    const counts = [...earlier].map((count, e) => count + ids.flat().filter((id) => id === e).length);
    const gradient = tf.grad((p) => routerLosses([{ ...routing, probabilities: p as tf.Tensor2D }], off, { earlierCounts: [tf.tensor1d([...earlier])] }).balance)(routing.probabilities);
    expect(distance(toRows(gradient), ids.map(() => counts.map((count) => (E * count) / sum(counts) / N)))).toBeLessThan(1e-6);
  });

  test("is the mean over layers, so opposite imbalances of two layers don't cancel", () => {
    const always = (e: number) => routingOf(Array.from({ length: N }, () => [e]), Array.from({ length: N }, () => [0, 1].map((i) => (i === e ? 20 : -20))));
    expect(value(routerLosses([always(0), always(1)], off).balance)).toBeCloseTo(2, 5);
    expect(value(routerLosses([always(0)], off).balance)).toBeCloseTo(2, 5);
  });

  test("the sequence-wise loss is DeepSeek-V3's: Σ f·P of each row, f = E/(K·T)·c, then the mean over rows", () => {
    const B = 3, T = N / B;
    const expected = sum(Array.from({ length: B }, (_, b) => {
      const rowIds = ids.slice(b * T, (b + 1) * T).flat(), rowP = probabilities.slice(b * T, (b + 1) * T);
      return sum(Array.from({ length: E }, (_unused, e) => (E / (K * T)) * rowIds.filter((id) => id === e).length * (sum(rowP.map((row) => row[e])) / T)));
    })) / B;
    const routing = routingOf(ids, logits);
    expect(value(sequenceBalanceLoss(routing.ids, routing.probabilities, B))).toBeCloseTo(expected, 5);
    const losses = routerLosses([routing], { ...off, sequenceBalanceLossWeight: 0.3 }, { batchSize: B });
    expect(value(losses.weighted)).toBeCloseTo(0.3 * expected, 5);
  });

  test("the sequence-wise loss of rows that are balanced each is 1, of rows that are balanced only together it is more", () => {
    const uniform = tf.fill<tf.Rank.R2>([4, 2], 0.5), lean = tf.tensor2d([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]);
    const rows = (list: number[]) => tf.tensor2d(list, [4, 1], "int32");
    expect(value(sequenceBalanceLoss(rows([0, 1, 1, 0]), uniform, 2))).toBeCloseTo(1, 6);
    expect(value(sequenceBalanceLoss(rows([0, 0, 1, 1]), lean, 2))).toBeCloseTo(1.8, 5);
    expect(value(sequenceBalanceLoss(rows([0, 0, 1, 1]), lean, 1))).toBeCloseTo(1, 5);
  });

  test("in the sequence-wise loss padding changes nothing, and a row counts by its tokens", () => {
    const short = routingOf(ids.slice(0, 9), logits.slice(0, 9)), B = 2;
    // Rows of 6 and 3 tokens: the second one is padded to 6.
    const padded = routingOf([...ids.slice(0, 9), [0, 1], [0, 1], [0, 1]], [...logits.slice(0, 9), ...randomRows(3, E, 9)]);
    const tokenMask = tf.tensor1d([1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    const row = (from: number, to: number) => value(sequenceBalanceLoss(tf.slice(short.ids, [from, 0], [to - from, K]), tf.slice(short.probabilities, [from, 0], [to - from, E]), 1));
    expect(value(sequenceBalanceLoss(padded.ids, padded.probabilities, B, tokenMask))).toBeCloseTo((6 * row(0, 6) + 3 * row(6, 9)) / 9, 5);
  });

  test("losses of weight 0 are left out, the routers' own join with the mean over layers", () => {
    const routing = routingOf(ids, logits);
    expect(routerLosses([routing], off).weighted).toBeUndefined();
    expect(routerLosses([routing], off).sequenceBalance).toBeUndefined();
    const losses = routerLosses([{ ...routing, ownLoss: tf.scalar(2) }, { ...routing, ownLoss: tf.scalar(5) }], { ...off, zLossWeight: 0.5 });
    expect(value(losses.weighted)).toBeCloseTo(3.5 + 0.5 * value(losses.z), 5);
  });

  test("a batch in which no token has an expert has balance 0, not NaN", () => {
    expect(value(routerLosses([routingOf(ids.map(() => [-1, -1]), logits)], off).balance)).toBe(0);
  });
});

describe.each(backends)("accumulation on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  const T = 6, V = 17;
  const modelWith = (moe: Partial<MoeSettings>) => {
    const model = new Transformer(transformerConfig({ vocabSize: V, numLayers: 2, width: 12, numHeads: 2, contextLength: T, moe: { numExperts: E, expertsPerToken: K, expertWidth: 8, ...moe } }), { seed: 1 });
    for (const weight of model.parameters().values()) if (weight.rank > 1) weight.assign(tf.mul(weight, 5));
    return model;
  };
  /** Rows with other numbers of targets that count and of tokens. */
  const whole: Batch = (() => {
    const source = new RandomSource(6), B = 4, values = () => Int32Array.from({ length: B * T }, () => source.nextInt(V));
    const tokenMask = Float32Array.from({ length: B * T }, (_, i) => Number(i < 3 * T + 2));
    return { batchSize: B, contextLength: T, inputs: values(), targets: values(), tokenMask, lossMask: tokenMask.map((real, i) => real * Number(i < T || i % 3 === 0)) };
  })();
  const rowsOf = (from: number, to: number): Batch => ({
    ...whole, batchSize: to - from, inputs: whole.inputs.slice(from * T, to * T), targets: whole.targets.slice(from * T, to * T),
    tokenMask: whole.tokenMask?.slice(from * T, to * T), lossMask: whole.lossMask?.slice(from * T, to * T),
  });
  const sharesOf = (part: Batch): Pick<BatchLossOptions, "lossShare" | "tokenShare"> => {
    const share = (name: "lossMask" | "tokenMask") => sum([...part[name] ?? []]) / sum([...whole[name] ?? []]);
    return { lossShare: share("lossMask"), tokenShare: share("tokenMask") };
  };
  const tensorsOf = (counts: readonly Float64Array[]): tf.Tensor1D[] => counts.map((list) => tf.tensor1d([...list]));
  function gradientsOf(model: Transformer, batch: Batch, options: BatchLossOptions) {
    const weights = model.parameters();
    let counts: Float64Array[] = [];
    const { value: total, grads } = tf.variableGrads(() => {
      const loss = batchLoss(model, batch, options);
      counts = loss.routing.map((record) => toRows(record.ids).flat().filter((id) => id >= 0).reduce((list, id) => { list[id] += 1; return list; }, new Float64Array(E)));
      return loss.total;
    }, [...weights.values()]);
    return { total: value(total), counts, gradients: new Map([...weights].map(([name, weight]) => [name, Float64Array.from(grads[weight.name].dataSync())])) };
  }

  /** Largest distance of the summed gradients of two halves from those of the whole batch. */
  function distanceOfHalves(model: Transformer, countsFor: (half: 0 | 1, counts: readonly Float64Array[][]) => readonly Float64Array[] | undefined) {
    const one = gradientsOf(model, whole, {});
    const parts = [rowsOf(0, 1), rowsOf(1, 4)], counts = parts.map((part) => gradientsOf(model, part, {}).counts);
    const halves = parts.map((part, half) => {
      const earlierCounts = countsFor(half as 0 | 1, counts);
      return gradientsOf(model, part, { ...sharesOf(part), ...(earlierCounts && { earlierCounts: tensorsOf(earlierCounts) }) });
    });
    const far = Math.max(...[...one.gradients].map(([name, expected]) => expected.reduce((most, g, i) => Math.max(most, Math.abs(g - sum(halves.map(({ gradients }) => gradients.get(name)?.[i] ?? Number.NaN)))), 0)));
    return { gradients: far, total: Math.abs(one.total - sum(halves.map(({ total }) => total))) };
  }

  test.each<[string, Partial<MoeSettings>]>([
    ["cross-entropy alone", { balanceLossWeight: 0, zLossWeight: 0 }],
    ["with the z-loss", { balanceLossWeight: 0, zLossWeight: 0.1 }],
    ["with the sequence-wise loss", { balanceLossWeight: 0, zLossWeight: 0, sequenceBalanceLossWeight: 0.1 }],
  ])("two halves equal the whole batch to 1e-6: %s", (_, moe) => {
    const { gradients, total } = distanceOfHalves(modelWith(moe), () => undefined);
    expect(gradients).toBeLessThan(1e-6);
    expect(total).toBeLessThan(1e-6);
  });

  test("two halves equal the whole batch to 1e-6 with the balance loss, when each knows the counts of the other", () => {
    const far = distanceOfHalves(modelWith({ balanceLossWeight: 0.1 }), (half, counts) => counts[1 - half]);
    expect(far.gradients).toBeLessThan(1e-6);
    expect(far.total).toBeLessThan(1e-6);
  });

  test("with the counts so far, the last micro-batch reads the load of the whole step and the first its own", () => {
    const model = modelWith({ balanceLossWeight: 0.1 }), [first, second] = [rowsOf(0, 1), rowsOf(1, 4)];
    const { counts } = gradientsOf(model, first, {});
    const balance = (batch: Batch, earlierCounts?: Float64Array[]) => tf.tidy(() => value(batchLoss(model, batch, { ...(earlierCounts && { earlierCounts: tensorsOf(earlierCounts) }) }).balance));
    expect(balance(first, counts.map(() => new Float64Array(E)))).toBe(balance(first));
    expect(balance(second, counts)).not.toBeCloseTo(balance(second), 4);
  });
});
