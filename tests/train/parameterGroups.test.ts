import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { StepRecord } from "../../toolkit/train/metrics.ts";
import { AdamW } from "../../toolkit/train/optimizer.ts";
import { parameterSettings } from "../../toolkit/train/parameterGroups.ts";
import { recipe, type RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

beforeAll(async () => { await chooseBackend(); });

const ids = Int32Array.from({ length: 2000 }, (_, i) => (i * 7) % 23);
const data = { train: ids, validation: ids.subarray(0, 100) };
const config = transformerConfig({ vocabSize: 23, numLayers: 2, width: 16, numHeads: 2, contextLength: 12, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } });
const fresh = () => new Transformer(config, { seed: 1 });
const settings: RecipeSettings = { steps: 4, batchSize: 4, contextLength: 12, warmupSteps: 0, learningRate: 1e-2 };
const bitsOf = (model: Transformer) => new Map([...model.parameters()].map(([name, weight]) => [name, Float32Array.from(weight.dataSync())]));
const settingsOf = (change: Partial<RecipeSettings>) => parameterSettings(fresh().parameters(), recipe({ ...settings, weightDecay: 0.1, ...change }));

describe("frozen weights", () => {
  test("keep every bit while all others learn, and have no moments", async () => {
    const model = fresh(), before = bitsOf(model);
    const parameterGroups = [{ match: ["layers.*.moe.experts.*", "embedding"], isFrozen: true }];
    await train(model, data, { ...settings, parameterGroups });
    for (const [name, values] of bitsOf(model)) {
      const isFrozen = name === "embedding" || name.includes("experts");
      expect(Buffer.from(values.buffer).equals(Buffer.from(before.get(name)?.buffer ?? new ArrayBuffer(0))), name).toBe(isFrozen);
    }
    const optimizer = new AdamW(model.parameters(), recipe({ ...settings, parameterGroups }));
    expect([...optimizer.moments().keys()].some((name) => name.includes("experts") || name.includes("embedding"))).toBe(false);
    optimizer.dispose();
  });

  test("don't change how the others learn, but for the clipping by the norm over all", async () => {
    // The final norm reads what all blocks made, so that its own gradient does not depend on which of them are trained.
    const only = async (match: string) => {
      const model = fresh();
      await train(model, data, { ...settings, steps: 1, maxGradientNorm: 1e9, parameterGroups: [{ match: "**", isFrozen: true }, { match, isFrozen: false }] });
      return bitsOf(model);
    };
    const all = fresh();
    await train(all, data, { ...settings, steps: 1, maxGradientNorm: 1e9 });
    expect((await only("finalNorm")).get("finalNorm")).toEqual(bitsOf(all).get("finalNorm"));
  });

  test("of a model with LoRA are all but its adapters", async () => {
    const model = new Transformer(transformerConfig({ ...config, lora: { targets: ["layers.*.attention.*"], rank: 2 } }), { seed: 1 }), before = bitsOf(model);
    await train(model, data, settings);
    const changed = [...bitsOf(model)].filter(([name, values]) => values.some((value, i) => value !== before.get(name)?.[i])).map(([name]) => name);
    const optimizer = new AdamW(model.parameters(), recipe(settings));
    expect(changed).toEqual([...optimizer.trained.keys()]);
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.every((name) => name.includes(".attention."))).toBe(true);
    optimizer.dispose();
  });

  test("of all weights are refused", () => {
    expect(() => settingsOf({ parameterGroups: [{ match: "**", isFrozen: true }] })).toThrow(expect.objectContaining({ code: "E_CONFIG_ALL_FROZEN" }));
  });
});

describe("groups", () => {
  test("scale the learning rate of their weights: the first update of Adam is the rate itself in each element", async () => {
    const [plain, grouped] = [fresh(), fresh()], before = bitsOf(plain);
    const once: RecipeSettings = { ...settings, steps: 1, schedule: { kind: "constant" }, weightDecay: 0, maxGradientNorm: 1e9, adamEpsilon: 1e-20 };
    const records: StepRecord[] = [];
    await train(plain, data, once);
    await train(grouped, data, { ...once, parameterGroups: [{ match: "**.router.**", learningRateRatio: 0.25 }, { match: "**.experts.down", learningRateRatio: 2 }] }, { onStep: (record) => records.push(record) });
    const moved = (model: Transformer, name: string) => Math.abs((bitsOf(model).get(name)?.[0] ?? 0) - (before.get(name)?.[0] ?? 0));
    for (const [name, ratio] of [["layers.0.moe.router.gate", 0.25], ["layers.1.moe.experts.down", 2], ["finalNorm", 1]] as const) {
      expect(moved(plain, name)).toBeCloseTo(1e-2, 5);
      expect(moved(grouped, name)).toBeCloseTo(ratio * 1e-2, 5);
    }
    expect(records[0].groupLearningRates).toEqual({ "**.router.**": 0.25e-2, "**.experts.down": 2e-2 });
  });

  test("matrices are decayed, gains of norms are not, embeddings by setting", () => {
    const decayOf = (change: Partial<RecipeSettings>, name: string) => settingsOf(change).get(name)?.weightDecay;
    expect(["layers.0.moe.experts.down", "layers.0.moe.router.gate", "embedding", "finalNorm", "layers.1.moeNorm"].map((name) => decayOf({}, name))).toEqual([0.1, 0.1, 0.1, 0, 0]);
    expect(decayOf({ decayEmbeddings: false }, "embedding")).toBe(0);
    expect(decayOf({ decayNormsAndBiases: true }, "finalNorm")).toBe(0.1);
  });

  test("stacked biases of experts are biases, though they have two dimensions", () => {
    const decay = { weightDecay: 0.1, decayNormsAndBiases: false, decayEmbeddings: true, parameterGroups: [] };
    expect(parameterSettings(new Map([["layers.0.moe.experts.upBias", { rank: 2 }], ["layers.0.moe.experts.up", { rank: 3 }]]), decay).get("layers.0.moe.experts.upBias")?.weightDecay).toBe(0);
  });

  test("of several that match the later decides, setting by setting", () => {
    const found = settingsOf({ parameterGroups: [{ match: "layers.**", learningRateRatio: 0.5, weightDecay: 0.3 }, { match: "**.router.**", learningRateRatio: 2 }, { match: "finalNorm", weightDecay: 0.7 }] });
    expect(found.get("layers.0.moe.router.gate")).toEqual({ learningRateRatio: 2, weightDecay: 0.3, isFrozen: false });
    expect(found.get("finalNorm")).toEqual({ learningRateRatio: 1, weightDecay: 0.7, isFrozen: false });
  });

  test("that match no weight are refused, and train leaves no tensors behind then", async () => {
    const model = fresh(), before = tf.memory().numTensors;
    await expect(train(model, data, { ...settings, parameterGroups: [{ match: "layers.*.moe.routr.**", isFrozen: true }] })).rejects.toMatchObject({ code: "E_WEIGHT_PATTERN" });
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each([[{ match: "" }], [{ match: [] }], [{ match: "**", learningRateRatio: -1 }], [{ match: "**", isFreezing: true }]])("%j is refused", (group) => {
    expect(() => recipe({ ...settings, parameterGroups: [group] })).toThrow(/E_CONFIG/);
  });
});
