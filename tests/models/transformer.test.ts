import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { ConfigError } from "../../toolkit/errors.ts";
import { transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { KeyValueCache } from "../../toolkit/nn/attention.ts";
import { plainDecoder } from "./plainDecoder.ts";

beforeAll(async () => { await chooseBackend(); });

const small: TransformerSettings = { vocabSize: 40, numLayers: 2, width: 24, numHeads: 3, contextLength: 16, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 20 } };
const ids = [3, 17, 0, 39, 5, 5, 21, 8];

/** Fresh weights are so small that every output is near zero; larger ones make differences visible. */
function modelOf(settings: TransformerSettings): Transformer {
  const model = new Transformer(transformerConfig(settings), { seed: 7 });
  for (const [name, weight] of model.parameters()) if (weight.rank > 1) weight.assign(tf.mul(weight, name === "embedding" ? 40 : 12));
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
  ])("%s gives the scores of a plain loop over the formulas", (_, settings) => {
    const model = modelOf(settings);
    const expected = plainDecoder(model.config, weightsOf(model), ids);
    const { logits, routing } = model.forward(tf.tensor2d(ids, [1, ids.length], "int32"));
    const scale = Math.max(...expected.logits.flat().map(Math.abs));
    Array.from(logits.dataSync()).forEach((score, i) => expect(Math.abs(score - expected.logits.flat()[i])).toBeLessThan(2e-5 * scale));
    routing.forEach((record) => expect(Array.from(record.ids.dataSync())).toEqual(expected.experts[record.layer].flat()));
  });

  test("decoding with a cache, in any pieces, gives the scores of one pass", () => {
    const model = modelOf(small);
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

describe("model size", () => {
  test.each([true, false])("total parameters equal the weights that the model really has (tiedEmbeddings: %s)", (tiedEmbeddings) => {
    const model = new Transformer(transformerConfig({ ...small, tiedEmbeddings }));
    const real = [...model.parameters().values()].reduce((sum, weight) => sum + weight.size, 0);
    expect(modelSize(model.config).totalParameters).toBe(real);
  });

  test("active parameters leave out the E − K idle experts", () => {
    const config = transformerConfig(small);
    const { totalParameters, activeParameters } = modelSize(config);
    expect(totalParameters - activeParameters).toBe(2 * (4 - 2) * 3 * 24 * 20);
  });

  test("FLOPs grow with K and not with E, but for the router", () => {
    const flops = (numExperts: number, expertsPerToken: number) => modelSize(transformerConfig({ ...small, moe: { ...small.moe, numExperts, expertsPerToken } })).forwardFlopsPerToken;
    expect(flops(64, 2) - flops(4, 2)).toBe(2 * 2 * 24 * 60);
    expect(flops(4, 3) - flops(4, 2)).toBe(2 * 2 * 3 * 24 * 20);
  });
});

describe("configs that cannot be", () => {
  test.each<[string, Partial<TransformerSettings>, string]>([
    ["more experts per token than experts", { moe: { ...small.moe, expertsPerToken: 5 } }, "E_CONFIG_EXPERTS_PER_TOKEN"],
    ["heads that don't divide the width", { numHeads: 5 }, "E_CONFIG_HEADS"],
    ["key/value heads that don't divide the heads", { numKeyValueHeads: 2 }, "E_CONFIG_KEY_VALUE_HEADS"],
    ["an odd head size", { headSize: 7 }, "E_CONFIG_HEAD_SIZE"],
    ["no layers", { numLayers: 0 }, "E_CONFIG_COUNT"],
    ["a broken count", { vocabSize: 10.5 }, "E_CONFIG_COUNT"],
    ["a negative loss weight", { moe: { ...small.moe, balanceLossWeight: -1 } }, "E_CONFIG_WEIGHT"],
    ["one renormalised expert", { moe: { ...small.moe, expertsPerToken: 1, router: { kind: "topK", renormalize: true } } }, "E_CONFIG_TOP1_RENORMALIZE"],
  ])("%s", (_, change, code) => {
    let error: unknown;
    try { transformerConfig({ ...small, ...change }); } catch (e) { error = e; }
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ code });
  });
});
