import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { bools, expectSameAsCpu, floats, ints, runOn, type Sample } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

const limits = [0, 1, -1, 2, -2, 7, -7, 65_536, -65_537, 2 ** 24 + 1, 2 ** 31 - 1, -(2 ** 31)];

/** Every pair of numbers at the limits of int32, as two columns. */
const pairs = limits.flatMap((a) => limits.map((b) => [a, b] as const));
const column = (i: 0 | 1): Sample => ({ shape: [pairs.length], dtype: "int32", values: Int32Array.from(pairs, (pair) => pair[i]) });

/** What tfjs means: the real number, computed in float64, stored in an Int32Array. */
const asInt32 = (value: number): number => Int32Array.of(value)[0];
const flooredModulo = (a: number, b: number): number => (b === 0 ? NaN : a - b * Math.floor(a / b));

const binary: [kernel: string, definition: (a: number, b: number) => number][] = [
  ["Add", (a, b) => a + b], ["Sub", (a, b) => a - b], ["Multiply", (a, b) => a * b], ["Maximum", Math.max], ["Minimum", Math.min],
  ["SquaredDifference", (a, b) => (a - b) * (a - b)], ["FloorDiv", (a, b) => Math.floor(a / b)], ["Mod", flooredModulo],
];

const shapePairs: [number[], number[]][] = [
  [[], []], [[7], []], [[0], [1]], [[17, 33], [33]], [[17, 1], [1, 33]], [[2, 1, 3, 1], [4, 1, 5]], [[70_001], [70_001]], [[300, 257], [300, 1]],
];

describe("arithmetic of int32 tensors", () => {
  test.each(binary)("%s is that of real numbers, wrapped into 32 bits; what is divided by 0 is 0", async (kernel, definition) => {
    const [{ dtype, values }] = await runOn("native", kernel, { a: column(0), b: column(1) });
    expect(dtype).toBe("int32");
    expect(values).toEqual(pairs.map(([a, b]) => asInt32(definition(a, b))));
  });

  test.each(binary)("%s spreads its operands over each other as on cpu", async (kernel) => {
    for (const [a, b] of shapePairs) await expectSameAsCpu(kernel, { a: ints(a, -1000, 1000), b: ints(b, -50, 50) });
  });

  test("AddN adds any number of tensors, and leaves them as they were", async () => {
    for (const count of [1, 2, 5]) await expectSameAsCpu("AddN", Array.from({ length: count }, () => ints([7, 11], -(2 ** 30), 2 ** 30)));
    await chooseBackend("native");
    const x = tf.tensor1d([1, 2, 3], "int32");
    expect(Array.from(tf.addN([x, x]).dataSync())).toEqual([2, 4, 6]);
    expect(Array.from(x.dataSync())).toEqual([1, 2, 3]);
  });

  test.each<[string, (x: number) => number]>([
    ["Neg", (x) => -x], ["Abs", Math.abs], ["Square", (x) => x * x], ["Sign", Math.sign], ["Relu", (x) => Math.max(0, x)],
  ])("%s of integers, also of those that float32 can't hold", async (kernel, definition) => {
    const x = { shape: [limits.length], dtype: "int32", values: Int32Array.from(limits) } as const;
    const [{ values }] = await runOn("native", kernel, { x: { ...x, shape: [...x.shape] } });
    expect(values).toEqual(limits.map((value) => asInt32(definition(value))));
  });

  test("ClipByValue cuts the fraction off its limits", async () => {
    for (const [clipValueMin, clipValueMax] of [[-3, 4], [-2.5, 3.7], [-1e12, 1e12], [-Infinity, 0]])
      await expectSameAsCpu("ClipByValue", { x: ints([99], -9, 9) }, { clipValueMin, clipValueMax });
  });

  test("comparisons of booleans", async () => {
    for (const kernel of ["Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"])
      await expectSameAsCpu(kernel, { a: bools([40, 3]), b: bools([3]) });
    await expectSameAsCpu("LogicalNot", { x: bools([1001]) });
  });

  test("Select chooses among integers and booleans", async () => {
    for (const make of [() => ints([40, 7], -99, 99), () => bools([40, 7])])
      await expectSameAsCpu("Select", { condition: bools([40, 7]), t: make(), e: make() });
  });
});

const axes: [number[], number[]][] = [
  [[7], [0]], [[5, 9], [1]], [[5, 9], [0]], [[5, 9], []], [[4, 5, 6], [1]], [[4, 5, 6], [0, 2]], [[70_000, 3], [0]], [[3, 70_000], [1]], [[2, 300, 130], [1]],
];

