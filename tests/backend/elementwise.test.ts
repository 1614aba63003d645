import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { bools, expectClose, expectSameAsCpu, floats, ints, runOn, specialValues, type Sample, type Tolerance } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

const shapePairs: [number[], number[]][] = [
  [[], []], [[5], [5]], [[1], [7]], [[7], []], [[0], [1]], [[3, 0, 2], [1, 2]], [[17, 33], [17, 33]], [[17, 33], [33]],
  [[17, 1], [1, 33]], [[17, 33], [17, 1]], [[2, 1, 3, 1], [4, 1, 5]], [[2, 3, 4, 5], [3, 1, 5]], [[1, 2, 1, 3, 1, 2], [2, 2, 2, 1, 3, 1]],
  [[300, 257], [257]], [[70_001], [70_001]], [[70_001], [1]],
];

const binary: [string, { low?: number; high?: number }, Tolerance?][] = [
  ["Add", {}], ["Sub", {}], ["Multiply", {}], ["RealDiv", {}], ["Maximum", {}], ["Minimum", {}], ["SquaredDifference", {}],
  ["Pow", {}, { relative: 1e-6, absolute: 3e-45 }], ["Mod", {}, { relative: 1e-6, absolute: 1e-7 }], ["Atan2", {}, { relative: 2e-7 }],
  ["Equal", { low: 0, high: 1 }], ["NotEqual", {}], ["Greater", {}], ["GreaterEqual", {}], ["Less", {}], ["LessEqual", {}],
];

describe("two operands", () => {
  test.each(binary)("%s spreads its operands over each other as NumPy does", async (kernel, range, tolerance) => {
    for (const [a, b] of shapePairs) await expectSameAsCpu(kernel, { a: floats(a, range), b: floats(b, range) }, {}, tolerance);
  });

  test.each(binary)("%s keeps NaN, infinities, zeros and numbers below the normal range", async (kernel, _, tolerance) => {
    const pairs = specialValues.flatMap((a) => specialValues.map((b) => [a, b]));
    const column = (i: number): Sample => ({ shape: [pairs.length], dtype: "float32", values: Float32Array.from(pairs, (pair) => pair[i]) });
    await expectSameAsCpu(kernel, { a: column(0), b: column(1) }, {}, tolerance);
    await expectSameAsCpu(kernel, { a: floats([23, 19], { specials: true }), b: floats([19], { specials: true }) }, {}, tolerance);
  });

  test("Prelu weighs what is negative; the weights spread over x", async () => {
    for (const [x, alpha] of shapePairs) await expectSameAsCpu("Prelu", { x: floats(x, { specials: true }), alpha: floats(alpha) });
  });

  test("comparisons of integers and of booleans give booleans", async () => {
    for (const kernel of ["Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"])
      for (const [a, b] of shapePairs) await expectSameAsCpu(kernel, { a: ints(a, -3, 3), b: ints(b, -3, 3) });
    await expectSameAsCpu("LogicalAnd", { a: bools([40, 3]), b: bools([3]) });
    await expectSameAsCpu("LogicalOr", { a: bools([3]), b: bools([40, 3]) });
  });

  test("AddN adds any number of tensors", async () => {
    for (const count of [1, 2, 5]) await expectSameAsCpu("AddN", Array.from({ length: count }, () => floats([7, 11])));
  });

  test("a float32 tensor made from an Int32Array is computed as float32", async () => {
    await tf.setBackend("native");
    const x = tf.tensor1d(Int32Array.of(1, 2, 3), "float32");
    expect(Array.from(tf.add(x, 0.5).dataSync())).toEqual([1.5, 2.5, 3.5]);
  });
});

