import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { displaySymbol } from "../../toolkit/plot/notebook.ts";
import { compareRuns } from "../../toolkit/train/compareRuns.ts";
import { withoutUndone, type MetricsRecord } from "../../toolkit/train/metrics.ts";
import { recipe } from "../../toolkit/train/recipe.ts";

let home: string;
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-compare-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const config = (numExperts: number) => transformerConfig({ vocabSize: 23, numLayers: 1, width: 8, numHeads: 2, contextLength: 12, moe: { numExperts, expertsPerToken: 2, expertWidth: 8 } });
const step = (n: number, lossNats: number): MetricsRecord => ({
  kind: "step", step: n, tokens: 100 * n, flops: 1e6 * n, seconds: 0.5 * n, lossNats, balanceLoss: 1, zLoss: 0, learningRate: 1, gradientNorm: 1, tokensPerSecond: 200,
  expertLoad: [[0.5, 0.5]], maxVio: 0.25, routers: [{ layer: 0, maxVio: 0.25 }],
});
const evaluation = (n: number, validationLossNats: number): MetricsRecord => ({ kind: "evaluation", step: n, tokens: 100 * n, flops: 1e6 * n, seconds: 0.5 * n, validationLossNats, validationTokens: 10 });
const rollBack = (n: number, toStep: number): MetricsRecord => ({ kind: "event", step: n, tokens: 0, event: "lossSpike", action: "rollBack", what: "", value: 9, toStep });

function writeRun(name: string, numExperts: number, learningRate: number, records: readonly MetricsRecord[]): string {
  const folder = join(home, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "recipe.json"), JSON.stringify({ model: config(numExperts), recipe: recipe({ steps: 40, learningRate }) }));
  writeFileSync(join(folder, "metrics.jsonl"), records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return folder;
}

describe("runs side by side", () => {
  const folders = () => [
    writeRun("few", 4, 0.01, [...Array.from({ length: 30 }, (_, i) => step(i + 1, 30 - i)), evaluation(10, 2), evaluation(20, 1.5), evaluation(30, 1.75)]),
    writeRun("many", 8, 0.01, [step(1, 3), step(2, 2)]),
  ];

  test("have their sums, the mean of the last 20 losses, the best and the last validation loss", () => {
    const { rows } = compareRuns(folders());
    const { totalParameters, activeParameters } = modelSize(config(4));
    expect(rows[0]).toMatchObject({
      name: "few", steps: 30, tokens: 3000, flops: 3e7, seconds: 15, tokensPerSecond: 200, bestValidationLossNats: 1.5, lastValidationLossNats: 1.75, maxVio: 0.25, totalParameters, activeParameters,
    });
    // The losses of steps 11 to 30 are 20 to 1.
    expect(rows[0].trainLossNats).toBeCloseTo(10.5, 12);
    expect(rows[1]).toMatchObject({ name: "many", steps: 2, trainLossNats: 2.5, bestValidationLossNats: Number.NaN });
  });

  test("show the settings in which they differ, and only those", () => {
    expect(compareRuns(folders()).rows.map(({ settings }) => settings)).toEqual([{ "model.moe.numExperts": "4" }, { "model.moe.numExperts": "8" }]);
  });

  test("are drawn against tokens, FLOPs and seconds, each run in one colour", () => {
    const figures = compareRuns(folders()).figures();
    const x = (figure: { data: readonly unknown[] }, trace: number) => (figure.data[trace] as { x: number[] }).x;
    expect(x(figures.tokens, 0).slice(0, 3)).toEqual([100, 200, 300]);
    expect(x(figures.flops, 0)[2]).toBe(3e6);
    expect(x(figures.seconds, 1)).toEqual([5, 10, 15]);
    const colors = figures.tokens.data.map((trace) => (trace as { line: { color: string } }).line.color);
    expect(colors.length).toBe(3);
    expect(colors[0]).toBe(colors[1]);
    expect(colors[2]).not.toBe(colors[0]);
  });

  test("are a table that shows itself, in text a line a run", () => {
    const comparison = compareRuns(folders());
    const bundle = comparison[displaySymbol]();
    expect(bundle["text/html"]).toMatch(/^<table.*few.*many.*<\/table>$/);
    expect(bundle["text/plain"]).toBe(String(comparison));
    const lines = String(comparison).split("\n");
    expect(lines[0]).toMatch(/^run +parameters +active +steps.*model\.moe\.numExperts$/);
    expect(lines[1]).toMatch(/^few .* 3,000 .* 10\.5000 +1\.5000 +1\.7500 .* 4$/);
    expect(lines.length).toBe(3);
  });

  test("leave out what a roll-back undid", () => {
    const folder = writeRun("rolled", 4, 0.01, [step(1, 5), step(2, 4), step(3, 9), rollBack(4, 2), step(3, 3)]);
    expect(compareRuns([folder]).rows[0]).toMatchObject({ steps: 3, trainLossNats: 4, events: 1 });
  });

  test("may be named, and take their path where two folders have one name", () => {
    const [a, b] = [writeRun("x/run", 4, 0.01, [step(1, 1)]), writeRun("y/run", 4, 0.01, [step(1, 1)])];
    expect(compareRuns([a, b]).rows.map(({ name }) => name)).toEqual([a, b]);
    expect(compareRuns({ first: a, second: b }).rows.map(({ name }) => name)).toEqual(["first", "second"]);
  });

  test("a folder that is no run is refused by name", () => {
    expect(() => compareRuns([join(home, "nowhere")])).toThrow(expect.objectContaining({ code: "E_NO_RUN" }));
    expect(() => compareRuns([])).toThrow(expect.objectContaining({ code: "E_NO_RUN" }));
  });
});

test("roll-backs undo the steps after theirs, one after the other", () => {
  const records = [step(1, 1), step(2, 1), step(3, 1), evaluation(3, 1), rollBack(4, 1), step(2, 2), step(3, 2), rollBack(4, 2), step(3, 3)];
  expect(withoutUndone(records).map((record) => [record.kind, record.step])).toEqual([["step", 1], ["event", 4], ["step", 2], ["event", 4], ["step", 3]]);
});
