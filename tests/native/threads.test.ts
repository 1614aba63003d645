import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { opGradients, tensors } from "../ops/compare.ts";
import { bitsOf, largeCalls } from "./sameBits.ts";

const native = nativeBinding();
const addonPath = join(import.meta.dirname, "../../build/native/moe_lab.node");
const run = promisify(execFile);

/** Multiplies matrices of ones, where every value of the product is known. */
const workload = `
  const native = require(${JSON.stringify(addonPath)});
  const [m, n, k] = [90, 120, 200];
  let wrong = 0;
  for (let i = 0; i < 60; i += 1) {
    const out = new Float32Array(m * n);
    native.matmul(1, m, n, k, false, false, 1, 1, new Float32Array(m * k).fill(1), new Float32Array(k * n).fill(2), out);
    if (!out.every((value) => value === 2 * k)) wrong += 1;
  }`;

describe("threads", () => {
  test("by default there are no more than the process may use", () => {
    expect(native.threads()).toBeGreaterThanOrEqual(1);
    if (process.env.MOE_LAB_THREADS === undefined) expect(native.threads()).toBeLessThanOrEqual(availableParallelism());
  });

  test("their number can be changed again and again, while results stay right", () => {
    const before = native.threads();
    const x = Float32Array.from({ length: 200_000 }, (_, i) => i % 1000);
    for (const threads of [1, 4, 2, 8, 1, 3, before]) {
      native.setThreads(threads);
      expect(native.threads()).toBe(threads);
      const out = new Float32Array(x.length);
      native.negate(x.length, 0, 0, x, out);
      expect(out.every((value, i) => value === -x[i])).toBe(true);
    }
  });

  describe("any number of them gives the same bits", () => {
    const before = native.threads();
    beforeAll(async () => { await chooseBackend("native"); });
    afterAll(() => { native.setThreads(before); });

    test.each(largeCalls)("$name", (call) => {
      const results = [1, 2, 3, 5, 8].map((threads) => {
        native.setThreads(threads);
        return bitsOf(call);
      });
      for (const bits of results) expect(bits).toEqual(results[0]);
    });

    test.each(opTable)("$name and its gradient", (op) => {
      const compute = (): Uint8Array[] => [
        ...tf.tidy(() => op.run(tensors(op.largeSample), op.largeSample.settings).map((output) => output.dataSync().slice())),
        ...(op.differentiable.length > 0 ? Object.values(opGradients(op, op.largeSample)) : []),
      ].map(({ buffer }) => new Uint8Array(buffer));
      const results = [1, 2, 3, 5, 8].map((threads) => {
        native.setThreads(threads);
        return compute();
      });
      for (const bytes of results) expect(bytes.map((part, i) => Buffer.compare(part, results[0][i]))).toEqual(results[0].map(() => 0));
    });
  });

  test("several Node workers may compute at once", async () => {
    const results = await Promise.all(Array.from({ length: 4 }, () => new Promise<number>((resolve, reject) => {
      const worker = new Worker(`${workload}; require("node:worker_threads").parentPort.postMessage(wrong);`, { eval: true });
      worker.once("message", resolve);
      worker.once("error", reject);
    })));
    expect(results).toEqual([0, 0, 0, 0]);
  });

  test("a process ends cleanly when only a worker used the addon, and when it stops in the middle", async () => {
    const folder = mkdtempSync(join(tmpdir(), "moe-lab-threads-"));
    const program = join(folder, "program.cjs");
    writeFileSync(program, `
      const { Worker } = require("node:worker_threads");
      const code = ${JSON.stringify(workload)};
      new Worker(code, { eval: true }).once("exit", () => {
        const second = new Worker("for (;;) {" + code.replace(/const native/, "var native") + "}", { eval: true });
        setTimeout(() => second.terminate().then(() => console.log("done")), 300);
      });`);
    const { stdout } = await run(process.execPath, [program]);
    rmSync(folder, { recursive: true });
    expect(stdout).toBe("done\n");
  });

  test("idle threads sleep: waiting costs no processor time", async () => {
    native.negate(100_000, 0, 0, new Float32Array(100_000), new Float32Array(100_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(200); // ms; a spinning thread would use 400
  });
});
