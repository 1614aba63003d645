import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { nativeMemory } from "../../toolkit/backend/memory.ts";
import { sparseLayers, transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { denseTwin, modelSize } from "../../toolkit/models/count.ts";
import { preset, presetNames, type PresetName } from "../../toolkit/models/presets.ts";
import { compareWithDenseTwin } from "../../toolkit/models/sizeComparison.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { KeyValueCache } from "../../toolkit/nn/attention.ts";
import { crossEntropy } from "../../toolkit/ops/crossEntropy.ts";

const hasNative = (await chooseBackend()).name === "native";

const small: TransformerSettings = { vocabSize: 40, numLayers: 2, width: 24, numHeads: 3, contextLength: 16, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 20 } };

/** Weights that the model really has. */
function realParameters(model: Transformer): number {
  return [...model.parameters().values()].reduce((sum, weight) => sum + weight.size, 0);
}

describe("parameters", () => {
  test.each<[string, Partial<TransformerSettings>]>([
    ["tied embeddings", { tiedEmbeddings: true }],
    ["a head of its own", { tiedEmbeddings: false }],
    ["norms with a bias", { norm: "layer" }],
    ["norms of queries and keys, head by head, and biases", { numHeads: 4, numKeyValueHeads: 2, qkNorm: "head", attentionBias: true }],
    ["norms of all queries and all keys", { numHeads: 4, numKeyValueHeads: 2, qkNorm: "whole" }],
    ["dense layers of another kind", { numLayers: 5, firstDenseLayers: 2, moeEvery: 2, denseWidth: 31, denseExpert: { kind: "relu2", bias: true } }],
    ["shared experts", { moe: { ...small.moe, sharedExperts: { count: 2, isGated: true } } }],
    ["a hash router", { moe: { ...small.moe, router: { kind: "hash" } } }],
    ["a router with learned noise", { moe: { ...small.moe, router: { kind: "noisyTopK" } } }],
  ])("with %s, totalParameters is the number of weights that the model has", (_, change) => {
    const model = new Transformer(transformerConfig({ ...small, ...change }));
    expect(modelSize(model.config).totalParameters).toBe(realParameters(model));
    model.dispose();
  });

  test("a dense model is all active", () => {
    const config = transformerConfig({ vocabSize: 40, numLayers: 3, width: 24, numHeads: 3, contextLength: 16, denseWidth: 50 });
    const model = new Transformer(config);
    expect(modelSize(config).totalParameters).toBe(realParameters(model));
    expect(modelSize(config).activeParameters).toBe(modelSize(config).totalParameters);
    expect(model.forward(tf.tensor2d([[1, 2, 3]], [1, 3], "int32")).routing).toEqual([]);
  });

  test.each([true, false])("active parameters leave out the E − K idle experts and nothing else (tiedEmbeddings: %s)", (tiedEmbeddings) => {
    const { totalParameters, activeParameters } = modelSize(transformerConfig({ ...small, tiedEmbeddings }));
    expect(totalParameters - activeParameters).toBe(2 * (4 - 2) * 3 * 24 * 20);
  });
});

