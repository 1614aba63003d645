import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import type { Transformer } from "../../toolkit/models/transformer.ts";
import { registerExpert } from "../../toolkit/moe/experts/custom.ts";
import { pruneExperts } from "../../toolkit/surgery/prune.ts";
import { errorCode } from "../ops/backends.ts";
import { choicesOf, distance, logitsOf, randomModel, small, valuesOf, weightOf } from "./smallModels.ts";

beforeAll(async () => { await chooseBackend(); });

/** A model of 6 experts in two layers of which nobody chooses 1 in the first and 3 in the second: their scores are the means
 *  of all others, so that they are seldom among the best two. */
function modelWithIdleExperts(settings: typeof small): Transformer {
  for (let seed = 1; seed < 300; seed++) {
    const model = randomModel({ ...settings, moe: { ...settings.moe, numExperts: 6 } }, seed);
    [1, 3].forEach((idle, layer) => {
      const gate = weightOf(model, `layers.${layer}.moe.router.gate`);
      const values = gate.dataSync<"float32">().slice();
      for (let c = 0; c < values.length; c += 6) {
        const others = [0, 1, 2, 3, 4, 5].filter((e) => e !== idle);
        values[c + idle] = others.reduce((sum, e) => sum + values[c + e], 0) / others.length;
      }
      tf.tidy(() => { gate.assign(tf.tensor(values, gate.shape)); });
    });
    const [first, second] = choicesOf(model);
    if (!first.includes(1) && !second.includes(3)) return model;
    model.dispose();
  }
  throw new Error("no seed leaves these experts idle");
}

registerExpert("plusOfTests", { build: (weights, { width }) => {
  const shift = weights.zeros<tf.Rank.R1>("shift", [width]);
  return (rows) => tf.add(rows, shift);
} });

