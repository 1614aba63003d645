import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);
/** A package of its own for programs whose memory is measured: a process of a test runner holds much else. */
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "moe-lab-memory-"));
  mkdirSync(join(folder, "build"));
  for (const part of ["package.json", "build/tfjsGradients.mjs"]) cpSync(join(root, part), join(folder, part));
  for (const part of ["node_modules", "build/native", "toolkit"]) symlinkSync(join(root, part), join(folder, part));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a TypeScript program in a process of its own and returns what it printed as JSON. */
async function runProgram<Result>(name: string, source: string, ...nodeOptions: string[]): Promise<Result> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    stdin: { contents: source, resolveDir: join(root, "toolkit"), loader: "ts" }, outfile,
    bundle: true, format: "esm", platform: "node", packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
  });
  const { stdout } = await run(process.execPath, [...nodeOptions, outfile]);
  return JSON.parse(stdout) as Result;
}

const MB = 2 ** 20;

describe("a cell that is run 1,000 times and never disposes its tensors", () => {
  /** What is measured from the 50th run on, when all that is made once is made. */
  interface Growth { rssBytes: number; storedBytes: number }
  const cell = `
    import { setImmediate as nextTurn } from "node:timers/promises";
    import * as tf from "@tensorflow/tfjs-core";
    import { chooseBackend } from "./backend/choose.ts";
    import { nativeMemory } from "./backend/memory.ts";
    await chooseBackend("native");
    const x = tf.ones([160, 160]); // 100 KB
    const cell = () => tf.relu(tf.add(tf.matMul(x, x), x));
    let start, most = { rssBytes: 0, storedBytes: 0 };
    for (let runs = 1; runs <= 1000; runs += 1) {
      cell();
      await nextTurn();
      const now = { rssBytes: process.memoryUsage().rss, storedBytes: nativeMemory().storedBytes };
      if (runs === 50) start = now;
      for (const figure of Object.keys(most)) most[figure] = Math.max(most[figure], now[figure]);
    }
    console.log(JSON.stringify({ rssBytes: most.rssBytes - start.rssBytes, storedBytes: most.storedBytes }));`;

  test("its memory stays bounded while the garbage collector works as it likes", async () => {
    const { rssBytes, storedBytes } = await runProgram<Growth>("cell", cell);
    // 300 MB are made. V8 collects when some tens of MB outside its heap are new.
    expect(storedBytes).toBeLessThan(150 * MB);
    expect(rssBytes).toBeLessThan(150 * MB);
  });
});

describe("a training run", () => {
  interface Figures { rssBytes: number; storedBytes: number; numTensors: number }
  const training = `
    import * as tf from "@tensorflow/tfjs-core";
    import { chooseBackend } from "./backend/choose.ts";
    import { nativeMemory } from "./backend/memory.ts";
    import { transformerConfig } from "./models/config.ts";
    import { Transformer } from "./models/transformer.ts";
    import { train } from "./train/trainer.ts";
    await chooseBackend("native");
    const config = transformerConfig({ vocabSize: 256, numLayers: 2, width: 64, numHeads: 4, contextLength: 64, moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 128 } });
    const ids = Int32Array.from({ length: 40_000 }, (_, i) => (i * i * 31 + i * 7) % 256);
    const seen = [];
    await train(new Transformer(config), { train: ids, validation: ids.subarray(0, 200) }, { steps: 60, batchSize: 8, contextLength: 64, evaluateEvery: 1000 }, {
      onStep: ({ step }) => {
        if (step !== 10 && step !== 60) return;
        gc();
        gc();
        const { storedBytes, numTensors } = nativeMemory();
        seen.push({ rssBytes: process.memoryUsage().rss, storedBytes, numTensors });
      },
    });
    console.log(JSON.stringify(seen));`;

  test("needs no more memory after 60 steps than after 10", async () => {
    const [early, late] = await runProgram<Figures[]>("training", training, "--expose-gc");
    expect(late.numTensors).toBe(early.numTensors);
    expect(late.storedBytes).toBe(early.storedBytes);
    expect(late.rssBytes).toBeLessThan(1.05 * early.rssBytes + 16 * MB);
  });
});
