import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { moeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import { MoeLayer } from "../../toolkit/moe/layer.ts";
import type { RouterSettings } from "../../toolkit/moe/routerConfig.ts";
import { WeightScope, type ModelVariables } from "../../toolkit/nn/module.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { backends } from "../ops/backends.ts";
import { chosenIds, contextOf, distance, randomRows, toRows } from "./routerBench.ts";

const [N, C, H] = [9, 6, 5];

function layerOf(settings: Omit<MoeSettings, "expertWidth">, seed = 1) {
  const variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  const layer = new MoeLayer({ width: C, numLayers: 1 }, moeConfig({ expertWidth: H, ...settings }), new WeightScope(variables, new RandomSource(seed)));
  for (const weight of variables.weights.values()) weight.assign(tf.mul(weight, 25));
  return { layer, variables };
}

const every: readonly [string, RouterSettings, number][] = [
  ["topK", { kind: "topK" }, 1], ["switch", { kind: "switch" }, 1], ["noisyTopK", { kind: "noisyTopK" }, 1], ["sigmoid", { kind: "sigmoid", renormalize: true }, 1],
  ["expertChoice", { kind: "expertChoice" }, 1], ["sinkhorn", { kind: "sinkhorn", scores: "softmax" }, 1], ["hash", { kind: "hash" }, 1],
];

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test.each(every)("one expert with the router %s is a dense layer, in outputs and gradients", (_, router) => {
    const { layer, variables } = layerOf({ numExperts: 1, expertsPerToken: 1, router, capacity: { kind: "dropless" } });
    const x = tf.variable(tf.tensor2d(randomRows(N, C, 2))), factors = tf.tensor2d(randomRows(N, C, 3));
    const [gateUp, down] = ["experts.gateUp", "experts.down"].map((name) => variables.weights.get(name) as tf.Variable);
    const dense = (): tf.Tensor => {
      const [gate, up] = tf.split(tf.matMul(x, tf.reshape(gateUp, [C, 2 * H])), 2, 1);
      return tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), tf.reshape(down, [H, C]));
    };
    const sparse = (): tf.Tensor => layer.forward(x, contextOf(N, { training: { random: new RandomSource(4) }, isCausal: false })).y;
    const gradientsOf = (run: () => tf.Tensor) => {
      const { value, grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(tf.mul(run(), factors)), [x, gateUp, down]);
      return [value, ...[x, gateUp, down].map(({ name }) => grads[name])].map((tensor) => Array.from(tensor.dataSync()));
    };
    expect(distance(toRows(sparse()), toRows(dense()))).toBeLessThan(2e-6);
    expect(distance(gradientsOf(sparse), gradientsOf(dense))).toBeLessThan(1e-5);
    x.dispose();
  });

  test("one expert of ReMoE is a dense layer times relu of the gate", () => {
    const { layer, variables } = layerOf({ numExperts: 1, expertsPerToken: 1, router: { kind: "reMoE" } }), x = tf.tensor2d(randomRows(N, C, 2));
    const [gateUp, down, router] = ["experts.gateUp", "experts.down", "router.gate"].map((name) => variables.weights.get(name) as tf.Variable);
    const [gate, up] = tf.split(tf.matMul(x, tf.reshape(gateUp, [C, 2 * H])), 2, 1);
    const dense = tf.mul(tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), tf.reshape(down, [H, C])), tf.relu(tf.matMul(x, router as tf.Variable<tf.Rank.R2>)));
    const { y, routing } = layer.forward(x, contextOf(N));
    expect(distance(toRows(y), toRows(dense))).toBeLessThan(2e-6);
    expect(chosenIds(routing.ids).some((row) => row.length === 0)).toBe(true);
  });

  test("a batch in which no token reaches an expert gives 0, and gradients of 0", () => {
    const { layer, variables } = layerOf({ numExperts: 3, expertsPerToken: 2, router: { kind: "reMoE" } });
    variables.weights.get("router.gate")?.assign(tf.fill([C, 3], -1));
    const { value, grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(layer.forward(tf.ones([N, C]), contextOf(N)).y), [...variables.weights.values()]);
    expect(value.dataSync()[0]).toBe(0);
    for (const gradient of Object.values(grads)) expect(Array.from(gradient.dataSync()).every((g) => g === 0)).toBe(true);
  });

  test("choices without padding and dropping are N·K whatever the router", () => {
    for (const router of [{ kind: "topK" }, { kind: "noisyTopK" }, { kind: "sigmoid" }, { kind: "sinkhorn" }, { kind: "hash" }] as const) {
      const { layer } = layerOf({ numExperts: 5, expertsPerToken: 2, router });
      const { routing } = layer.forward(tf.tensor2d(randomRows(N, C, 2)), contextOf(N, { training: { random: new RandomSource(4) } }));
      expect(chosenIds(routing.assigned).flat().length).toBe(N * 2);
      expect(chosenIds(routing.assigned).every((row) => new Set(row).size === 2)).toBe(true);
    }
  });
});

