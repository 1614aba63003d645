import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RandomSource } from "../../toolkit/random.ts";
import { readLatestCheckpoint } from "../../toolkit/train/checkpoint.ts";
import { readMetrics, type MetricsRecord } from "../../toolkit/train/metrics.ts";

const root = join(import.meta.dirname, "..", "..");
let home: string, program: string;

/** Trains with all that draws random numbers or counts: shuffled data, a noisy router, expert dropout, capacity,
 *  accumulation, evaluations, early stop that never comes, gradient norms, a bad batch that is rolled back, and checkpoints
 *  at other steps than evaluations. */
const source = `
  import { writeSync } from "node:fs";
  import { chooseBackend } from "./backend/choose.ts";
  import { TokenBatches } from "./data/batches.ts";
  import { transformerConfig } from "./models/config.ts";
  import { Transformer } from "./models/transformer.ts";
  import { train } from "./train/trainer.ts";
  await chooseBackend();
  const ids = Int32Array.from({ length: 6000 }, (_, i) => (i * 7 + (i >> 5) * 3) % 29);
  const config = transformerConfig({ vocabSize: 29, numLayers: 2, width: 16, numHeads: 2, contextLength: 12, moe: {
    numExperts: 4, expertsPerToken: 2, expertWidth: 16, expertDropout: 0.1, router: { kind: "noisyTopK" }, capacity: { kind: "factor", factor: 1.25 },
  } });
  const inner = new TokenBatches(ids.subarray(0, 5000), { batchSize: 4, contextLength: 12, seed: 5 });
  let taken = 0;
  // The 45th micro-batch is of noise: its loss is a spike.
  const source = {
    next: () => {
      const batch = inner.next();
      taken += 1;
      return taken === 45 ? { ...batch, targets: batch.targets.map((id, i) => (id + 1 + (i * i) % 27) % 29) } : batch;
    },
    cursor: () => ({ taken, inner: inner.cursor() }),
    restore: (cursor) => { taken = cursor.taken; inner.restore(cursor.inner); },
  };
  await train(new Transformer(config, { seed: 1 }), { train: source, validation: { near: ids.subarray(5000, 5400), far: ids.subarray(5400) } }, {
    steps: 36, batchSize: 4, contextLength: 12, accumulationSteps: 2, warmupSteps: 3, learningRate: 3e-2, evaluateEvery: 5, evaluationTokens: 100, seed: 9,
    checkpointEvery: 4, keepCheckpoints: 2, routerEntropyEvery: 3, earlyStop: { patience: 100, minDeltaNats: 0 },
    schedule: { kind: "wsd" }, parameterGroups: [{ match: "**.router.**", learningRateRatio: 0.5 }, { match: "layers.0.attention.**", isFrozen: true }],
    monitor: { onSpike: "rollBack", spikeWindow: 8, gradientNormsEvery: 4, lossSpikeFactor: 1.3, gradientSpikeFactor: 1000 },
  }, { runFolder: process.argv[2], ifExists: "resume", onStep: ({ step }) => { writeSync(1, step + "\\n"); } });
`;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "moe-lab-killed-"));
  mkdirSync(join(home, "build"));
  for (const part of ["package.json", "build/tfjsGradients.mjs"]) cpSync(join(root, part), join(home, part));
  for (const part of ["node_modules", "build/native", "toolkit"]) symlinkSync(join(root, part), join(home, part));
  program = join(home, "run.mjs");
  await build({
    stdin: { contents: source, resolveDir: join(root, "toolkit"), loader: "ts" }, outfile: program,
    bundle: true, format: "esm", platform: "node", packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
  });
});
afterAll(() => { rmSync(home, { recursive: true, force: true }); });

/** @param killAfter steps of this process, and a delay after them; undefined lets it run to its end
 *  @returns true when the process was killed */
async function runProcess(runFolder: string, killAfter?: { steps: number; delayMs: number }): Promise<boolean> {
  const child = spawn(process.execPath, [program, runFolder], { stdio: ["ignore", "pipe", "pipe"] });
  const exit = once(child, "close") as Promise<[number | null, string | null]>;
  let seen = 0, errors = "";
  child.stderr.on("data", (text: Buffer) => { errors += text.toString(); });
  child.stdout.on("data", (text: Buffer) => {
    const before = seen;
    seen += text.toString().split("\n").length - 1;
    if (killAfter && before < killAfter.steps && seen >= killAfter.steps) void wait(killAfter.delayMs).then(() => child.kill("SIGKILL"));
  });
  const [code, signal] = await exit;
  if (signal === null && code !== 0) throw new Error(errors);
  return signal === "SIGKILL";
}

/** What of a record doesn't depend on the clock. */
function withoutClock(record: MetricsRecord): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== "seconds" && name !== "tokensPerSecond"));
}

describe("a run that is killed at random moments and resumed each time", () => {
  test("ends with the weights, moments, state and metrics of an uninterrupted run, bit for bit", async () => {
    const seed = Date.now(), random = new RandomSource(seed);
    const whole = join(home, "whole"), cut = join(home, "cut");
    await runProcess(whole);
    let kills = 0;
    while (kills < 7 && await runProcess(cut, { steps: 1 + random.nextInt(9), delayMs: random.nextInt(12) })) kills += 1;
    await runProcess(cut);
    expect(kills, `seed ${seed}`).toBeGreaterThan(2);

    const [expected, actual] = [whole, cut].map((folder) => readLatestCheckpoint(join(folder, "checkpoints")));
    expect(actual.weights, `seed ${seed}`).toEqual(expected.weights);
    expect(actual.moments).toEqual(expected.moments);
    expect({ ...actual.state, seconds: 0 }).toEqual({ ...expected.state, seconds: 0 });
    expect(expected.state.step).toBe(36);
    const [wholeMetrics, cutMetrics] = [whole, cut].map((folder) => readMetrics(join(folder, "metrics.jsonl")));
    expect(cutMetrics.map(withoutClock)).toEqual(wholeMetrics.map(withoutClock));
    // The spike was found and rolled back in both.
    expect(wholeMetrics.filter((record) => record.kind === "event")).toMatchObject([{ event: "lossSpike", action: "rollBack", step: 23, toStep: 20 }]);
    // Nothing half written is left.
    expect(readdirSync(join(cut, "checkpoints"))).toEqual(readdirSync(join(whole, "checkpoints")));
  }, 180_000);
});