describe("presets", () => {
  /** Billions, to the digit that was published. Sources: Mistral's announcement of Mixtral 8x7B; arXiv:2112.06905 table 4;
   *  arXiv:2409.02060; model card of Qwen/Qwen3-30B-A3B; arXiv:2401.06066 */
  test.each<[PresetName, number, number, number]>([
    ["mixtral", 46.7, 12.9, 0.1], ["glam", 1200, 96.6, 0.1], ["olmoe", 6.9, 1.3, 0.1], ["qwen3Moe", 30.5, 3.3, 0.1], ["deepseekMoe", 16.4, 2.8, 0.1],
  ])("%s has the published %d B weights, %d B of them active", (name, total, active, digit) => {
    const { totalParameters, activeParameters } = modelSize(preset(name));
    const totalDigit = total >= 1000 ? 100 : digit; // "1.2 T"
    // Some publish rounded figures, some cut ones: Qwen3's 3.35 B are its "3.3 B".
    const distance = (ours: number, published: number, step: number): number => Math.min(Math.abs(Math.round(ours / step) * step - published), Math.abs(Math.floor(ours / step) * step - published));
    expect(distance(totalParameters / 1e9, total, totalDigit)).toBeLessThan(1e-6 * total);
    expect(distance(activeParameters / 1e9, active, digit)).toBeLessThan(1e-6 * active);
  });

  /** From the index of the published weights: bytes / 2 for bfloat16. */
  test.each<[PresetName, number]>([["mixtral", 46_702_792_704], ["olmoe", 6_919_161_856], ["qwen3Moe", 30_532_122_624], ["deepseekMoe", 16_375_728_128]])(
    "%s has exactly the %d weights of the published files", (name, weights) => {
      expect(modelSize(preset(name)).totalParameters).toBe(weights);
    });

  test.each(presetNames)("%s has a tiny form of the same shape, whose weights are counted right", (name) => {
    const [tiny, published] = [preset(name, { scale: "tiny" }), preset(name)];
    const model = new Transformer(tiny);
    expect(modelSize(tiny).totalParameters).toBe(realParameters(model));
    expect(tiny.moe.expertWidth / tiny.width).toBeCloseTo(published.moe.expertWidth / published.width, 1);
    expect(tiny.moe.router.kind).toBe(published.moe.router.kind);
    expect(tiny.moe.experts).toEqual(published.moe.experts);
    expect([tiny.moeEvery, tiny.qkNorm, tiny.tiedEmbeddings, tiny.denseExpert]).toEqual([published.moeEvery, published.qkNorm, published.tiedEmbeddings, published.denseExpert]);
    expect(tiny.numHeads / tiny.numKeyValueHeads).toBe(published.numHeads / published.numKeyValueHeads);
    expect(Math.sign(tiny.firstDenseLayers)).toBe(Math.sign(published.firstDenseLayers));
    model.dispose();
  });

  test.each(presetNames)("the tiny %s predicts each token from those before it, and every weight has a gradient", (name) => {
    const model = new Transformer(preset(name, { scale: "tiny" }));
    const ids = Array.from({ length: 12 }, (_, i) => (i * 37) % 512);
    const scores = (last: number) => tf.tidy(() => model.forward(tf.tensor2d([[...ids, last]], [1, 13], "int32")).logits.dataSync().slice(0, 12 * 512));
    expect(Array.from(scores(5))).toEqual(Array.from(scores(400)));
    const { value, grads } = tf.variableGrads(() => crossEntropy(model.forward(tf.tensor2d([ids], [1, 12], "int32")).logits, tf.tensor1d(ids.map((id) => (id + 100) % 512), "int32")));
    expect(value.dataSync()[0]).toBeCloseTo(Math.log(512), 0);
    for (const [weightName, weight] of model.parameters()) {
      const norm = tf.norm(grads[weight.name]).dataSync()[0];
      expect([weightName, Number.isFinite(norm) && norm > 0]).toEqual([weightName, true]);
    }
    tf.dispose([value, grads]);
    model.dispose();
  });

  test("a preset takes overrides, of moe one by one", () => {
    const config = preset("olmoe", { scale: "tiny", vocabSize: 99, moe: { numExperts: 8 } });
    expect([config.vocabSize, config.moe.numExperts, config.moe.expertsPerToken, config.qkNorm]).toEqual([99, 8, 2, "whole"]);
  });
});

