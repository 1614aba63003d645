import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { transformerConfig, type TransformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { addLora, mergeLora } from "../../toolkit/surgery/lora.ts";
import { pruneExperts } from "../../toolkit/surgery/prune.ts";
import { upcycle } from "../../toolkit/surgery/upcycle.ts";
import { readLatestCheckpoint, restoreCheckpoint } from "../../toolkit/train/checkpoint.ts";
import { evaluate } from "../../toolkit/train/evaluate.ts";
import { train } from "../../toolkit/train/trainer.ts";
import { valuesOf } from "./smallModels.ts";

let home: string;
beforeAll(async () => { await chooseBackend(); });
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-surgery-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

/** Each token follows from the one before it: seven places on in `known`, five in `other`. */
const sequence = (step: number): { train: Int32Array; validation: Int32Array } => {
  const ids = Int32Array.from({ length: 1500 }, (_, i) => (i * step) % 23);
  return { train: ids.subarray(0, 1300), validation: ids.subarray(1300) };
};
const [known, other] = [sequence(7), sequence(5)];
const outer = { vocabSize: 23, numLayers: 2, width: 16, numHeads: 2, contextLength: 12 };
const sparse = transformerConfig({ ...outer, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } });
const settings = { steps: 120, batchSize: 4, contextLength: 12, warmupSteps: 3, learningRate: 1e-2, evaluateEvery: 1000, checkpointEvery: 1000 };
const loss = async (model: Transformer, data: typeof known): Promise<number> => (await evaluate(model, data.validation, { batchSize: 4, contextLength: 12 })).lossNats;

describe("models made from models", () => {
  test("adapters learn another task while every other weight keeps its bits, and checkpoints hold them", async () => {
    const base = new Transformer(sparse, { seed: 1 });
    await train(base, known, settings);
    const { model, adapted } = addLora(base, { rank: 4, targets: ["layers.*.attention.*", "layers.*.moe.experts.*"] }, { seed: 2 });
    const before = await loss(model, other);
    await train(model, other, settings, { runFolder: join(home, "run") });
    expect(await loss(model, other)).toBeLessThan(0.5 * before);
    for (const name of base.parameters().keys()) expect([...valuesOf(model, name)], name).toEqual([...valuesOf(base, name)]);
    for (const name of adapted) expect(valuesOf(model, `${name}.loraB`).some((value) => value !== 0), name).toBe(true);

    const checkpoint = readLatestCheckpoint(join(home, "run", "checkpoints"));
    const restored = new Transformer(checkpoint.state.config);
    restoreCheckpoint(checkpoint, restored);
    expect(await loss(restored, other)).toBe(await loss(model, other));
    expect([...checkpoint.moments.keys()].some((name) => name.endsWith("attention.query"))).toBe(false);
    expect(Math.abs(await loss(mergeLora(model), other) - await loss(model, other))).toBeLessThan(1e-4);
  });

  test("an upcycled model starts at the dense model's loss, and its experts part when it is trained", async () => {
    const dense = new Transformer(transformerConfig({ ...outer, denseWidth: 16 }), { seed: 1 });
    await train(dense, known, { ...settings, steps: 40 });
    const model = upcycle(dense, { numExperts: 4, expertsPerToken: 2 }, { seed: 2 });
    const start = await loss(model, known);
    expect(Math.abs(start - await loss(dense, known))).toBeLessThan(1e-4);
    await train(model, known, { ...settings, steps: 60 });
    expect(await loss(model, known)).toBeLessThan(start);
    const down = valuesOf(model, "layers.0.moe.experts.down");
    expect([...down.slice(0, 16 * 16)]).not.toEqual([...down.slice(16 * 16, 2 * 16 * 16)]);
  });

  test("a pruned model can be trained on", async () => {
    const model = new Transformer(sparse, { seed: 1 });
    await train(model, known, { ...settings, steps: 40 });
    const pruned = pruneExperts(model, { experts: [3] });
    const start = await loss(pruned, known);
    await train(pruned, known, { ...settings, steps: 60 });
    expect(await loss(pruned, known)).toBeLessThan(start);
  });

  test.each<[string, Partial<TransformerConfig["moe"]>]>([
    ["geglu with bias", { experts: { kind: "geglu", bias: true } }],
    ["low-rank", { experts: { kind: "lora", rank: 4 } }],
    ["mixed swiglu, constant, copy and zero", { experts: { kind: "mixed", groups: [{ count: 1, expert: { kind: "swiglu" } }, { count: 1, expert: { kind: "constant" } }, { count: 1, expert: { kind: "copy" } }, { count: 1, expert: { kind: "zero" } }] } }],
    ["shared and routed, beside a dense branch", { sharedExperts: { count: 1, isGated: true }, residual: {} }],
  ])("%s experts learn", async (_, moe) => {
    const model = new Transformer(transformerConfig({ ...outer, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16, ...moe } }), { seed: 1 });
    const { validationLossNats } = await train(model, known, settings);
    expect(validationLossNats).toBeLessThan(0.5);
  });
});
