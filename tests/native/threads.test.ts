import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";

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

  test("sums have the same bits with any number of them", () => {
    const before = native.threads();
    // Large and small values: another order of adding gives other bits.
    const [outer, length] = [3, 100_003];
    const x = Float32Array.from({ length: outer * length }, (_, i) => Math.sin(i) * 10 ** (i % 7));
    const sums = [1, 2, 3, 5].flatMap((threads) => [[outer, length, 1], [1, outer, length]].map(([rows, summed, columns]) => {
      native.setThreads(threads);
      const out = new Float32Array(rows * columns);
      native.sum(rows, summed, columns, 1, x, out);
      return Array.from(new Uint32Array(out.buffer));
    }));
    native.setThreads(before);
    for (const [i, bits] of sums.entries()) expect(bits).toEqual(sums[i % 2]);
    expect(sums[0]).toHaveLength(outer);
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
