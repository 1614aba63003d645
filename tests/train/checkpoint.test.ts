import { closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import type { DataCursor } from "../../toolkit/data/batches.ts";
import { readSealedFolder, writeSealedFolder } from "../../toolkit/export/sealedFolder.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { listCheckpoints, readBestCheckpoint, readCheckpoint, readLatestCheckpoint, restoreCheckpoint, sweepUnfinished, type TrainingState } from "../../toolkit/train/checkpoint.ts";
import { readMetrics } from "../../toolkit/train/metrics.ts";
import type { RecipeSettings } from "../../toolkit/train/recipe.ts";
import { train } from "../../toolkit/train/trainer.ts";

let home: string, runFolder: string, folder: string;
beforeAll(async () => { await chooseBackend(); });
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "moe-lab-checkpoint-"));
  runFolder = join(home, "run");
  folder = join(runFolder, "checkpoints");
});
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const ids = Int32Array.from({ length: 1500 }, (_, i) => (i * 7) % 23);
const data = { train: ids.subarray(0, 1200), validation: ids.subarray(1200) };
const config = transformerConfig({ vocabSize: 23, numLayers: 1, width: 8, numHeads: 2, contextLength: 12, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 8 } });
const settings: RecipeSettings = { steps: 6, batchSize: 4, contextLength: 12, warmupSteps: 2, evaluateEvery: 100, checkpointEvery: 3 };
const fresh = () => new Transformer(config, { seed: 1 });

function flipBit(path: string, place: number): void {
  const file = openSync(path, "r+"), byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, place);
  byte[0] ^= 1;
  writeSync(file, byte, 0, 1, place);
  closeSync(file);
}

const files = ["checkpoint.json", "state.json", "model.safetensors", "optimizer.safetensors"];

describe("a corrupt newest checkpoint is noticed and the one before it is used, with a warning", () => {
  beforeEach(async () => { await train(fresh(), data, settings, { runFolder }); });

  function expectTheOneBefore(): void {
    const warn = vi.fn();
    expect(readLatestCheckpoint(folder, warn).state.step).toBe(3);
    expect(warn).toHaveBeenCalledOnce();
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("step-00000006"));
  }

  test.each(files)("%s cut short", (name) => {
    const path = join(folder, "step-00000006", name);
    truncateSync(path, Math.floor(statSync(path).size / 2));
    expectTheOneBefore();
  });

  test.each(files)("%s missing", (name) => {
    unlinkSync(join(folder, "step-00000006", name));
    expectTheOneBefore();
  });

  test.each(["state.json", "model.safetensors", "optimizer.safetensors"])("one flipped bit anywhere in %s", (name) => {
    const path = join(folder, "step-00000006", name), { size } = statSync(path);
    for (const place of [0, 1, Math.floor(size / 3), Math.floor(size / 2), size - 1]) {
      flipBit(path, place);
      expectTheOneBefore();
      flipBit(path, place);
    }
    expect(readLatestCheckpoint(folder).state.step).toBe(6);
  });

  test("one flipped bit anywhere in checkpoint.json: the state that is read is the same, or the checkpoint is refused", () => {
    const path = join(folder, "step-00000006", "checkpoint.json"), whole = readCheckpoint(join(folder, "step-00000006")).state;
    for (let place = 0; place < statSync(path).size; place++) {
      flipBit(path, place);
      const { state } = readLatestCheckpoint(folder, () => {});
      if (state.step !== 3) expect(state).toEqual(whole);
      flipBit(path, place);
    }
  });

  test("a folder that holds nothing yet", () => {
    mkdirSync(join(folder, "step-00000009"));
    const warn = vi.fn();
    expect(readLatestCheckpoint(folder, warn).state.step).toBe(6);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("step-00000009"));
  });

  test("a resumed run says so in its records and equals the uninterrupted one all the same", async () => {
    const whole = readMetrics(join(runFolder, "metrics.jsonl"));
    truncateSync(join(folder, "step-00000006", "model.safetensors"), 100);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    await train(fresh(), data, settings, { runFolder, ifExists: "resume" });
    warn.mockRestore();
    const records = readMetrics(join(runFolder, "metrics.jsonl"));
    expect(records.filter(({ kind }) => kind === "event")).toMatchObject([{ event: "checkpointSkipped", step: 3 }]);
    const losses = (all: typeof records) => all.flatMap((record) => (record.kind === "step" ? [[record.step, record.lossNats]] : []));
    expect(losses(records)).toEqual(losses(whole));
    expect(readLatestCheckpoint(folder).state.step).toBe(6);
  });

  test("when all are corrupt the run is not begun anew over them", async () => {
    for (const name of listCheckpoints(folder)) unlinkSync(join(folder, name, "state.json"));
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    await expect(train(fresh(), data, settings, { runFolder, ifExists: "resume" })).rejects.toMatchObject({ code: "E_NO_CHECKPOINT" });
    warn.mockRestore();
    expect(readMetrics(join(runFolder, "metrics.jsonl")).length).toBe(7);
  });
});

