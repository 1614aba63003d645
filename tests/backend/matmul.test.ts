import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { expectClose, expectSameAsCpu, floats, ints, runOn, type Sample } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

/** The definition, in float64: out [batch, m, n] = A · B. */
function product(a: Sample, b: Sample, transposeA: boolean, transposeB: boolean, batch: number, m: number, n: number, k: number): number[] {
  const out: number[] = [];
  const [aBatch, bBatch] = [a.values.length / (m * k), b.values.length / (k * n)];
  for (let q = 0; q < batch; q += 1)
    for (let i = 0; i < m; i += 1)
      for (let j = 0; j < n; j += 1) {
        let sum = 0;
        for (let l = 0; l < k; l += 1) {
          const left = a.values[(q % aBatch) * m * k + (transposeA ? l * m + i : i * k + l)];
          sum += left * b.values[(q % bBatch) * k * n + (transposeB ? j * k + l : l * n + j)];
        }
        out.push(sum);
      }
  return out;
}

const sizes = [
  [1, 1, 1], [3, 5, 7], [2, 300, 9], [1, 700, 300], [4, 33, 77], [5, 31, 200], [8, 64, 64], [15, 33, 17], [64, 8, 64], [65, 47, 31],
  [100, 70, 300], [131, 129, 520], [7, 5, 1], [1, 1, 1000],
];

describe("matrix products", () => {
  test.each(sizes)("%i × %i over %i equals the definition, whichever operand is transposed", async (m, n, k) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true]) {
        const a = floats(transposeA ? [k, m] : [m, k], { low: -1, high: 1 });
        const b = floats(transposeB ? [n, k] : [k, n], { low: -1, high: 1 });
        const [{ shape, values }] = await runOn("native", "BatchMatMul", { a, b }, { transposeA, transposeB });
        expect(shape).toEqual([m, n]);
        // k float32 additions of products ≤ 1, each rounded to 2⁻²⁴ of a sum that is a few units large
        expectClose(values, product(a, b, transposeA, transposeB, 1, m, n, k), { relative: 1e-6, absolute: 1e-7 * k });
      }
  });

  test("einsum multiplies, transposes and sums as the equation says", async () => {
    const cases: [equation: string, shapes: number[][]][] = [
      ["ij->ji", [[5, 7]]], ["ijk->", [[3, 4, 5]]], ["ijk->j", [[3, 4, 5]]], ["i,i->", [[30], [30]]], ["i,j->ji", [[4], [6]]], ["ij,ij->ij", [[3, 4], [3, 4]]],
      ["ij,jk->ik", [[40, 30], [30, 50]]], ["bij,bkj->bki", [[3, 20, 30], [3, 10, 30]]], ["bihd,bjhd->bhij", [[2, 9, 3, 8], [2, 7, 3, 8]]], [",ij->ji", [[], [3, 4]]],
    ];
    for (const [equation, shapes] of cases) await expectSameAsCpu("Einsum", shapes.map((shape) => floats(shape)), { equation }, { relative: 1e-5, absolute: 1e-4 });
    await expectSameAsCpu("Einsum", [ints([3, 4], -5, 5), ints([4, 2], -5, 5)], { equation: "ij,jk->ik" });
  });

  test("einsum sums a letter of one operand only", async () => {
    const ones = (shape: number[]): Sample => ({ shape, dtype: "float32", values: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) });
    expect(await runOn("native", "Einsum", [ones([2, 3]), ones([4, 5])], { equation: "ij,kl->jl" })).toEqual([{ shape: [3, 5], dtype: "float32", values: Array(15).fill(8) }]);
  });

  test("einsum's errors are tfjs's own", async () => {
    await expect(runOn("native", "Einsum", [floats([2, 3]), floats([4, 2])], { equation: "ij,jk->ik" })).rejects.toThrow(/Expected dimension 3 at axis 0/);
    await expect(runOn("native", "Einsum", [floats([2, 2])], { equation: "ii->i" })).rejects.toThrow(/duplicate axes/);
  });

  test("batches may share one operand", async () => {
    const [m, n, k] = [17, 9, 23];
    for (const [aBatch, bBatch] of [[3, 3], [1, 4], [4, 1], [1, 1]])
      for (const transposeA of [false, true]) {
        const a = floats(transposeA ? [aBatch, k, m] : [aBatch, m, k]), b = floats([bBatch, k, n]);
        const [{ shape, values }] = await runOn("native", "BatchMatMul", { a, b }, { transposeA, transposeB: false });
        const batch = Math.max(aBatch, bBatch);
        expect(shape).toEqual([batch, m, n]);
        expectClose(values, product(a, b, transposeA, false, batch, m, n, k), { relative: 1e-5, absolute: 1e-5 });
      }
  });

  test("a product over nothing is zero, also in memory used before", async () => {
    await tf.setBackend("native");
    tf.tidy(() => tf.add(tf.ones([5, 4]), 3));
    const [{ values }] = await runOn("native", "BatchMatMul", { a: floats([5, 0]), b: floats([0, 4]) }, { transposeA: false, transposeB: false });
    expect(values).toEqual(new Array(20).fill(0));
  });

  test("NaN and infinity reach exactly the rows and columns they belong to", async () => {
    const a = floats([20, 30]), b = floats([30, 40]);
    a.values[3 * 30 + 5] = NaN;
    b.values[7 * 40 + 11] = Infinity;
    await expectSameAsCpu("BatchMatMul", { a, b }, { transposeA: false, transposeB: false }, { relative: 1e-4, absolute: 1e-4 });
  });

  test("_FusedMatMul adds the bias and applies each activation", async () => {
    for (const activation of ["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu", "prelu"]) {
      const inputs = {
        a: floats([1, 9, 12]), b: floats([1, 12, 7]), bias: floats([7]), ...(activation === "prelu" && { preluActivationWeights: floats([7]) }),
      };
      await expectSameAsCpu("_FusedMatMul", inputs, { transposeA: false, transposeB: false, activation, leakyreluAlpha: 0.1 }, { relative: 1e-4, absolute: 1e-5 });
    }
  });

  test("integer matrices are left to tfjs", async () => {
    await expectSameAsCpu("BatchMatMul", { a: ints([3, 4], -5, 5), b: ints([4, 2], -5, 5) }, { transposeA: false, transposeB: false });
  });

  test("the result is the same bit for bit on any number of threads", async () => {
    const a = floats([150, 333]), b = floats([333, 270]);
    const native = nativeBinding();
    const threads = native.threads();
    const results = [];
    for (const count of [1, 2, 3, 5]) {
      native.setThreads(count);
      results.push((await runOn("native", "BatchMatMul", { a, b }, { transposeA: false, transposeB: false }))[0].values);
    }
    native.setThreads(threads);
    for (const result of results) expect(result).toEqual(results[0]);
  });
});