const unary: [string, { low?: number; high?: number; attrs?: object }, Tolerance?][] = [
  ["Neg", {}], ["Square", {}], ["Abs", {}], ["Reciprocal", {}], ["Relu", {}], ["Relu6", { low: -9, high: 9 }], ["Floor", {}], ["Ceil", {}],
  ["Exp", { low: -110, high: 95 }, { relative: 3e-7, absolute: 3e-45 }], ["Log", { low: 0, high: 50 }, { relative: 4e-7, absolute: 6e-8 }],
  ["Sqrt", { low: 0, high: 50 }, { relative: 2e-7 }], ["Rsqrt", { low: 0, high: 50 }, { relative: 3e-7 }],
  ["Sigmoid", { low: -30, high: 30 }, { relative: 5e-7 }], ["Tanh", { low: -12, high: 12 }, { relative: 5e-7 }],
  ["Elu", {}, { relative: 1e-6, absolute: 1e-7 }], ["Sin", {}, { relative: 1e-6, absolute: 1e-7 }], ["Cos", {}, { relative: 1e-6, absolute: 1e-7 }],
  ["Erf", {}, { relative: 1e-6, absolute: 3e-7 }], // tfjs's own formula is good to 1.5e-7
  ["Tan", {}, { relative: 1e-6, absolute: 1e-7 }], ["Asin", { low: -1, high: 1 }, { relative: 2e-7 }], ["Acos", { low: -1, high: 1 }, { relative: 2e-7 }],
  ["Atan", {}, { relative: 2e-7 }], ["Sinh", { low: -9, high: 9 }, { relative: 1e-6 }], ["Cosh", { low: -9, high: 9 }, { relative: 2e-7 }],
  ["Asinh", {}, { relative: 1e-6 }], ["Acosh", { low: 1, high: 9 }, { relative: 1e-6 }], ["Atanh", { low: -1, high: 1 }, { relative: 2e-7 }],
  ["Selu", {}, { relative: 1e-6, absolute: 1e-7 }] /* cpu subtracts 1 from e^x */, ["Round", { low: -9, high: 9 }], ["Sign", {}],
  ["Log1p", { low: -1, high: 9 }, { relative: 1e-6 }], ["Expm1", {}, { relative: 1e-6 }],
  ["LeakyRelu", { attrs: { alpha: 0.2 } }], ["Step", { attrs: { alpha: 0.5 } }], ["ClipByValue", { attrs: { clipValueMin: -1, clipValueMax: 2 } }],
];

describe("one operand", () => {
  test.each(unary)("%s is within its error bound of tfjs's float64 arithmetic", async (kernel, { attrs, ...range }, tolerance) => {
    for (const shape of [[], [0], [1], [15], [16], [17], [3, 5, 7], [66_001]]) await expectSameAsCpu(kernel, { x: floats(shape, range) }, attrs, tolerance);
  });

  test.each(unary)("%s keeps NaN, infinities and zeros", async (kernel, { attrs }, tolerance) => {
    const values = Float32Array.from(specialValues.filter((value) => Math.abs(value) < 1e38 || !Number.isFinite(value)));
    await expectSameAsCpu(kernel, { x: { shape: [values.length], dtype: "float32", values } }, attrs, tolerance);
  });

  test.each(["IsNan", "IsInf", "IsFinite"])("%s tells NaN, infinities and numbers apart", async (kernel) => {
    for (const shape of [[], [0], [17], [66_001]]) await expectSameAsCpu(kernel, { x: floats(shape, { specials: true }) });
  });

  test("Softplus is log(1 + e^x), to its last places also where e^x is tiny", async () => {
    const x = Float32Array.from({ length: 2001 }, (_, i) => -100 + i / 10);
    const [{ values }] = await runOn("native", "Softplus", { x: { shape: [x.length], dtype: "float32", values: x } });
    expectClose(values, Array.from(x, (value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)))), { relative: 8e-7, absolute: 3e-45 });
  });
});

describe("choosing and converting", () => {
  test("Select takes from the first where the condition holds", async () => {
    for (const shape of [[1], [33], [40, 7]]) await expectSameAsCpu("Select", { condition: bools(shape), t: floats(shape), e: floats(shape) });
    await expectSameAsCpu("Select", { condition: bools([40_000]), t: floats([40_000], { specials: true }), e: floats([40_000]) });
  });

  test("Cast to int32 drops the fraction, to bool asks for not zero, to float32 is exact", async () => {
    await expectSameAsCpu("Cast", { x: floats([50], { low: -1e6, high: 1e6 }) }, { dtype: "int32" });
    await expectSameAsCpu("Cast", { x: floats([50], { specials: true }) }, { dtype: "int32" });
    await expectSameAsCpu("Cast", { x: floats([50], { specials: true }) }, { dtype: "bool" });
    await expectSameAsCpu("Cast", { x: ints([50], -3, 3) }, { dtype: "bool" });
    await expectSameAsCpu("Cast", { x: ints([50_000], -(2 ** 24), 2 ** 24) }, { dtype: "float32" });
    await expectSameAsCpu("Cast", { x: bools([50_000]) }, { dtype: "float32" });
    await expectSameAsCpu("Cast", { x: bools([50]) }, { dtype: "int32" });
  });

  test("Fill, ZerosLike and OnesLike give every element its value, also in memory used before", async () => {
    await tf.setBackend("native");
    tf.tidy(() => tf.add(tf.ones([40, 3]), 5));
    for (const dtype of ["float32", "int32", "bool"] as const) {
      await expectSameAsCpu("Fill", {}, { shape: [40, 3], value: 1, dtype });
      const [zeros] = await runOn("native", "ZerosLike", { x: { ...floats([40, 3]), dtype } });
      expect(new Set(zeros.values)).toEqual(new Set([0]));
      const [ones] = await runOn("native", "OnesLike", { x: { ...floats([40, 3]), dtype } });
      expect(new Set(ones.values)).toEqual(new Set([1]));
    }
  });
});