describe("what a killed process left half done", () => {
  beforeEach(async () => { await train(fresh(), data, settings, { runFolder }); });

  test("is cleared away when the run goes on", async () => {
    cpSync(join(folder, "step-00000003"), join(folder, "step-00000009.0123abcd.new"), { recursive: true });
    unlinkSync(join(folder, "step-00000009.0123abcd.new", "state.json"));
    expect(readLatestCheckpoint(folder).state.step).toBe(6);
    await train(fresh(), data, settings, { runFolder, ifExists: "resume" });
    expect(readdirSync(folder).sort()).toEqual(["step-00000003", "step-00000006"]);
  });

  test("a checkpoint that was moved away to be replaced comes back", () => {
    renameSync(join(folder, "step-00000006"), join(folder, "step-00000006.0123abcd.old"));
    sweepUnfinished(folder);
    expect(readLatestCheckpoint(folder).state.step).toBe(6);
  });

  test("a file of the user's own stays", () => {
    writeFileSync(join(folder, "notes.txt"), "mine");
    sweepUnfinished(folder);
    expect(existsSync(join(folder, "notes.txt"))).toBe(true);
  });
});

describe("the best checkpoint", () => {
  /** Learns for 8 steps, then a rate far too high drives the loss up. */
  const rising: RecipeSettings = {
    ...settings, steps: 24, warmupSteps: 24, learningRate: 1, evaluateEvery: 2, evaluationTokens: 100, checkpointEvery: 5, keepCheckpoints: 2,
  };

  test("is that of the lowest validation loss, written at its evaluation and kept when newer ones are rotated", async () => {
    const evaluations: { step: number; lossNats: number }[] = [];
    const { best } = await train(fresh(), data, rising, { runFolder, onEvaluation: ({ step, validationLossNats: lossNats }) => { if (step < 24) evaluations.push({ step, lossNats }); } });
    const lowest = evaluations.reduce((a, b) => (b.lossNats < a.lossNats ? b : a));
    expect(lowest.step).toBeLessThan(16);
    expect(best).toMatchObject(lowest);
    expect(readBestCheckpoint(folder).state).toMatchObject({ step: lowest.step, validationLossNats: lowest.lossNats });
    expect(listCheckpoints(folder)).toEqual(["step-00000024", "step-00000020", `step-${String(lowest.step).padStart(8, "0")}`]);
  });

  test("isn't kept where the recipe doesn't want it", async () => {
    await train(fresh(), data, { ...rising, keepBest: false }, { runFolder });
    expect(listCheckpoints(folder)).toEqual(["step-00000024", "step-00000020"]);
    expect(() => readBestCheckpoint(folder)).toThrow(expect.objectContaining({ code: "E_NO_CHECKPOINT" }));
  });

  test("evaluations over more tokens at the end are compared over as many as the others", async () => {
    const { best, validationLossNats } = await train(fresh(), data, { ...settings, evaluateEvery: 3, evaluationTokens: 48 }, { runFolder });
    expect(best?.step).toBe(6);
    expect(best?.lossNats).not.toBe(validationLossNats);
  });
});

describe("layouts of other versions", () => {
  /** The layout before state.json: the state stood in the manifest. */
  function writeFirstVersion(): void {
    const path = join(folder, "step-00000006"), { files: contents } = readSealedFolder(path, "checkpoint.json");
    const { step, tokens, seconds, cursor, recipe, config: model, validationLossNats } = readCheckpoint(path).state;
    const { steps, batchSize, contextLength, learningRate, warmupSteps, seed, keepCheckpoints } = recipe, { seed: order, tokens: length, epoch, index } = cursor as DataCursor;
    rmSync(path, { recursive: true });
    writeSealedFolder(path, "checkpoint.json", {
      step, tokens, seconds, config: model, validationLossNats, cursor: { seed: order, contextLength, tokens: length, epoch, index },
      recipe: { steps, batchSize, contextLength, learningRate, warmupSteps, seed, keepCheckpoints, finalLearningRateRatio: 0.1 },
    },
      new Map([...contents].filter(([name]) => name.endsWith(".safetensors"))));
  }

  test("the first: its weights can be used", async () => {
    const model = fresh(), other = new Transformer(config, { seed: 2 });
    await train(model, data, settings, { runFolder });
    writeFirstVersion();
    const checkpoint = readLatestCheckpoint(folder);
    restoreCheckpoint(checkpoint, other);
    expect(checkpoint.state.step).toBe(6);
    for (const [name, weight] of other.parameters()) expect(weight.dataSync()).toEqual(model.parameters().get(name)?.dataSync());
  });

  test("the first: training goes on from it only where the data is known to be the same", async () => {
    await train(fresh(), data, settings, { runFolder });
    writeFirstVersion();
    await expect(train(fresh(), data, { ...settings, steps: 8 }, { runFolder, ifExists: "resume" })).rejects.toMatchObject({ code: "E_DATA_CURSOR" });
  });

  test("a later one is refused and not taken for a corrupt one", async () => {
    await train(fresh(), data, settings, { runFolder });
    const path = join(folder, "step-00000006"), { manifest, files: contents } = readSealedFolder(path, "checkpoint.json");
    const state = JSON.parse(String(contents.get("state.json"))) as TrainingState;
    writeSealedFolder(path, "checkpoint.json", manifest, new Map<string, Uint8Array | string>([...contents, ["state.json", JSON.stringify({ ...state, formatVersion: 3 })]]));
    expect(() => readLatestCheckpoint(folder)).toThrow(expect.objectContaining({ code: "E_CHECKPOINT_VERSION" }));
  });
});

test("every file of a checkpoint stands under a checksum", async () => {
  await train(fresh(), data, settings, { runFolder });
  const path = join(folder, "step-00000006"), { sha256 } = JSON.parse(readFileSync(join(path, "checkpoint.json"), "utf8")) as { sha256: Record<string, string> };
  expect([...Object.keys(sha256), "checkpoint.json"].sort()).toEqual(readdirSync(path).sort());
});