describe("reductions of integers and booleans", () => {
  test.each(axes)("shape %j over dimensions %j", async (shape, axis) => {
    for (const keepDims of [false, true]) {
      await expectSameAsCpu("Sum", { x: ints(shape, -(2 ** 31), 2 ** 31) }, { axis, keepDims });
      await expectSameAsCpu("Max", { x: ints(shape, -(2 ** 31), 2 ** 31) }, { reductionIndices: axis, keepDims });
      await expectSameAsCpu("Min", { x: ints(shape, -(2 ** 31), 2 ** 31) }, { axis, keepDims });
      await expectSameAsCpu("Any", { x: bools(shape) }, { axis, keepDims });
      await expectSameAsCpu("All", { x: bools(shape) }, { axis, keepDims });
    }
    await expectSameAsCpu("Prod", { x: ints(shape, -40, 40) }, { axis, keepDims: false });
    await expectSameAsCpu("Mean", { x: ints(shape, -40, 40) }, { axis, keepDims: false }, { relative: 1e-5, absolute: 1e-5 });
  });

  test("a sum of a million large integers is exact before it wraps", async () => {
    const x = ints([1_000_000], 2 ** 30, 2 ** 31);
    const exact = Array.from(x.values).reduce((sum, value) => sum + BigInt(value), 0n);
    const [{ values }] = await runOn("native", "Sum", { x }, { axis: [0], keepDims: false });
    expect(values).toEqual([Number(BigInt.asIntN(32, exact))]);
  });

  test("nothing adds up to 0, multiplies to 1, is all and not any", async () => {
    const nothing = { shape: [2, 0], dtype: "int32", values: new Int32Array(0) } as const;
    const none = { shape: [2, 0], dtype: "bool", values: new Uint8Array(0) } as const;
    const of = async (kernel: string, x: typeof nothing | typeof none): Promise<number[]> =>
      (await runOn("native", kernel, { x: { ...x, shape: [...x.shape] } }, { axis: [1], keepDims: false }))[0].values;
    expect(await of("Sum", nothing)).toEqual([0, 0]);
    expect(await of("Prod", nothing)).toEqual([1, 1]);
    expect(await of("All", none)).toEqual([1, 1]);
    expect(await of("Any", none)).toEqual([0, 0]);
  });

  test("ArgMax, ArgMin and TopK find the first of equals", async () => {
    for (const axis of [0, 1, 2])
      for (const kernel of ["ArgMax", "ArgMin"]) await expectSameAsCpu(kernel, { x: ints([13, 90, 5], -3, 4) }, { axis });
    await expectSameAsCpu("ArgMax", { x: ints([3, 50_000], -(2 ** 31), 2 ** 31) }, { axis: 1 });
    for (const k of [1, 7, 64]) await expectSameAsCpu("TopK", { x: ints([31, 64], 0, 9) }, { k, sorted: true });
  });

  test("running sums and products wrap at every step", async () => {
    for (const kernel of ["Cumsum", "Cumprod"])
      for (const axis of [0, 1, 2])
        for (const exclusive of [false, true])
          for (const reverse of [false, true]) {
            await expectSameAsCpu(kernel, { x: ints([4, 9, 130], -(2 ** 31), 2 ** 31) }, { axis, exclusive, reverse });
            await expectSameAsCpu(kernel, { x: floats([4, 9, 3], { low: 0.5, high: 1.5 }) }, { axis, exclusive, reverse }, { relative: 1e-5, absolute: 1e-5 });
          }
  });
});

describe("integers by index", () => {
  test("ScatterNd and UnsortedSegmentSum add up what goes to the same place", async () => {
    await expectSameAsCpu("ScatterNd", { indices: ints([30, 1], 0, 5), updates: ints([30, 7], -(2 ** 31), 2 ** 31) }, { shape: [5, 7] });
    await expectSameAsCpu("UnsortedSegmentSum", { x: ints([40, 33], -99, 99), segmentIds: ints([40], -2, 9) }, { numSegments: 7 });
  });

  test("Unique numbers the different values in the order of their first places", async () => {
    await expectSameAsCpu("Unique", { x: ints([2000], -40, 40) }, { axis: 0 });
    await expectSameAsCpu("Unique", { x: ints([1, 2000, 1], -400, 400) }, { axis: 1 });
    await expectSameAsCpu("Unique", { x: floats([500], { specials: true }) }, { axis: 0 });
    await expectSameAsCpu("Unique", { x: ints([20, 2], 0, 3) }, { axis: 0 }); // rows
  });
});
