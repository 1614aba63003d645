import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { moeConfig, type MoeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import { fineGrained, isFeedForward, type ExpertConfig, type FeedForwardConfig, type ResidualConfig, type SharedExpertsConfig, type SingleExpertConfig } from "../../toolkit/moe/expertConfig.ts";
import { feedForwardKinds } from "../../toolkit/ops/feedForwardKinds.ts";
import { createExperts } from "../../toolkit/moe/experts.ts";
import { registerExpert } from "../../toolkit/moe/experts/custom.ts";
import { DenseFeedForward } from "../../toolkit/moe/experts/dense.ts";
import { createSharedPath } from "../../toolkit/moe/experts/sharedPath.ts";
import { MoeLayer } from "../../toolkit/moe/layer.ts";
import { expertLayerSize, expertSize } from "../../toolkit/moe/expertSize.ts";
import type { ForwardContext } from "../../toolkit/nn/forwardContext.ts";
import { WeightScope, type ModelVariables } from "../../toolkit/nn/module.ts";
import { planDispatch } from "../../toolkit/ops/dispatch.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { backends, errorCode } from "../ops/backends.ts";
import { plainExperts, plainFeedForward, type PlainArray } from "./plainExperts.ts";

const [N, C, H, E, K] = [7, 5, 4, 4, 2];
/** Two choices reach no expert, and nobody chooses expert 2. */
const ids = [[0, 1], [3, 0], [1, -1], [0, 3], [-1, 1], [3, 1], [1, 0]];

registerExpert("tanhOfTests", {
  build: (weights, { width, expertWidth }) => {
    const inner = weights.normal<tf.Rank.R2>("inner", [width, expertWidth], 0.02);
    const outer = weights.normal<tf.Rank.R2>("outer", [expertWidth, width], 0.02);
    return (rows) => tf.add(rows, tf.matMul(tf.tanh(tf.matMul(rows, inner)), outer));
  },
});

const moe = (change: Partial<MoeSettings>): MoeConfig => moeConfig({ numExperts: E, expertsPerToken: K, expertWidth: H, ...change });

const emptyVariables = (): ModelVariables => ({ weights: new Map(), buffers: new Map() });
const scopeOver = (variables: ModelVariables): WeightScope => new WeightScope(variables, new RandomSource(1));
const context: ForwardContext = { batchSize: 1, rowLength: N, ids: tf.tensor1d([0], "int32"), isCausal: true };

function randomArray(shape: readonly number[], random: RandomSource): PlainArray {
  const values = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(random.normal() * 0.7));
  return { shape, values };
}

const tensorOf = ({ shape, values }: PlainArray): tf.Tensor => tf.tensor(Float32Array.from(values), [...shape]);

function rowsOf({ shape: [count, width], values }: PlainArray): number[][] {
  return Array.from({ length: count }, (_, n) => [...values.subarray(n * width, (n + 1) * width)]);
}

/** Gives every weight random values, also those that start as zeros. */
function randomized(variables: ModelVariables, random: RandomSource): Map<string, PlainArray> {
  return new Map([...variables.weights].map(([name, variable]) => {
    const array = randomArray(variable.shape, random);
    variable.assign(tensorOf(array));
    return [name, array];
  }));
}

const cotangent = (i: number): number => Math.sin(1 + 1.7 * i);

/** Compares outputs and gradients of Σ cotangent · y by x, by the combine weights and by every weight with the plain
 *  reference and its central differences in double. */
function expectEqual(
  compute: (x: tf.Tensor2D, combine: tf.Tensor2D) => tf.Tensor2D, plain: (weights: Map<string, PlainArray>, x: number[][], combine: number[][]) => number[][],
  variables: ModelVariables,
): void {
  const random = new RandomSource(5);
  const weights = randomized(variables, random);
  const x = randomArray([N, C], random), combine = randomArray([N, K], random);
  const xVariable = tf.variable(tensorOf(x)) as tf.Variable<tf.Rank.R2>, combineVariable = tf.variable(tensorOf(combine)) as tf.Variable<tf.Rank.R2>;
  const y = tf.tidy(() => compute(xVariable, combineVariable));
  const wanted = plain(weights, rowsOf(x), rowsOf(combine)).flat();
  expect(y.shape).toEqual([N, C]);
  y.dataSync().forEach((value, i) => { expect(Math.abs(value - wanted[i])).toBeLessThan(2e-5); });

  const factors = tf.tensor2d(Array.from({ length: N * C }, (_, i) => cotangent(i)), [N, C]);
  const all: [string, PlainArray, tf.Variable][] = [["x", x, xVariable], ["combine", combine, combineVariable], ...[...weights].map(([name, array]): [string, PlainArray, tf.Variable] => [name, array, variables.weights.get(name) as tf.Variable])];
  // The sums connect x and the combine weights to the total for experts that depend on neither.
  const { grads } = tf.variableGrads(() => tf.addN([tf.sum(tf.mul(compute(xVariable, combineVariable), factors)), tf.sum(xVariable), tf.sum(combineVariable)]), all.map(([, , variable]) => variable));
  const total = (): number => [...plain(weights, rowsOf(x), rowsOf(combine)).flat().map((value, i) => value * cotangent(i)), ...x.values, ...combine.values].reduce((a, b) => a + b, 0);
  const step = 1e-5;
  for (const [name, { values }, variable] of all) {
    const gradient = (grads[variable.name] as tf.Tensor | undefined)?.dataSync() ?? new Float32Array(values.length);
    values.forEach((value, i) => {
      values[i] = value + step;
      const above = total();
      values[i] = value - step;
      const below = total();
      values[i] = value;
      expect(Math.abs(gradient[i] - (above - below) / (2 * step)), `${name}[${i}]`).toBeLessThan(1e-4);
    });
  }
}

