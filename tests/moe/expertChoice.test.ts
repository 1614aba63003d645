import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { checkCausality } from "../../toolkit/moe/causality.ts";
import type { RouterSettings } from "../../toolkit/moe/routerConfig.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { benchOf, chosenIds, contextOf, identity, randomRows, training } from "./routerBench.ts";

const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
beforeAll(async () => { await chooseBackend(); });

const N = 12, E = 4;
const benchWith = (router: Omit<Extract<RouterSettings, { kind: "expertChoice" }>, "kind"> = {}) => {
  const bench = benchOf(N, { numExperts: E, expertsPerToken: 2, router: { kind: "expertChoice", ...router } });
  bench.assign("gate", randomRows(N, E, 3));
  return bench;
};
const countsOf = (ids: number[][]): number[] => Array.from({ length: E }, (_, e) => ids.flat().filter((id) => id === e).length);

describe("expert choice", () => {
  test.each([1, 1.5, 2, 4])("every expert takes exactly ceil(N·factor/E) tokens at factor %d", (capacityFactor) => {
    const { ids } = benchWith({ capacityFactor }).router.route(identity(N), contextOf(N, { isCausal: false }));
    expect(countsOf(chosenIds(ids))).toEqual(Array(E).fill(Math.ceil((N * capacityFactor) / E)));
  });

  test("padding tokens are taken by no expert, and the capacity is that of the others", () => {
    const tokenMask = tf.tensor1d([1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1]); // 8 tokens: 8·2/4 = 4 an expert
    const ids = chosenIds(benchWith().router.route(identity(N), contextOf(N, { isCausal: false, tokenMask })).ids);
    expect(countsOf(ids)).toEqual([4, 4, 4, 4]);
    expect([1, 4, 9, 10].flatMap((n) => ids[n])).toEqual([]);
  });

  test("outside of training a causal model takes each token's K best experts", () => {
    const bench = benchWith(), { ids } = bench.router.route(identity(N), contextOf(N));
    const expected = bench.state("gate").map((row) => [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, 2));
    expect(chosenIds(ids)).toEqual(expected);
  });

  test("inference by threshold takes the experts whose probability reaches the lowest that they took in training, averaged", () => {
    const bench = benchWith({ inference: "threshold" });
    const p = bench.state("gate").map((row) => { const powers = row.map(Math.exp), sum = powers.reduce((a, b) => a + b); return powers.map((power) => power / sum); });
    const lowest = Array.from({ length: E }, (_, e) => p.map((row) => row[e]).sort((a, b) => b - a)[5]); // 12·2/4 = 6 tokens
    const expected = Array<number>(E).fill(1 / E);
    for (let step = 0; step < 3; step++) {
      // Two passes of a step count as one, whatever their number.
      for (let pass = 0; pass <= step; pass++) bench.router.route(identity(N), contextOf(N, training()));
      bench.router.afterStep?.(new Float64Array(E));
      expected.forEach((old, e) => { expected[e] = 0.95 * old + 0.05 * lowest[e]; });
    }
    bench.state("threshold")[0].forEach((threshold, e) => expect(threshold).toBeCloseTo(expected[e], 6));
    const ids = chosenIds(bench.router.route(identity(N), contextOf(N)).ids);
    expect(ids.map((row) => [...row].sort())).toEqual(p.map((row) => [...row.keys()].filter((e) => row[e] >= expected[e])));
  });
});

describe("the causality check", () => {
  const modelWith = (router: RouterSettings, expertsPerToken = 2) => {
    const model = new Transformer(transformerConfig({ vocabSize: 20, numLayers: 2, width: 16, numHeads: 2, contextLength: 24, moe: { numExperts: 4, expertsPerToken, expertWidth: 16, router } }), { seed: 1 });
    for (const weight of model.parameters().values()) if (weight.rank > 1) weight.assign(tf.mul(weight, 10));
    return model;
  };
  const options = { vocabSize: 20, rowLength: 24 };
  const trained = (model: Transformer) => (ids: tf.Tensor2D) => model.forward(ids, { training: { random: new RandomSource(1) } }).logits;

  test("detects that expert choice leaks in training and says where", () => {
    const report = checkCausality(trained(modelWith({ kind: "expertChoice" })), options);
    expect(report.isCausal).toBe(false);
    expect(report.leak?.position).toBeLessThan(report.leak?.changedFrom ?? 0);
  });

  test.each<[string, RouterSettings]>([
    ["top-k", { kind: "topK" }], ["sigmoid", { kind: "sigmoid" }], ["noisy top-k", { kind: "noisyTopK" }], ["hash", { kind: "hash" }], ["ReMoE", { kind: "reMoE" }],
  ])("finds no leak with %s, in training and outside of it", (_, router) => {
    const model = modelWith(router);
    expect(checkCausality(trained(model), options).isCausal).toBe(true);
    expect(checkCausality((ids) => model.forward(ids).logits, options).isCausal).toBe(true);
  });

  test("finds no leak with expert choice outside of training, where it chooses token by token", () => {
    for (const inference of ["topK", "threshold"] as const) {
      const model = modelWith({ kind: "expertChoice", inference });
      expect(checkCausality((ids) => model.forward(ids).logits, options).isCausal).toBe(true);
    }
  });

  test("finds a function that reads the next token only", () => {
    const report = checkCausality((ids) => tf.reshape(tf.cast(tf.concat([tf.slice(ids, [0, 1], [1, 7]), tf.zeros([1, 1], "int32")], 1), "float32"), [8, 1]), { vocabSize: 5, rowLength: 8 });
    expect(report.isCausal).toBe(false);
    expect(report.leak?.position).toBe((report.leak?.changedFrom ?? 0) - 1);
  });

  test("dropping by position is causal, dropping by weight is not", () => {
    const drop = (dropOrder: "position" | "weight") => {
      const model = new Transformer(transformerConfig({ vocabSize: 20, numLayers: 1, width: 16, numHeads: 2, contextLength: 24, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16, capacity: { kind: "factor", factor: 0.6, dropOrder } } }), { seed: 1 });
      for (const weight of model.parameters().values()) if (weight.rank > 1) weight.assign(tf.mul(weight, 10));
      return checkCausality((ids) => model.forward(ids).logits, options).isCausal;
    };
    expect(drop("position")).toBe(true);
    expect(drop("weight")).toBe(false);
  });
});

test("however many causal models are trained with expert choice, one warning tells what leaks", () => {
  const train = () => benchWith().router.route(identity(N), contextOf(N, training()));
  train();
  train();
  expect(warn.mock.calls.filter(([text]) => /expertChoice.*later tokens/.test(String(text))).length).toBe(1);
});
