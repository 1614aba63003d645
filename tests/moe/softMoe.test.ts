import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { moeConfig } from "../../toolkit/moe/config.ts";
import { MoeLayer } from "../../toolkit/moe/layer.ts";
import { WeightScope, type ModelVariables } from "../../toolkit/nn/module.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { errorCode } from "../ops/backends.ts";
import { softmax, sum } from "./plainRouters.ts";
import { contextOf, distance, randomRows, toRows } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

const [B, T, C, E, P] = [2, 5, 6, 3, 2];

function layerWith(experts: "copy" | "swiglu") {
  const variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  const config = moeConfig({ numExperts: E, expertsPerToken: 1, expertWidth: 4, experts: { kind: experts }, router: { kind: "softMoe", slotsPerExpert: P } });
  const layer = new MoeLayer({ width: C, numLayers: 1 }, config, new WeightScope(variables, new RandomSource(1)));
  variables.weights.get("router.slots")?.assign(tf.tensor2d(randomRows(C, E * P, 2)));
  return { layer, variables };
}

const context = (change = {}) => contextOf(B * T, { batchSize: B, rowLength: T, isCausal: false, ...change });

/** With experts that copy: each token is Σ over slots of its share of the slot times the slot's mixture. */
function plainMixture(x: number[][], phi: number[][], isReal: (t: number) => boolean): number[][] {
  const logits = x.map((row) => phi[0].map((_, s) => sum(row.map((value, c) => value * phi[c][s]))));
  const slots = phi[0].map((_, s) => {
    const shares = softmax(logits.map((row, t) => (isReal(t) ? row[s] : -Infinity)));
    return x[0].map((_value, c) => sum(x.map((row, t) => shares[t] * row[c])));
  });
  return logits.map((row, t) => {
    const shares = softmax(row);
    return x[0].map((_, c) => (isReal(t) ? sum(slots.map((slot, s) => shares[s] * slot[c])) : 0));
  });
}

describe("soft MoE", () => {
  test("gives the mixtures of the paper's formula, row by row, computed in double", () => {
    const { layer, variables } = layerWith("copy"), x = randomRows(B * T, C, 3);
    const phi = toRows(variables.weights.get("router.slots") as tf.Variable);
    const expected = [0, 1].flatMap((row) => plainMixture(x.slice(row * T, (row + 1) * T), phi, () => true));
    expect(distance(toRows(layer.forward(tf.tensor2d(x), context()).y), expected)).toBeLessThan(3e-6);
  });

  test("padding tokens are mixed into no slot and get 0", () => {
    const { layer, variables } = layerWith("copy"), x = randomRows(B * T, C, 3);
    const phi = toRows(variables.weights.get("router.slots") as tf.Variable);
    const expected = [0, 1].flatMap((row) => plainMixture(x.slice(row * T, (row + 1) * T), phi, (t) => row === 0 || t < 3));
    const tokenMask = tf.tensor1d(Array.from({ length: B * T }, (_, n) => Number(n < T + 3)));
    expect(distance(toRows(layer.forward(tf.tensor2d(x), context({ tokenMask })).y), expected)).toBeLessThan(3e-6);
  });

  test("tokens in another order of their row give outputs in that order", () => {
    const { layer } = layerWith("swiglu"), x = randomRows(B * T, C, 3), order = [3, 0, 4, 1, 2, 5, 6, 7, 8, 9];
    const before = toRows(layer.forward(tf.tensor2d(x), context()).y), after = toRows(layer.forward(tf.tensor2d(order.map((n) => x[n])), context()).y);
    expect(distance(after, order.map((n) => before[n]))).toBeLessThan(1e-7);
  });

  test("gradients reach the slots, the experts and the tokens, and each expert's share of a token is told", () => {
    const { layer, variables } = layerWith("swiglu"), x = tf.tensor2d(randomRows(B * T, C, 3));
    const { grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(tf.square(layer.forward(x, context()).y)), [...variables.weights.values()]);
    for (const weight of variables.weights.values()) expect(tf.max(tf.abs(grads[weight.name])).dataSync()[0]).toBeGreaterThan(0);
    toRows(layer.forward(x, context()).routing.probabilities).forEach((row) => expect(sum(row)).toBeCloseTo(1, 5));
  });

  test("a causal model refuses it", () => {
    expect(errorCode(() => layerWith("copy").layer.forward(tf.tensor2d(randomRows(B * T, C, 3)), context({ isCausal: true })))).toBe("E_SOFT_MOE_CAUSAL");
    const model = new Transformer(transformerConfig({ vocabSize: 9, numLayers: 1, width: 8, numHeads: 2, contextLength: 4, moe: { numExperts: 2, expertsPerToken: 1, expertWidth: 4, router: { kind: "softMoe" } } }));
    expect(errorCode(() => model.forward(tf.zeros([1, 4], "int32")))).toBe("E_SOFT_MOE_CAUSAL");
  });
});