const singleKinds: [string, SingleExpertConfig][] = [
  ...feedForwardKinds.flatMap((kind): [string, SingleExpertConfig][] => [[kind, { kind }], [`${kind} with bias`, { kind, bias: true }]]),
  ["zero", { kind: "zero" }],
  ["copy", { kind: "copy" }],
  ["constant", { kind: "constant" }],
  ["lora", { kind: "lora", rank: 2, alpha: 3 }],
  ["lora on a GELU part with bias", { kind: "lora", rank: 1, base: { kind: "gelu", bias: true } }],
  ["custom", { kind: "custom", name: "tanhOfTests" }],
];
const kinds: [string, ExpertConfig][] = [
  ...singleKinds,
  ["mixed", { kind: "mixed", groups: [
    { count: 1, expert: { kind: "swiglu" } }, { count: 1, expert: { kind: "copy" } }, { count: 1, expert: { kind: "geglu", bias: true }, expertWidth: 3 },
    { count: 1, expert: { kind: "constant" } }] }],
  ["mixed with lora, custom and zero", { kind: "mixed", groups: [
    { count: 2, expert: { kind: "lora", rank: 2 } }, { count: 1, expert: { kind: "zero" } }, { count: 1, expert: { kind: "custom", name: "tanhOfTests" } }] }],
];

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test.each(kinds)("%s experts give the outputs and gradients of their formula, also where choices reach no expert", (_, experts) => {
    const variables = emptyVariables();
    const layer = createExperts({ width: C, numLayers: 1 }, moe({ experts }), scopeOver(variables));
    const chosen = tf.tensor2d(ids, [N, K], "int32");
    expectEqual((x, combine) => layer.forward(x, combine, planDispatch(chosen, E), context), (weights, x, combine) => plainExperts(experts, weights, x, combine, ids), variables);
  });

  test.each(singleKinds)("a group of %s experts that nobody chooses changes nothing", (_, expert) => {
    const experts: ExpertConfig = { kind: "mixed", groups: [{ count: 2, expert: { kind: "copy" } }, { count: 1, expert }, { count: 1, expert: { kind: "swiglu" } }] };
    const variables = emptyVariables();
    const layer = createExperts({ width: C, numLayers: 1 }, moe({ experts }), scopeOver(variables));
    const chosen = tf.tensor2d(ids, [N, K], "int32");
    expectEqual((x, combine) => layer.forward(x, combine, planDispatch(chosen, E), context), (weights, x, combine) => plainExperts(experts, weights, x, combine, ids), variables);
  });

  test.each(kinds)("%s experts compute sorted rows as they compute tokens", (_, experts) => {
    const variables = emptyVariables();
    const layer = createExperts({ width: C, numLayers: 1 }, moe({ experts }), scopeOver(variables));
    const weights = randomized(variables, new RandomSource(2));
    const rows = randomArray([N, C], new RandomSource(3));
    const bounds = [0, 2, 3, 3, 7];
    const got = layer.apply(tensorOf(rows) as tf.Tensor2D, tf.tensor1d(bounds, "int32"), context);
    const expertOf = rowsOf(rows).map((_row, s) => [bounds.findIndex((bound) => s < bound) - 1]);
    const wanted = plainExperts(experts, weights, rowsOf(rows), rowsOf(rows).map(() => [1]), expertOf).flat();
    expect(got.shape).toEqual([N, C]);
    got.dataSync().forEach((value, i) => { expect(Math.abs(value - wanted[i])).toBeLessThan(2e-5); });
  });

  test.each(feedForwardKinds)("one %s expert that every token chooses is the dense feed-forward part, in outputs and gradients", (kind) => {
    const variables = emptyVariables();
    const layer = createExperts({ width: C, numLayers: 1 }, moe({ numExperts: 1, expertsPerToken: 1, experts: { kind, bias: true } }), scopeOver(variables));
    const plan = planDispatch(tf.zeros([N, K], "int32"), 1);
    const half = tf.fill<tf.Rank.R2>([N, K], 1 / K);
    expectEqual((x) => layer.forward(x, half, plan, context), (weights, x) => x.map((token) => plainFeedForward({ kind, bias: true }, weights, token)), variables);
  });

  const feedForwards = singleKinds.flatMap(([name, config]): [string, FeedForwardConfig][] => (isFeedForward(config) ? [[name, config]] : []));
  test.each(feedForwards)("the dense part of kind %s gives the outputs and gradients of its formula", (_, config) => {
    const variables = emptyVariables();
    const dense = new DenseFeedForward({ width: C, hiddenWidth: H, numLayers: 1 }, config, scopeOver(variables));
    expectEqual((x) => dense.forward(x), (weights, x) => x.map((token) => plainFeedForward(config, weights, token)), variables);
  });

  const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
  const own = (weights: Map<string, PlainArray>, scope: string): Map<string, PlainArray> =>
    new Map([...weights].filter(([name]) => name.startsWith(`${scope}.`)).map(([name, array]) => [name.slice(scope.length + 1), array]));
  const dot = (token: number[], { shape, values }: PlainArray, column: number): number => token.reduce((sum, value, c) => sum + value * values[c * shape[1] + column], 0);

  test.each<[string, SharedExpertsConfig]>([["ungated", { count: 2 }], ["gated", { count: 1, width: 3, isGated: true, expert: { kind: "geglu" } }]])("%s shared experts are added to what the chosen ones gave", (_, sharedExperts) => {
    const variables = emptyVariables();
    const path = createSharedPath({ width: C, numLayers: 1 }, moe({ sharedExperts }), scopeOver(variables));
    const config = sharedExperts.expert ?? { kind: "swiglu" };
    // The routed part is 3·x here.
    expectEqual((x) => path?.addTo(x, tf.mul(x, 3)) ?? x, (weights, x) => x.map((token) => {
      const gate = sharedExperts.isGated ? sigmoid(dot(token, weights.get("sharedExperts.gate") as PlainArray, 0)) : 1;
      return plainFeedForward(config, own(weights, "sharedExperts"), token).map((value, c) => 3 * token[c] + gate * value);
    }), variables);
  });

  test("two shared experts are as wide as two experts together", () => {
    const variables = emptyVariables();
    createSharedPath({ width: C, numLayers: 1 }, moe({ sharedExperts: { count: 2 } }), scopeOver(variables));
    expect(variables.weights.get("sharedExperts.down")?.shape).toEqual([2 * H, C]);
  });

  test.each<[string, ResidualConfig]>([["weighted", {}], ["plain", { isWeighted: false, width: 3 }]])("a %s dense branch joins what the experts gave", (_, residual) => {
    const variables = emptyVariables();
    const path = createSharedPath({ width: C, numLayers: 1 }, moe({ residual }), scopeOver(variables));
    expectEqual((x) => path?.addTo(x, tf.mul(x, 3)) ?? x, (weights, x) => x.map((token) => {
      const bias = weights.get("residual.mixBias")?.values;
      const score = (column: number): number => dot(token, weights.get("residual.mix") as PlainArray, column) + (bias?.[column] ?? 0);
      const [c1, c2] = bias ? [sigmoid(score(0) - score(1)), sigmoid(score(1) - score(0))] : [1, 1];
      return plainFeedForward({ kind: "swiglu" }, own(weights, "residual"), token).map((value, c) => c1 * 3 * token[c] + c2 * value);
    }), variables);
  });
});

