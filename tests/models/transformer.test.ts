import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { ConfigError } from "../../toolkit/errors.ts";
import { sparseLayers, transformerConfig, type TransformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { KeyValueCache } from "../../toolkit/nn/attention.ts";
import { plainDecoder } from "./plainDecoder.ts";

beforeAll(async () => { await chooseBackend(); });

const small: TransformerSettings = { vocabSize: 40, numLayers: 2, width: 24, numHeads: 3, contextLength: 16, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 20 } };
const grouped = { numHeads: 4, headSize: 6, numKeyValueHeads: 2 } as const;
const ids = [3, 17, 0, 39, 5, 5, 21, 8];

/** Fresh weights are so small that every output is near zero; larger ones make differences visible. */
function modelOf(settings: TransformerSettings): Transformer {
  const model = new Transformer(transformerConfig(settings), { seed: 7 });
  for (const [name, weight] of model.parameters()) {
    // Gains and biases are 1 and 0 at first, which would hide a wrong one.
    if (weight.rank === 1) weight.assign(tf.add(weight, tf.mul(0.3, tf.sin(tf.range(1, weight.size + 1)))));
    else weight.assign(tf.mul(weight, name === "embedding" ? 40 : 12));
  }
  return model;
}

function weightsOf(model: Transformer) {
  return (name: string) => {
    const weight = model.parameters().get(name);
    if (!weight) throw new Error(`no weight ${name}`);
    return { shape: weight.shape, data: weight.dataSync() };
  };
}