describe("pruning", () => {
  test.each<[string, typeof small]>([
    ["swiglu", small],
    ["GELU with bias", { ...small, moe: { ...small.moe, experts: { kind: "gelu", bias: true } } }],
    ["lora", { ...small, moe: { ...small.moe, experts: { kind: "lora", rank: 2 } } }],
    ["custom", { ...small, moe: { ...small.moe, experts: { kind: "custom", name: "plusOfTests" } } }],
    ["swiglu with low-rank adapters", { ...small, lora: { rank: 2, targets: ["layers.*.moe.experts.*"] } }],
  ])("%s experts that nobody chose changes no output", (_, settings) => {
    const model = modelWithIdleExperts(settings);
    const pruned = pruneExperts(model, { perLayer: [[1], [3]] });
    expect(pruned.config.moe.numExperts).toBe(5);
    expect(distance(logitsOf(pruned), logitsOf(model))).toBeLessThan(1e-5);
  });

  test("the experts that stay keep their weights, router columns and order", () => {
    const model = randomModel(small);
    const pruned = pruneExperts(model, { experts: [2, 0] });
    const size = 8 * 2 * 6;
    const old = valuesOf(model, "layers.1.moe.experts.gateUp");
    expect([...valuesOf(pruned, "layers.1.moe.experts.gateUp")]).toEqual([...old.slice(size, 2 * size), ...old.slice(3 * size)]);
    const columns = valuesOf(model, "layers.1.moe.router.gate").filter((_, i) => [1, 3].includes(i % 4));
    expect([...valuesOf(pruned, "layers.1.moe.router.gate")]).toEqual([...columns]);
    expect(distance(valuesOf(pruned, "layers.0.attention.query"), valuesOf(model, "layers.0.attention.query"))).toBe(0);
  });

  test("as many experts as there are channels are still told from channels", () => {
    const model = randomModel({ ...small, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 8 } });
    const pruned = pruneExperts(model, { experts: [0] });
    expect(weightOf(pruned, "layers.0.moe.router.gate").shape).toEqual([8, 7]);
    expect([...valuesOf(pruned, "layers.0.moe.router.gate")]).toEqual([...valuesOf(model, "layers.0.moe.router.gate")].filter((_, i) => i % 8 !== 0));
  });

  test("by load, each layer loses its own least loaded experts", () => {
    const model = randomModel(small);
    const pruned = pruneExperts(model, { leastLoaded: 2, loads: [[0.4, 0.1, 0.3, 0.2], [0, 0, 5, 5]] });
    const gates = [0, 1].map((layer) => valuesOf(model, `layers.${layer}.moe.router.gate`));
    expect([...valuesOf(pruned, "layers.0.moe.router.gate")]).toEqual([...gates[0]].filter((_, i) => [0, 2].includes(i % 4)));
    expect([...valuesOf(pruned, "layers.1.moe.router.gate")]).toEqual([...gates[1]].filter((_, i) => [2, 3].includes(i % 4)));
  });

  test("groups of mixed kinds shrink, and a group that is left empty goes", () => {
    const experts = { kind: "mixed", groups: [{ count: 1, expert: { kind: "zero" } }, { count: 2, expert: { kind: "geglu" } }, { count: 1, expert: { kind: "constant" } }] } as const;
    const model = randomModel({ ...small, moe: { ...small.moe, experts } });
    const pruned = pruneExperts(model, { experts: [0, 2] });
    expect(pruned.config.moe.experts).toEqual({ kind: "mixed", groups: [{ count: 1, expert: { kind: "geglu" } }, { count: 1, expert: { kind: "constant" } }] });
    expect([...valuesOf(pruned, "layers.0.moe.experts.0.gateUp")]).toEqual([...valuesOf(model, "layers.0.moe.experts.1.gateUp").slice(0, 8 * 12)]);
    expect([...valuesOf(pruned, "layers.0.moe.experts.1.mix")]).toEqual([...valuesOf(model, "layers.0.moe.experts.2.mix")]);
  });

  test("custom experts are renumbered", () => {
    const model = randomModel({ ...small, moe: { ...small.moe, experts: { kind: "custom", name: "plusOfTests" } } });
    const pruned = pruneExperts(model, { experts: [1] });
    expect([...valuesOf(pruned, "layers.0.moe.experts.1.shift")]).toEqual([...valuesOf(model, "layers.0.moe.experts.2.shift")]);
  });

  test("the model that was pruned stays as it was", () => {
    const model = randomModel(small);
    const before = logitsOf(model);
    pruneExperts(model, { experts: [0] }).dispose();
    expect([...logitsOf(model)]).toEqual([...before]);
  });

  test.each<[string, Parameters<typeof pruneExperts>[1], string]>([
    ["an expert that isn't there", { experts: [4] }, "E_SURGERY_EXPERTS"],
    ["all experts", { experts: [0, 1, 2, 3] }, "E_SURGERY_EXPERTS"],
    ["more than a token needs", { experts: [0, 1, 2] }, "E_CONFIG_EXPERTS_PER_TOKEN"],
    ["different numbers in the layers", { perLayer: [[0], [1, 2]] }, "E_SURGERY_EXPERTS"],
    ["a list too few", { perLayer: [[0]] }, "E_SURGERY_LAYERS"],
    ["loads of too few experts", { leastLoaded: 1, loads: [[1, 2, 3, 4], [1, 2, 3]] }, "E_SURGERY_LOADS"],
    ["a load that isn't a number", { leastLoaded: 1, loads: [[1, 2, 3, 4], [1, 2, 3, NaN]] }, "E_SURGERY_LOADS"],
  ])("%s can't be pruned", (_, choice, code) => {
    const model = randomModel(small);
    expect(errorCode(() => pruneExperts(model, choice))).toBe(code);
  });

  test("a dense model has nothing to prune", () => {
    const model = randomModel({ ...small, firstDenseLayers: 2 });
    expect(errorCode(() => pruneExperts(model, { experts: [0] }))).toBe("E_SURGERY_LAYERS");
  });

  test("a hash router gives experts no columns to remove", () => {
    const model = randomModel({ ...small, moe: { ...small.moe, router: { kind: "hash" } } });
    expect(errorCode(() => pruneExperts(model, { experts: [0] }))).toBe("E_SURGERY_ROUTER");
  });

  test("the bias of a loss-free router goes with its expert", () => {
    const model = randomModel({ ...small, moe: { ...small.moe, router: { kind: "sigmoid" } } });
    const name = [...model.buffers().keys()].find((buffer) => buffer.startsWith("layers.1.moe.router.")) as string;
    const old = valuesOf(model, name);
    expect([...valuesOf(pruneExperts(model, { experts: [1] }), name)]).toEqual([old[0], old[2], old[3]]);
  });

  test("layers that would keep different kinds are refused", () => {
    const experts = { kind: "mixed", groups: [{ count: 2, expert: { kind: "zero" } }, { count: 2, expert: { kind: "copy" } }] } as const;
    const model = randomModel({ ...small, moe: { ...small.moe, experts } });
    expect(errorCode(() => pruneExperts(model, { perLayer: [[0], [3]] }))).toBe("E_SURGERY_GROUPS");
  });
});