test("a layer gives what its chosen experts give by their weights, plus its shared experts", () => {
  const variables = emptyVariables();
  const layer = new MoeLayer({ width: C, numLayers: 1 }, moe({ sharedExperts: { count: 1 } }), scopeOver(variables));
  const random = new RandomSource(8);
  const weights = randomized(variables, random), x = randomArray([N, C], random);
  const scope = (name: string): Map<string, PlainArray> => new Map([...weights].flatMap(([full, array]) => (full.startsWith(`${name}.`) ? [[full.slice(name.length + 1), array] as const] : [])));
  const { y, routing } = layer.forward(tensorOf(x) as tf.Tensor2D, context);
  const routed = plainExperts({ kind: "swiglu" }, scope("experts"), rowsOf(x), routing.weights.arraySync(), routing.ids.arraySync());
  const wanted = routed.flatMap((row, n) => plainFeedForward({ kind: "swiglu" }, scope("sharedExperts"), rowsOf(x)[n]).map((value, c) => row[c] + value));
  y.dataSync().forEach((value, i) => { expect(Math.abs(value - wanted[i])).toBeLessThan(2e-5); });
});

test("a custom expert that gives rows of another shape is refused by name", () => {
  registerExpert("narrowOfTests", { build: () => (rows) => tf.slice(rows, [0, 0], [rows.shape[0], 1]) });
  const layer = createExperts({ width: C, numLayers: 1 }, moe({ experts: { kind: "custom", name: "narrowOfTests" } }), scopeOver(emptyVariables()));
  expect(errorCode(() => layer.apply(tf.zeros([2, C]), tf.tensor1d([0, 2, 2, 2, 2], "int32"), context))).toBe("E_EXPERT_SHAPE");
});

