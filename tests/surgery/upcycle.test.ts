import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import type { FeedForwardConfig } from "../../toolkit/moe/expertConfig.ts";
import { addLora } from "../../toolkit/surgery/lora.ts";
import { upcycle, type UpcycleSettings } from "../../toolkit/surgery/upcycle.ts";
import { errorCode } from "../ops/backends.ts";
import { choicesOf, distance, logitsOf, randomModel, small, T, V, valuesOf } from "./smallModels.ts";

beforeAll(async () => { await chooseBackend(); });

const H = 12;
const outer = { vocabSize: V, numLayers: 2, width: 8, numHeads: 2, contextLength: T };
const dense = (denseExpert: FeedForwardConfig = { kind: "swiglu" }, change: object = {}) => randomModel({ ...outer, denseWidth: H, denseExpert, ...change });
const eight: UpcycleSettings = { numExperts: 8, expertsPerToken: 2 };

describe("upcycling", () => {
  test.each<[string, FeedForwardConfig, UpcycleSettings]>([
    ["2 of 8 copies", { kind: "swiglu" }, eight],
    ["2 of 8 copies of a GELU part with biases", { kind: "gelu", bias: true }, eight],
    ["slices of a half, 2 copies of 4", { kind: "swiglu" }, { numExperts: 8, expertsPerToken: 4, expertWidth: H / 2 }],
    ["slices of a third with biases, 1 copy of 2", { kind: "geglu", bias: true }, { numExperts: 6, expertsPerToken: 3, expertWidth: H / 3 }],
    ["slices of a quarter without a gate", { kind: "relu2" }, { numExperts: 8, expertsPerToken: 8, expertWidth: H / 4 }],
    ["shared experts beside", { kind: "swiglu" }, { ...eight, sharedExperts: { count: 2, isGated: true } }],
    ["a weighted dense branch beside", { kind: "reglu", bias: true }, { ...eight, residual: {} }],
    ["a plain dense branch beside", { kind: "swiglu" }, { ...eight, residual: { isWeighted: false, width: 5 } }],
    ["low-rank experts on it", { kind: "silu" }, { ...eight, experts: { kind: "lora", rank: 2, base: { kind: "silu" } } }],
  ])("into %s computes what the dense model does", (_, kind, settings) => {
    const model = dense(kind);
    const sparse = upcycle(model, settings, { seed: 5 });
    expect(sparse.config.moe.numExperts).toBe(settings.numExperts);
    expect(distance(logitsOf(sparse), logitsOf(model))).toBeLessThan(1e-5);
  });

  test("into every second layer leaves the others dense", () => {
    const model = dense();
    const sparse = upcycle(model, eight, { seed: 5, moeEvery: 2 });
    expect([...sparse.parameters().keys()].filter((name) => name.endsWith(".down"))).toEqual(["layers.0.feedForward.down", "layers.1.moe.experts.down"]);
    expect(distance(logitsOf(sparse), logitsOf(model))).toBeLessThan(1e-5);
  });

  test("gives routers that tell experts apart, and other ones for another seed", () => {
    const gate = (seed: number): Float32Array => valuesOf(upcycle(dense(), eight, { seed }), "layers.0.moe.router.gate");
    expect(new Set(gate(1)).size).toBe(8 * 8);
    expect([...gate(1)]).toEqual([...gate(1)]);
    expect([...gate(1)]).not.toEqual([...gate(2)]);
    const scaled = valuesOf(upcycle(dense(), eight, { seed: 1, routerScale: 3 }), "layers.0.moe.router.gate");
    gate(1).forEach((value, i) => { expect(scaled[i]).toBeCloseTo(3 * value, 6); });
  });

  test("into slices, a token's experts are all slices of whole copies", () => {
    const sparse = upcycle(dense(), { numExperts: 12, expertsPerToken: 4, expertWidth: H / 2 }, { seed: 5, routerScale: 20 });
    for (const chosen of choicesOf(sparse)) for (let n = 0; n < chosen.length; n += 4) {
      const copies = chosen.slice(n, n + 4).map((e) => Math.floor(e / 2)).sort((a, b) => a - b);
      expect(copies[0]).toBe(copies[1]);
      expect(copies[2]).toBe(copies[3]);
      expect(copies[0]).not.toBe(copies[2]);
    }
  });

  test("with weights that don't sum to 1 the experts give the dense output times their sum", () => {
    // One layer whose residual stream is read before and after: experts' part = sum of weights · dense part.
    const settings = { ...outer, numLayers: 1, denseWidth: H };
    const model = randomModel(settings);
    const sparse = upcycle(model, { ...eight, router: { kind: "topK", renormalize: false } }, { seed: 5 });
    const { routing } = tf.tidy(() => ({ routing: sparse.forward(tf.tensor2d([[1, 2, 3]], [1, 3], "int32")).routing.map(({ weights }) => [...weights.dataSync()]) }));
    const sums = [0, 1, 2].map((n) => routing[0][2 * n] + routing[0][2 * n + 1]);
    for (const sum of sums) expect(sum).toBeLessThan(0.5);
    // The same with the dense part scaled by the (nearly uniform) sum of two of eight weights.
    tf.tidy(() => { const down = model.parameters().get("layers.0.feedForward.down") as tf.Variable; down.assign(tf.mul(down, 0.25)); });
    expect(distance(logitsOf(sparse), logitsOf(model))).toBeLessThan(0.05);
  });

  test("noise moves each copy by its own share of the spread of the weights", () => {
    const model = dense();
    const sparse = upcycle(model, eight, { seed: 5, noise: 0.1 });
    const wanted = valuesOf(model, "layers.0.feedForward.gateUp"), got = valuesOf(sparse, "layers.0.moe.experts.gateUp");
    const spread = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    const moved = (e: number): number[] => [...wanted].map((value, i) => got[e * wanted.length + i] - value);
    const size = Math.sqrt(moved(0).reduce((sum, d) => sum + d * d, 0) / wanted.length);
    expect(size / spread).toBeGreaterThan(0.08);
    expect(size / spread).toBeLessThan(0.12);
    expect(moved(0)).not.toEqual(moved(1));
  });

  test("leaves the dense model as it was", () => {
    const model = dense();
    const before = logitsOf(model);
    const sparse = upcycle(model, eight, { seed: 1 });
    tf.tidy(() => { for (const variable of sparse.state().values()) variable.assign(tf.zerosLike(variable)); });
    expect([...logitsOf(model)]).toEqual([...before]);
  });

  test.each<[string, UpcycleSettings, string]>([
    ["slices that don't fill the part", { ...eight, expertWidth: 5 }, "E_UPCYCLE_PARTS"],
    ["a token with half a copy", { numExperts: 8, expertsPerToken: 2, expertWidth: H / 4 }, "E_UPCYCLE_PARTS"],
    ["another kind of expert", { ...eight, experts: { kind: "geglu" } }, "E_UPCYCLE_EXPERTS"],
    ["biases that the dense part lacks", { ...eight, experts: { kind: "swiglu", bias: true } }, "E_UPCYCLE_EXPERTS"],
    ["a weighted branch of another width", { ...eight, residual: { width: 5 } }, "E_UPCYCLE_EXPERTS"],
    ["low-rank experts on another base", { ...eight, experts: { kind: "lora", rank: 1, base: { kind: "relu" } } }, "E_UPCYCLE_EXPERTS"],
  ])("into %s is refused", (_, settings, code) => {
    expect(errorCode(() => upcycle(dense(), settings, { seed: 1 }))).toBe(code);
  });

  test("of a model that has experts or adapters is refused, and into no layer at all", () => {
    expect(errorCode(() => upcycle(randomModel(small), eight, { seed: 1 }))).toBe("E_UPCYCLE_LAYERS");
    expect(errorCode(() => upcycle(dense(), eight, { seed: 1, firstDenseLayers: 2 }))).toBe("E_UPCYCLE_LAYERS");
    expect(errorCode(() => upcycle(addLora(dense(), { rank: 1, targets: ["**.query"] }).model, eight, { seed: 1 }))).toBe("E_UPCYCLE_EXPERTS");
  });
});