describe("FLOPs", () => {
  test("they grow with K and not with E, but for the router", () => {
    const flops = (numExperts: number, expertsPerToken: number) => modelSize(transformerConfig({ ...small, moe: { ...small.moe, numExperts, expertsPerToken } })).forwardFlopsPerToken;
    expect(flops(64, 2) - flops(4, 2)).toBe(2 * 2 * 24 * 60);
    expect(flops(4, 3) - flops(4, 2)).toBe(2 * 2 * 3 * 24 * 20);
  });

  test("a sliding window leaves out the scores of keys that a token doesn't see", () => {
    const flops = (slidingWindow?: number) => modelSize(transformerConfig({ ...small, slidingWindow })).forwardFlopsPerToken;
    // Of 16 tokens, with a window of 5: 1 + 2 + 3 + 4 + 12 · 5 keys instead of 1 + … + 16.
    expect(flops() - flops(5)).toBeCloseTo((2 * 4 * 24 * (136 - 70)) / 16, 6);
    expect(flops(16)).toBe(flops());
  });

  test.each(presetNames)("the dense twin of %s needs the same FLOPs to 1 % and has no experts", (name) => {
    for (const scale of ["published", "tiny"] as const) {
      const config = preset(name, { scale });
      const twin = denseTwin(config);
      const ratio = modelSize(twin).forwardFlopsPerToken / modelSize(config).forwardFlopsPerToken;
      expect(Math.abs(ratio - 1)).toBeLessThan(0.01);
      expect(sparseLayers(twin)).toEqual([]);
      expect([twin.width, twin.numHeads, twin.vocabSize, twin.contextLength]).toEqual([config.width, config.numHeads, config.vocabSize, config.contextLength]);
    }
  });

  test("Mixtral's dense twin is as wide as the two experts of a token and the router", () => {
    // Router: 2·C·E FLOPs; a column of SwiGLU: 6·C. 8/3 columns more than 2 · 14336.
    expect(denseTwin(preset("mixtral")).denseWidth).toBe(2 * 14_336 + 3);
  });
});

describe("memory", () => {
  test("the key/value cache has the size of the tensors that decoding keeps, and a window bounds it", () => {
    for (const slidingWindow of [undefined, 5]) {
      const config = transformerConfig({ ...small, numHeads: 4, headSize: 6, numKeyValueHeads: 2, slidingWindow });
      const model = new Transformer(config);
      const cache: KeyValueCache[] = [{}, {}];
      for (let token = 0; token < 16; token++) tf.tidy(() => { model.forward(tf.tensor2d([[token]], [1, 1], "int32"), { cache }); });
      const bytes = cache.reduce((sum, { key, value }) => sum + 4 * ((key?.size ?? 0) + (value?.size ?? 0)), 0);
      expect(modelSize(config).kvCacheBytes).toBe(bytes);
      expect(modelSize(config).kvCacheBytesPerToken).toBe(bytes / (slidingWindow ?? 16));
      model.dispose();
    }
  });

  test("weights, gradients and two moments take four floats a parameter", () => {
    const { totalParameters, weightBytes, gradientBytes, momentBytes } = modelSize(transformerConfig(small));
    expect(weightBytes + gradientBytes + momentBytes).toBe(16 * totalParameters);
  });

  test.runIf(hasNative)("activations of SwiGLU experts are estimated to a third of what a training step holds", () => {
    for (const name of ["mixtral", "olmoe", "qwen3Moe"] as const) {
      const model = new Transformer(preset(name, { scale: "tiny" }));
      const before = nativeMemory()?.storedBytes ?? NaN;
      let held = NaN;
      tf.tidy(() => tf.variableGrads(() => {
        const loss = crossEntropy(model.forward(tf.zeros([8, 64], "int32")).logits, tf.zeros([8 * 64], "int32"));
        held = (nativeMemory()?.storedBytes ?? NaN) - before;
        return loss;
      }));
      const ratio = held / (8 * 64) / modelSize(model.config).activationBytesPerToken;
      expect([name, Math.abs(Math.log(ratio)) < Math.log(4 / 3)]).toEqual([name, true]);
      model.dispose();
    }
  });

  test("decoding reads the active weights, one row of the embedding, and the cache", () => {
    const size = modelSize(transformerConfig({ ...small, tiedEmbeddings: false }));
    expect(size.decodeBytesPerToken).toBe(4 * (size.activeParameters - 39 * 24) + size.kvCacheBytes);
  });
});

test("a comparison with the dense twin shows itself as a table in a notebook", () => {
  const comparison = compareWithDenseTwin(preset("mixtral"));
  const { [Symbol.for("Jupyter.display")]: display } = comparison as unknown as Record<symbol, () => Record<string, string>>;
  const shown = display.call(comparison);
  expect(shown["text/html"]).toContain("46.7 G");
  expect(shown["text/plain"]).toMatch(/^parameters +46\.7 G +12\.\d G +3\.6\d$/m);
  expect(shown["text/plain"]).toContain("2 of 8 experts");
});