test("a custom expert gets the settings of its config", () => {
  registerExpert("scaleOfTests", { build: (_weights, _shape, { factor }) => (rows) => tf.mul(rows, Number(factor)) });
  const layer = createExperts({ width: C, numLayers: 1 }, moe({ experts: { kind: "custom", name: "scaleOfTests", settings: { factor: 4 } } }), scopeOver(emptyVariables()));
  expect([...layer.apply(tf.ones([1, C]), tf.tensor1d([0, 1, 1, 1, 1], "int32"), context).dataSync()]).toEqual([4, 4, 4, 4, 4]);
});

test("a custom expert nobody registered is refused, with the call that is missing", () => {
  const build = (): unknown => createExperts({ width: C, numLayers: 1 }, moe({ experts: { kind: "custom", name: "forgotten" } }), scopeOver(emptyVariables()));
  expect(errorCode(build)).toBe("E_EXPERT_NOT_REGISTERED");
  expect(build).toThrow(/registerExpert\("forgotten"/);
});

describe("sizes", () => {
  test.each(kinds)("the parameters of %s experts by formula are the weights that there are", (_, experts) => {
    const variables = emptyVariables();
    const config = moe({ experts, sharedExperts: { count: 2, isGated: true }, residual: { width: 3 } });
    createExperts({ width: C, numLayers: 1 }, config, scopeOver(variables).scope("experts"));
    createSharedPath({ width: C, numLayers: 1 }, config, scopeOver(variables));
    const real = [...variables.weights.values()].reduce((sum, { size }) => sum + size, 0);
    expect(expertLayerSize(C, config).totalParameters).toBe(real);
  });

  test("FLOPs of an expert are two for each multiply-add of its products", () => {
    const flops = (expert: Parameters<typeof expertSize>[0]): number => expertSize(expert, { width: 10, expertWidth: 6 }).flopsPerToken;
    expect(flops({ kind: "geglu" })).toBe(2 * 3 * 10 * 6);
    expect(flops({ kind: "relu2", bias: true })).toBe(2 * 2 * 10 * 6);
    expect(flops({ kind: "copy" })).toBe(0);
    expect(flops({ kind: "constant" })).toBe(2 * 10 * 2);
    expect(flops({ kind: "lora", rank: 2 })).toBe(2 * (3 * 10 * 6 + 2 * (10 + 12) + 2 * (6 + 10)));
    expect(flops({ kind: "custom", name: "tanhOfTests" })).toBe(2 * 2 * 10 * 6);
  });

  test("a token uses K experts and all that is shared; groups count as their mean", () => {
    const experts: ExpertConfig = { kind: "mixed", groups: [{ count: 3, expert: { kind: "swiglu" } }, { count: 1, expert: { kind: "zero" } }] };
    const size = expertLayerSize(C, moe({ experts, sharedExperts: { count: 1, width: 8 } }));
    expect(size.activeParameters).toBe(K * 0.75 * 3 * C * H + 3 * C * 8);
    expect(size.forwardFlopsPerToken).toBe(2 * size.activeParameters);
  });

  test("fine-grained experts have the parameters and FLOPs of the wide ones", () => {
    const wide = moe({}), narrow = fineGrained(wide, 2);
    expect(narrow).toMatchObject({ numExperts: 2 * E, expertsPerToken: 2 * K, expertWidth: H / 2 });
    expect(expertLayerSize(C, narrow)).toEqual(expertLayerSize(C, wide));
    expect(errorCode(() => fineGrained(wide, 3))).toBe("E_CONFIG_FINE_GRAINED");
  });
});