describe("noise, jitter and expert dropout", () => {
  const forward = (router: RouterSettings, K: number, random: RandomSource | undefined, expertDropout = 0) => {
    const { layer } = layerOf({ numExperts: 6, expertsPerToken: K, router, expertDropout });
    return layer.forward(tf.tensor2d(randomRows(N, C, 2)), contextOf(N, random ? { training: { random } } : {}));
  };

  test.each<[string, RouterSettings, number, number]>([
    ["noise", { kind: "noisyTopK" }, 2, 0], ["jitter", { kind: "switch", jitter: 0.5 }, 1, 0], ["expert dropout", { kind: "topK" }, 2, 0.4],
  ])("%s goes on bit for bit from the saved state of its source, and is absent outside of training", (_, router, K, dropout) => {
    const source = new RandomSource(3, 7);
    forward(router, K, source, dropout);
    const resumed = RandomSource.fromState(source.state());
    const [uninterrupted, again, other] = [source, resumed, new RandomSource(4)].map((random) => toRows(forward(router, K, random, dropout).y));
    expect(again).toEqual(uninterrupted);
    expect(distance(other, uninterrupted)).toBeGreaterThan(1e-3);
    expect(toRows(forward(router, K, undefined, dropout).y)).toEqual(toRows(forward(router, K, undefined, 0).y));
  });

  test.each<[string, RouterSettings]>([
    ["topK", { kind: "topK" }], ["topK in groups", { kind: "topK", groupLimit: { numGroups: 3, groupsPerToken: 2 } }], ["noisyTopK", { kind: "noisyTopK" }],
    ["sigmoid", { kind: "sigmoid" }], ["expertChoice", { kind: "expertChoice" }], ["sinkhorn", { kind: "sinkhorn" }], ["reMoE", { kind: "reMoE" }],
  ])("with %s a left-out expert gets no token, weight or probability in that pass, K experts always stay", (_, router) => {
    let total = 0;
    const passes = 40;
    for (let pass = 0; pass < passes; pass++) {
      const { routing } = forward(router, 2, new RandomSource(pass), 0.5);
      const probabilities = toRows(routing.probabilities);
      const out = [0, 1, 2, 3, 4, 5].filter((e) => probabilities.every((row) => row[e] === 0) && toRows(routing.logits).every((row) => row[e] < -1e29));
      expect(out.length).toBeLessThanOrEqual(4);
      total += out.length;
      expect(chosenIds(routing.ids).flat().filter((e) => out.includes(e))).toEqual([]);
      for (const value of toRows(routing.weights).flat()) expect(Number.isFinite(value)).toBe(true);
    }
    // Half of six experts; a few less, because two stay: 40 passes have a standard deviation of about 0.2.
    expect(Math.abs(total / passes - 2.9)).toBeLessThan(0.8);
  });
});