describe("the decoder", () => {
  test.each<[string, TransformerSettings]>([
    ["with tied embeddings and renormalised top-2", small],
    ["with its own head, grouped key/value heads and raw top-1 weights", {
      ...small, numHeads: 4, headSize: 6, numKeyValueHeads: 2, tiedEmbeddings: false,
      moe: { ...small.moe, expertsPerToken: 1, router: { kind: "topK", renormalize: false } } }],
    ["with all experts chosen", { ...small, moe: { ...small.moe, expertsPerToken: 4 } }],
    ["with a norm of each query and key head, and biases", { ...small, ...grouped, qkNorm: "head", attentionBias: true }],
    ["with one norm of all queries and one of all keys", { ...small, ...grouped, qkNorm: "whole" }],
    ["with layer norms", { ...small, norm: "layer" }],
    ["with a sliding window", { ...small, ...grouped, slidingWindow: 3 }],
    ["with a window of one token", { ...small, slidingWindow: 1 }],
    ["with every second layer dense", { ...small, numLayers: 4, moeEvery: 2, denseWidth: 18 }],
    ["with dense first layers", { ...small, numLayers: 3, firstDenseLayers: 2 }],
    ["with dense layers only", { ...small, firstDenseLayers: 2 }],
  ])("%s gives the scores of a plain loop over the formulas", (_, settings) => {
    const model = modelOf(settings);
    const expected = plainDecoder(model.config, weightsOf(model), ids);
    const { logits, routing } = model.forward(tf.tensor2d(ids, [1, ids.length], "int32"));
    const scale = Math.max(...expected.logits.flat().map(Math.abs));
    Array.from(logits.dataSync()).forEach((score, i) => expect(Math.abs(score - expected.logits.flat()[i])).toBeLessThan(2e-5 * scale));
    expect(routing.map(({ layer }) => layer)).toEqual(sparseLayers(model.config));
    routing.forEach((record) => expect(Array.from(record.ids.dataSync())).toEqual(expected.experts[record.layer].flat()));
  });

  test.each<[string, TransformerSettings]>([
    ["", small], [" with a sliding window", { ...small, ...grouped, slidingWindow: 3 }], [" with a window of one token", { ...small, slidingWindow: 1 }],
    [" and dense layers", { ...small, firstDenseLayers: 1 }],
  ])("decoding with a cache, in any pieces, gives the scores of one pass%s", (_, settings) => {
    const model = modelOf(settings);
    const whole = model.forward(tf.tensor2d(ids, [1, ids.length], "int32")).logits.dataSync();
    const cache: KeyValueCache[] = [{}, {}];
    const pieces = [ids.slice(0, 3), ids.slice(3, 4), ids.slice(4, 8)].flatMap((piece) => Array.from(model.forward(tf.tensor2d(piece, [1, piece.length], "int32"), { cache }).logits.dataSync()));
    const scale = Math.max(...whole.map(Math.abs));
    pieces.forEach((score, i) => expect(Math.abs(score - whole[i])).toBeLessThan(1e-5 * scale));
  });

  test("a later token changes no earlier score", () => {
    const model = modelOf(small);
    const scores = (last: number) => model.forward(tf.tensor2d([...ids.slice(0, 7), last], [1, 8], "int32")).logits.dataSync().slice(0, 7 * 40);
    expect(Array.from(scores(1))).toEqual(Array.from(scores(30)));
  });

  test.each<[string, TransformerSettings]>([["", small], [" with a sliding window", { ...small, slidingWindow: 3 }]])(
    "packed documents have the scores of a plain loop in which each sees itself only%s", (_, settings) => {
      const model = modelOf(settings);
      const rows = [[0, 0, 0, 0, 0, 5, 5, 7], ids.map(() => 0)];
      const { logits } = model.forward(tf.tensor2d([ids, ids], [2, 8], "int32"), { documentStart: tf.tensor1d(rows.flat(), "int32") });
      const expected = rows.flatMap((row) => plainDecoder(model.config, weightsOf(model), ids, row).logits.flat());
      const scale = Math.max(...expected.map(Math.abs));
      Array.from(logits.dataSync()).forEach((score, i) => expect(Math.abs(score - expected[i])).toBeLessThan(2e-5 * scale));
    });

  test("a packed document has the scores that it has alone in a row", () => {
    const model = modelOf(small);
    const packed = model.forward(tf.tensor2d([ids], [1, 8], "int32"), { documentStart: tf.tensor1d([0, 0, 0, 3, 3, 3, 3, 3], "int32") }).logits.dataSync();
    const alone = model.forward(tf.tensor2d([ids.slice(3)], [1, 5], "int32")).logits.dataSync();
    const scale = Math.max(...alone.map(Math.abs));
    alone.forEach((score, i) => expect(Math.abs(score - packed[3 * 40 + i])).toBeLessThan(1e-5 * scale));
  });

  test("a cache and documentStart together are refused", () => {
    expect(() => modelOf(small).forward(tf.zeros([1, 2], "int32"), { cache: [{}, {}], documentStart: tf.zeros([2], "int32") })).toThrow(/E_CACHE_DOCUMENTS/);
  });

  test("of a sliding window the cache keeps the window's keys only", () => {
    const model = modelOf({ ...small, slidingWindow: 3 });
    const cache: KeyValueCache[] = [{}, {}];
    const before = tf.memory().numTensors;
    for (const piece of [ids, ids.slice(0, 1), ids.slice(1, 3)]) tf.tidy(() => { model.forward(tf.tensor2d(piece, [1, piece.length], "int32"), { cache }); });
    expect(cache.map(({ key, value, numSeen }) => [key?.shape[1], value?.shape[1], numSeen])).toEqual([[3, 3, 11], [3, 3, 11]]);
    expect(tf.memory().numTensors - before).toBe(4);
  });

  test("a config of an older version, without the later settings, is a model as it was", () => {
    const older = { vocabSize: 40, numLayers: 2, width: 24, numHeads: 3, numKeyValueHeads: 3, headSize: 8, contextLength: 16, ropeBase: 10_000, normEpsilon: 1e-5, tiedEmbeddings: true,
      moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 20, router: { kind: "topK", renormalize: true }, capacity: { kind: "dropless" }, balanceLossWeight: 0.01, zLossWeight: 0.001 } };
    const model = new Transformer(older as TransformerConfig);
    expect(model.config).toEqual(transformerConfig(small));
    expect([...model.parameters().keys()].slice(0, 10)).toEqual(["embedding", ...["attentionNorm", "attention.query", "attention.key", "attention.value", "attention.output", "moeNorm",
      "moe.router.gate", "moe.experts.gateUp", "moe.experts.down"].map((name) => `layers.0.${name}`)]);
  });

  test("after a step, the counts of the sparse layers reach their routers in order", () => {
    const model = modelOf({ ...small, numLayers: 4, moeEvery: 2, moe: { ...small.moe, router: { kind: "sigmoid", biasUpdateRate: 0.5 } } });
    model.afterStep([Float64Array.of(4, 0, 0, 0), Float64Array.of(0, 0, 0, 4)]);
    const biases = [...model.buffers()].filter(([name]) => name.endsWith(".bias"));
    expect(biases.map(([name, bias]) => [name, Array.from(bias.dataSync())])).toEqual([
      ["layers.1.moe.router.bias", [-0.5, 0.5, 0.5, 0.5]], ["layers.3.moe.router.bias", [0.5, 0.5, 0.5, -0.5]]]);
  });

  test("rows of a batch don't see each other", () => {
    const model = modelOf(small);
    const scores = (other: number) => model.forward(tf.tensor2d([...ids, ...ids.map(() => other)], [2, 8], "int32")).logits.dataSync().slice(0, 8 * 40);
    const [a, b] = [scores(1), scores(30)];
    a.forEach((score, i) => expect(Math.abs(score - b[i])).toBeLessThan(1e-5));
  });

  test("the same seed gives the same weights, another seed others", () => {
    const bits = (seed: number) => new Transformer(transformerConfig(small), { seed }).parameters().get("layers.1.moe.experts.gateUp")?.dataSync();
    expect(bits(1)).toEqual(bits(1));
    expect(bits(1)).not.toEqual(bits(2));
  });

  test("more tokens than contextLength are refused", () => {
    expect(() => modelOf(small).forward(tf.zeros([1, 17], "int32"))).toThrow(/E_CONTEXT_LENGTH/);
  });

  test("dispose frees every weight", () => {
    const before = tf.memory().numTensors;
    new Transformer(transformerConfig(small)).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("configs that cannot be", () => {
  test.each<[string, Partial<TransformerSettings>, string]>([
    ["a misspelt setting", { numLayer: 3 } as Partial<TransformerSettings>, "E_CONFIG_UNKNOWN"],
    ["more experts per token than experts", { moe: { ...small.moe, expertsPerToken: 5 } }, "E_CONFIG_EXPERTS_PER_TOKEN"],
    ["heads that don't divide the width", { numHeads: 5 }, "E_CONFIG_HEADS"],
    ["key/value heads that don't divide the heads", { numKeyValueHeads: 2 }, "E_CONFIG_KEY_VALUE_HEADS"],
    ["an odd head size", { headSize: 7 }, "E_CONFIG_HEAD_SIZE"],
    ["no layers", { numLayers: 0 }, "E_CONFIG_COUNT"],
    ["a broken count", { vocabSize: 10.5 }, "E_CONFIG_COUNT"],
    ["a window of no tokens", { slidingWindow: 0 }, "E_CONFIG_COUNT"],
    ["more dense layers than layers", { firstDenseLayers: 3 }, "E_CONFIG_DENSE_LAYERS"],
    ["experts in no layer, unsaid", { moeEvery: 3 }, "E_CONFIG_MOE_EVERY"],
    ["a dense width that isn't a count", { denseWidth: 1.5 }, "E_CONFIG_COUNT"],
    ["dense layers that aren't a feed-forward part", { denseExpert: { kind: "copy" } as never }, "E_CONFIG_EXPERT_KIND"],
    ["an unknown norm", { norm: "batch" as never }, "E_CONFIG_KIND"],
    ["an unknown norm of queries and keys", { qkNorm: "all" as never }, "E_CONFIG_KIND"],
    ["a flag that isn't one", { attentionBias: "no" as never }, "E_CONFIG_FLAG"],
    ["neither experts nor a dense width", { moe: undefined }, "E_CONFIG_NO_FEED_FORWARD"],
    ["a negative loss weight", { moe: { ...small.moe, balanceLossWeight: -1 } }, "E_CONFIG_WEIGHT"],
    ["one renormalised expert", { moe: { ...small.moe, expertsPerToken: 1, router: { kind: "topK", renormalize: true } } }, "E_CONFIG_TOP1_RENORMALIZE"],
  ])("%s", (_, change, code) => {
    let error: unknown;
    try { transformerConfig({ ...small, ...change }); } catch (e) { error = e; }
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ code });
  });
});