/** Rows of each group, none for some. */
const groupSizes = [[5, 0, 33, 1, 0, 97], [0, 0, 0], [200, 1, 1, 1], [1], [14, 15, 28]];

describe("grouped matrix products", () => {
  test.each(groupSizes)("groups of uneven sizes, starting with %i", (...sizesOfGroups) => {
    const [inner, columns] = [37, 50];
    const offsets = Int32Array.of(0, ...sizesOfGroups.map((_, g) => sizesOfGroups.slice(0, g + 1).reduce((sum, size) => sum + size, 0)));
    const groups = sizesOfGroups.length;
    const rows = offsets[groups];
    const a = floats([rows, inner]), gradient = floats([rows, columns]);
    const native = nativeBinding();
    for (const transposed of [false, true]) {
      const weights = floats(transposed ? [groups, columns, inner] : [groups, inner, columns]);
      const out = new Float32Array(rows * columns).fill(NaN);
      native.matmulGroups(groups, rows, inner, columns, transposed, offsets, a.values as Float32Array, weights.values as Float32Array, out);
      const expected = sizesOfGroups.flatMap((size, g) => product(
        { ...a, values: a.values.slice(offsets[g] * inner, offsets[g + 1] * inner) },
        { ...weights, values: weights.values.slice(g * inner * columns, (g + 1) * inner * columns) }, false, transposed, 1, size, columns, inner));
      expectClose(out, expected, { relative: 1e-5, absolute: 1e-4 });
    }
    const out = new Float32Array(groups * inner * columns).fill(NaN);
    native.matmulGroupsWeightGradient(groups, rows, inner, columns, offsets, a.values as Float32Array, gradient.values as Float32Array, out);
    const expected = sizesOfGroups.flatMap((size, g) => product(
      { ...a, values: a.values.slice(offsets[g] * inner, offsets[g + 1] * inner) },
      { ...gradient, values: gradient.values.slice(offsets[g] * columns, offsets[g + 1] * columns) }, true, false, 1, inner, columns, size));
    expectClose(out, expected, { relative: 1e-5, absolute: 1e-3 });
  });
});
