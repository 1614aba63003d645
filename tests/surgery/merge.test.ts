import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import type { Transformer } from "../../toolkit/models/transformer.ts";
import type { FeedForwardConfig } from "../../toolkit/moe/expertConfig.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { mergeExperts } from "../../toolkit/surgery/merge.ts";
import { errorCode } from "../ops/backends.ts";
import { distance, logitsOf, randomModel, small, valuesOf, weightOf } from "./smallModels.ts";

beforeAll(async () => { await chooseBackend(); });

const [C, H, E] = [8, 6, 4];

/** Makes all experts of each layer compute what expert 0 does, each with its hidden neurons in another order. */
function makeAlike(model: Transformer, isShuffled: boolean): void {
  for (let layer = 0; layer < 2; layer++) {
    const orders = Array.from({ length: E }, (_, e) => (isShuffled && e > 0 ? [...new RandomSource(e, layer).permutation(H)] : [...Array(H).keys()]));
    for (const [name, variable] of model.parameters()) {
      const [, inner] = new RegExp(`^layers\\.${layer}\\.moe\\.experts\\.(.*)$`).exec(name) ?? [];
      if (inner === undefined) continue;
      const values = variable.dataSync<"float32">().slice();
      const size = values.length / E;
      for (let e = 1; e < E; e++) for (let i = 0; i < size; i++) {
        const h = inner === "down" ? Math.floor(i / C) : i % H;
        const from = inner === "downBias" ? i : inner === "down" ? orders[e][h] * C + (i % C) : i - h + orders[e][h];
        values[e * size + i] = values[from];
      }
      variable.assign(tf.tensor(values, variable.shape));
    }
  }
}

describe("merging", () => {
  test.each<[FeedForwardConfig["kind"], boolean]>([["swiglu", false], ["geglu", true], ["relu", true], ["gelu", false]])("%s experts that compute the same changes no output, even with their neurons in different orders", (kind, bias) => {
    const model = randomModel({ ...small, moe: { ...small.moe, experts: { kind, bias } } });
    makeAlike(model, true);
    const merged = mergeExperts(model, { groups: [[0, 2], [1, 3]], loads: [[1, 2, 3, 4], [4, 3, 2, 1]] });
    expect(merged.config.moe.numExperts).toBe(2);
    expect(distance(logitsOf(merged), logitsOf(model))).toBeLessThan(1e-5);
  });

  test("without aligning, the mean of shuffled experts computes something else", () => {
    const model = randomModel(small);
    makeAlike(model, true);
    expect(distance(logitsOf(mergeExperts(model, { groups: [[0, 2], [1, 3]], align: false })), logitsOf(model))).toBeGreaterThan(0.01);
    makeAlike(model, false);
    expect(distance(logitsOf(mergeExperts(model, { groups: [[0, 2], [1, 3]], align: false })), logitsOf(model))).toBeLessThan(1e-5);
  });

  test("experts and router columns become means weighted by load; the others stay, in the order of their ids", () => {
    const model = randomModel(small);
    const merged = mergeExperts(model, { groups: [[1, 3]], loads: [[9, 1, 9, 3], [1, 0, 1, 0]], align: false });
    const mean = (layer: number, [a, b]: [number, number]): void => {
      const down = valuesOf(model, `layers.${layer}.moe.experts.down`), gate = valuesOf(model, `layers.${layer}.moe.router.gate`);
      const [newDown, newGate] = [valuesOf(merged, `layers.${layer}.moe.experts.down`), valuesOf(merged, `layers.${layer}.moe.router.gate`)];
      const size = H * C;
      for (let i = 0; i < size; i++) {
        expect(newDown[i]).toBe(down[i]);
        expect(newDown[size + i]).toBeCloseTo(a * down[size + i] + b * down[3 * size + i], 6);
        expect(newDown[2 * size + i]).toBe(down[2 * size + i]);
      }
      for (let c = 0; c < C; c++) {
        expect(newGate[c * 3]).toBe(gate[c * 4]);
        expect(newGate[c * 3 + 1]).toBeCloseTo(a * gate[c * 4 + 1] + b * gate[c * 4 + 3], 6);
        expect(newGate[c * 3 + 2]).toBe(gate[c * 4 + 2]);
      }
    };
    mean(0, [0.25, 0.75]);
    mean(1, [0.5, 0.5]); // nobody chose either
  });

  test("each layer can have groups of its own", () => {
    const model = randomModel(small);
    const merged = mergeExperts(model, { groups: { perLayer: [[[0, 1]], [[2, 3]]] }, align: false });
    expect(weightOf(merged, "layers.0.moe.router.gate").shape).toEqual([C, 3]);
    const gate = valuesOf(model, "layers.1.moe.router.gate"), newGate = valuesOf(merged, "layers.1.moe.router.gate");
    expect([newGate[0], newGate[1]]).toEqual([gate[0], gate[1]]);
    expect(newGate[2]).toBeCloseTo((gate[2] + gate[3]) / 2, 6);
  });

  test.each<[string, Parameters<typeof randomModel>[0], Parameters<typeof mergeExperts>[1], string]>([
    ["an expert in two groups", small, { groups: [[0, 1], [1, 2]] }, "E_SURGERY_EXPERTS"],
    ["an expert that isn't there", small, { groups: [[0, 7]] }, "E_SURGERY_EXPERTS"],
    ["more in one layer than in another", small, { groups: { perLayer: [[[0, 1]], [[0, 1, 2]]] } }, "E_SURGERY_EXPERTS"],
    ["loads of one layer only", small, { groups: [[0, 1]], loads: [[1, 1, 1, 1]] }, "E_SURGERY_LAYERS"],
    ["low-rank experts", { ...small, moe: { ...small.moe, experts: { kind: "lora", rank: 2 } } }, { groups: [[0, 1]] }, "E_SURGERY_KIND"],
    ["experts with adapters", { ...small, lora: { rank: 2, targets: ["layers.*.moe.experts.*"] } }, { groups: [[0, 1]] }, "E_SURGERY_KIND"],
    ["experts of different kinds", { ...small, moe: { ...small.moe, experts: { kind: "mixed", groups: [{ count: 2, expert: { kind: "swiglu" } }, { count: 2, expert: { kind: "copy" } }] } } },
      { groups: [[1, 2]] }, "E_SURGERY_KIND"],
  ])("%s can't be merged", (_, settings, merge, code) => {
    const model = randomModel(settings);
    expect(errorCode(() => mergeExperts(model, merge))).toBe(code);
  });
});
