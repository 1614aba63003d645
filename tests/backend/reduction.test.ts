import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { expectClose, expectSameAsCpu, floats, ints, runOn } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

const cases: [number[], number[]][] = [
  [[7], [0]], [[1], [0]], [[5, 9], [1]], [[5, 9], [0]], [[5, 9], [0, 1]], [[5, 9], []], [[4, 5, 6], [1]], [[4, 5, 6], [0, 2]], [[2, 3, 4, 5], [1, 3]],
  [[600, 37], [0]], [[37, 600], [1]], [[3, 600, 65], [1]], [[2, 20_000], [1]], [[50_001], [0]], [[9, 64], [-1]],
];

/** float32 sums of up to 512 terms of size ≤ 3 are off by at most 512 · 1536 · 2⁻²⁴; in practice by far less. */
const sumTolerance = { relative: 1e-6, absolute: 1e-3 };

describe("reductions over any dimensions", () => {
  test.each(cases)("shape %j over dimensions %j", async (shape, axis) => {
    for (const keepDims of [false, true]) {
      await expectSameAsCpu("Sum", { x: floats(shape) }, { axis, keepDims }, sumTolerance);
      await expectSameAsCpu("Mean", { x: floats(shape) }, { axis, keepDims }, { relative: 1e-5, absolute: 1e-6 });
      await expectSameAsCpu("Max", { x: floats(shape) }, { reductionIndices: axis, keepDims });
      await expectSameAsCpu("Min", { x: floats(shape) }, { axis, keepDims });
    }
    await expectSameAsCpu("Prod", { x: floats(shape, { low: 0.9, high: 1.1 }) }, { axis, keepDims: false }, { relative: 1e-4, absolute: 1e-30 });
  });

  test("the sum of a million float32 values is good to 1e-6 of the sum of their sizes", async () => {
    const x = floats([1_000_000], { low: 0, high: 1 });
    const exact = Array.from(x.values).reduce((sum, value) => sum + value, 0);
    const [{ values }] = await runOn("native", "Sum", { x }, { axis: [0], keepDims: false });
    expectClose(values, [exact], { relative: 1e-6 });
  });

  test("a NaN makes the result NaN, infinities count", async () => {
    const x = floats([60, 21]);
    [NaN, Infinity, -Infinity].forEach((value, i) => x.values.fill(value, 100 * i + 5, 100 * i + 7));
    for (const kernel of ["Sum", "Mean", "Min", "Prod"]) await expectSameAsCpu(kernel, { x }, { axis: [1], keepDims: false }, sumTolerance);
    await expectSameAsCpu("Min", { x: floats([60, 21], { specials: true }) }, { axis: [1], keepDims: false });
    await expectSameAsCpu("Max", { x: floats([60, 21], { specials: true }) }, { reductionIndices: [1], keepDims: false });
    await expectSameAsCpu("Max", { x: floats([21, 60], { specials: true }) }, { reductionIndices: [0], keepDims: false });
  });

  test("nothing adds up to 0 and multiplies to 1", async () => {
    expect((await runOn("native", "Sum", { x: floats([3, 0]) }, { axis: [1], keepDims: false }))[0].values).toEqual([0, 0, 0]);
    expect((await runOn("native", "Prod", { x: floats([0, 2]) }, { axis: [0], keepDims: false }))[0].values).toEqual([1, 1]);
  });

  test("integer sums stay int32", async () => {
    await expectSameAsCpu("Sum", { x: ints([5, 9], -9, 9) }, { axis: [1], keepDims: false });
  });
});

describe("positions and orders", () => {
  test("ArgMax and ArgMin find the first of equals along any dimension", async () => {
    for (const axis of [0, 1, 2])
      for (const kernel of ["ArgMax", "ArgMin"]) {
        await expectSameAsCpu(kernel, { x: floats([13, 17, 5]) }, { axis });
        const few = ints([13, 17, 5], 0, 4);
        await expectSameAsCpu(kernel, { x: { ...few, dtype: "float32", values: Float32Array.from(few.values) } }, { axis });
      }
    await expectSameAsCpu("ArgMax", { x: floats([13, 17], { specials: true }) }, { axis: 1 });
  });

  test("TopK gives the largest first, ties to the lower index, for every k", async () => {
    for (const k of [1, 2, 7, 64]) {
      await expectSameAsCpu("TopK", { x: floats([31, 64]) }, { k, sorted: true });
      const few = ints([31, 64], 0, 5);
      await expectSameAsCpu("TopK", { x: { ...few, dtype: "float32", values: Float32Array.from(few.values) } }, { k, sorted: true });
    }
    await expectSameAsCpu("TopK", { x: floats([2, 3, 50_000]) }, { k: 50, sorted: true });
  });

  test("Cumsum runs along any dimension, both ways, with and without the element itself", async () => {
    for (const axis of [0, 1, 2])
      for (const exclusive of [false, true])
        for (const reverse of [false, true])
          await expectSameAsCpu("Cumsum", { x: floats([4, 9, 3]) }, { axis, exclusive, reverse }, { relative: 1e-5, absolute: 1e-5 });
  });

  test("Softmax rows add up to 1, also for large, equal and very different scores", async () => {
    for (const shape of [[1], [5, 1], [5, 7], [3, 4, 16], [200, 129], [0, 4]])
      await expectSameAsCpu("Softmax", { logits: floats(shape, { low: -40, high: 40 }) }, { dim: shape.length - 1 }, { relative: 2e-6, absolute: 1e-30 });
    await expectSameAsCpu("Softmax", { logits: floats([4, 33], { low: 3e38, high: 3e38 }) }, { dim: -1 });
    await expectSameAsCpu("Softmax", { logits: floats([40, 9], { specials: true }) }, { dim: -1 }, { relative: 2e-6 });
  });
});
