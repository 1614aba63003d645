import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nativeBinding, type NativeBinding } from "../../toolkit/backend/binding.ts";
import { expectClose, floats } from "../backend/compare.ts";

interface BuildResult { status: string; path: string; detail: string }
type Build = (options: { isa: string; output: string }) => Promise<BuildResult>;

const best = nativeBinding().instructionSet();
/** Sets that every machine with the best one also has. */
const others = { avx512: ["avx2", "baseline"], avx2: ["baseline"] }[best] ?? [];

const folder = mkdtempSync(join(tmpdir(), "moe-lab-isa-"));
const addons = new Map<string, NativeBinding>([[best, nativeBinding()]]);

beforeAll(async () => {
  const { buildAddon } = await import(join(import.meta.dirname, "../../toolkit/native/build.mjs")) as { buildAddon: Build };
  for (const isa of others) {
    const { status, path, detail } = await buildAddon({ isa, output: join(folder, isa) });
    expect(status, detail).toBe("built");
    addons.set(isa, createRequire(import.meta.url)(path) as NativeBinding);
  }
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each([best, ...others])("instruction set %s", (isa) => {
  const addon = (): NativeBinding => addons.get(isa) ?? nativeBinding();

  test("is the one in use", () => expect(addon().instructionSet()).toBe(isa));

  test("multiplies matrices like the definition", () => {
    for (const [m, n, k] of [[1, 40, 33], [4, 30, 29], [13, 17, 300], [70, 65, 40]])
      for (const transposeB of [false, true]) {
        const [a, b] = [floats([m, k]).values as Float32Array, floats([k, n]).values as Float32Array];
        const out = new Float32Array(m * n);
        addon().matmul(1, m, n, k, false, transposeB, 1, 1, a, b, out);
        const expected = Array.from({ length: m * n }, (_, at) => {
          const [i, j] = [Math.floor(at / n), at % n];
          let sum = 0;
          for (let l = 0; l < k; l += 1) sum += a[i * k + l] * (transposeB ? b[j * k + l] : b[l * n + j]);
          return sum;
        });
        expectClose(out, expected, { relative: 1e-5, absolute: 1e-6 * k });
      }
  });

  test("computes exponentials and logarithms to 3e-7, with their limits", () => {
    const x = Float32Array.from({ length: 5000 }, (_, i) => -105 + i * 0.0392);
    const out = new Float32Array(x.length);
    addon().exp(x.length, 0, 0, x, out);
    expectClose(out, Float32Array.from(x, Math.exp), { relative: 3e-7, absolute: 3e-45 });
    const y = Float32Array.of(0, -0, 1, Math.E, 1e-42, 3e38, Infinity, -1, NaN, 0.5, 2);
    const logs = new Float32Array(y.length);
    addon().log(y.length, 0, 0, y, logs);
    expectClose(logs, Float32Array.from(y, Math.log), { relative: 3e-7 });
  });

  test("transposes, reduces and takes softmax at every remainder of its vector length", () => {
    for (let columns = 1; columns <= 40; columns += 1) {
      const rows = 19;
      const x = floats([rows, columns]).values as Float32Array;
      const [sums, moved, soft] = [new Float32Array(rows), new Float32Array(x.length), new Float32Array(x.length)];
      addon().sum(rows, columns, 1, 1, x, sums);
      addon().copyBlock(2, Int32Array.of(columns, rows, 1, columns, rows, 1), 0, 0, x, moved);
      addon().softmax(rows, columns, x, soft);
      for (let i = 0; i < rows; i += 1) {
        const row = Array.from(x.subarray(i * columns, (i + 1) * columns));
        const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
        expect(sums[i]).toBeCloseTo(row.reduce((sum, value) => sum + value, 0), 4);
        expectClose(soft.subarray(i * columns, (i + 1) * columns), row.map((value) => Math.exp(value) / total), { relative: 2e-6 });
        row.forEach((value, j) => expect(moved[j * rows + i]).toBe(value));
      }
    }
  });
});
