import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { ShapeError } from "../../toolkit/errors.ts";
import { bools, expectSameAsCpu, floats, ints, runOn, type Sample } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

/** The same shape in each dtype: kernels that only move values serve all three. */
const ofEachType = (shape: number[]): Sample[] => [floats(shape, { specials: true }), ints(shape, -99, 99), bools(shape)];

describe("moving values", () => {
  test.each([
    [[5], [0]], [[7, 11], [1, 0]], [[64, 48], [1, 0]], [[300, 257], [1, 0]], [[3, 40, 17], [0, 2, 1]], [[3, 40, 17], [2, 1, 0]], [[3, 40, 17], [1, 0, 2]],
    [[2, 3, 4, 5], [0, 2, 1, 3]], [[2, 16, 4, 32], [0, 2, 3, 1]], [[2, 3, 4, 5, 2, 3], [5, 3, 1, 0, 2, 4]], [[0, 3], [1, 0]], [[1, 1, 6], [2, 0, 1]],
  ])("Transpose of shape %j by %j", async (shape, perm) => {
    for (const x of ofEachType(shape)) await expectSameAsCpu("Transpose", { x }, { perm });
  });

  test("Slice takes any block, whole rows or not", async () => {
    const cases: [number[], number[], number[]][] = [
      [[9], [2], [4]], [[9, 5], [3, 0], [2, 5]], [[9, 5], [0, 1], [9, 3]], [[4, 5, 6], [1, 2, 3], [2, 2, -1]], [[4, 5], [1, 1], [0, 2]],
      [[2, 3, 4, 5], [0, 1, 0, 2], [2, 2, 4, 1]], [[300, 400], [10, 20], [250, 333]],
    ];
    for (const [shape, begin, size] of cases)
      for (const x of ofEachType(shape)) await expectSameAsCpu("Slice", { x }, { begin, size });
  });

  test("Concat joins along any dimension and passes over empty tensors", async () => {
    for (const axis of [0, 1, 2])
      for (const lengths of [[1, 4, 2], [3, 0, 5], [0, 6], [0, 0], [2]]) {
        const shapes = lengths.map((length) => [3, 4, 5].with(axis, length));
        await expectSameAsCpu("Concat", shapes.map((shape) => floats(shape)), { axis });
        await expectSameAsCpu("Concat", shapes.map((shape) => ints(shape, 0, 9)), { axis });
      }
  });

  test("SplitV undoes Concat", async () => {
    for (const axis of [0, 1]) await expectSameAsCpu("SplitV", { x: floats([6, 6]) }, { numOrSizeSplits: [1, 3, 2], axis });
    await expectSameAsCpu("SplitV", { x: ints([4, 6], 0, 9) }, { numOrSizeSplits: 3, axis: 1 });
  });

  test("Pack and Unpack add and remove a dimension anywhere", async () => {
    for (const axis of [0, 1, 2]) {
      await expectSameAsCpu("Pack", [floats([3, 4]), floats([3, 4]), floats([3, 4])], { axis });
      await expectSameAsCpu("Unpack", { value: floats([3, 4, 5]) }, { axis });
    }
  });

  test("PadV2, Tile and Reverse", async () => {
    for (const x of ofEachType([3, 4, 5])) {
      await expectSameAsCpu("PadV2", { x }, { paddings: [[0, 2], [1, 0], [3, 3]], constantValue: 1 });
      await expectSameAsCpu("Tile", { x }, { reps: [2, 1, 3] });
      await expectSameAsCpu("Reverse", { x }, { dims: [0, 2] });
    }
    await expectSameAsCpu("Tile", { x: floats([2, 1, 2, 3, 2]) }, { reps: [2, 3, 1, 2, 2] });
    await expectSameAsCpu("Reverse", { x: floats([0, 3]) }, { dims: [0] });
  });
});

const noMasks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0 };

describe("StridedSlice", () => {
  test("steps forward and backward through each dimension", async () => {
    const cases: [number[], number[], number[], number[]][] = [
      [[9], [1], [8], [3]], [[9], [7], [0], [-2]], [[5, 6], [-1, 0], [-6, 6], [-1, 2]], [[5, 6], [0, 4], [5, 4], [1, 1]], [[3, 4, 5], [2, 3, 4], [-9, 0, 1], [-1, -2, -1]],
    ];
    for (const [shape, begin, end, strides] of cases)
      for (const x of ofEachType(shape)) await expectSameAsCpu("StridedSlice", { x }, { begin, end, strides, ...noMasks });
  });

  test("drops a dimension beside one with a stride", async () => {
    const x = { shape: [2, 4, 2], dtype: "int32", values: Int32Array.from({ length: 16 }, (_, i) => i) } as const;
    const attrs = { begin: [1, 0, 0], end: [2, 4, 2], strides: [1, 2, 1], ...noMasks, shrinkAxisMask: 1 };
    expect(await runOn("native", "StridedSlice", { x: { ...x, shape: [...x.shape] } }, attrs)).toEqual([{ shape: [2, 2], dtype: "int32", values: [8, 9, 12, 13] }]);
  });
});

describe("moving by index", () => {
  test("GatherV2 takes rows along any dimension, for each batch", async () => {
    for (const x of ofEachType([6, 7, 5])) {
      await expectSameAsCpu("GatherV2", { x, indices: ints([4], 0, 6) }, { axis: 0, batchDims: 0 });
      await expectSameAsCpu("GatherV2", { x, indices: ints([2, 3], 0, 7) }, { axis: 1, batchDims: 0 });
      await expectSameAsCpu("GatherV2", { x, indices: ints([6, 3], 0, 7) }, { axis: 1, batchDims: 1 });
      await expectSameAsCpu("GatherV2", { x, indices: ints([9], 0, 5) }, { axis: 2, batchDims: 0 });
    }
    await expectSameAsCpu("GatherV2", { x: floats([500, 130]), indices: ints([3000], 0, 500) }, { axis: 0, batchDims: 0 });
  });

  test("a tensor made of shared memory keeps its values when another thread changes that", async () => {
    await chooseBackend("native");
    const shared = new Int32Array(new SharedArrayBuffer(8));
    shared.set([1, 0]);
    const indices = tf.tensor1d(shared, "int32");
    shared.fill(99);
    expect(Array.from(tf.gather(tf.tensor1d([5, 6]), indices).dataSync())).toEqual([6, 5]);
  });

  test("an index outside the dimension is an error", async () => {
    await expect(runOn("native", "GatherV2", { x: floats([4, 2]), indices: ints([3], 4, 5) }, { axis: 0, batchDims: 0 })).rejects.toThrow(ShapeError);
    await expect(runOn("native", "ScatterNd", { indices: ints([1, 1], 9, 10), updates: floats([1]) }, { shape: [4] })).rejects.toThrow(ShapeError);
  });

  test("ScatterNd and UnsortedSegmentSum add up what goes to the same place", async () => {
    const tolerance = { relative: 1e-5, absolute: 1e-5 };
    await expectSameAsCpu("ScatterNd", { indices: ints([30, 1], 0, 5), updates: floats([30, 7]) }, { shape: [5, 7] }, tolerance);
    await expectSameAsCpu("ScatterNd", { indices: ints([30, 2], 0, 4), updates: floats([30]) }, { shape: [4, 5] }, tolerance);
    await expectSameAsCpu("UnsortedSegmentSum", { x: floats([40, 33]), segmentIds: ints([40], -2, 9) }, { numSegments: 7 }, tolerance);
    await expectSameAsCpu("UnsortedSegmentSum", { x: floats([3000, 40]), segmentIds: ints([3000], 0, 20) }, { numSegments: 20 }, tolerance);
  });

  test("GatherNd reads and TensorScatterUpdate replaces slices of any depth", async () => {
    for (const x of ofEachType([4, 5, 3])) {
      for (const depth of [1, 2, 3]) await expectSameAsCpu("GatherNd", { params: x, indices: ints([6, depth], 0, 3) });
      await expectSameAsCpu("TensorScatterUpdate", { tensor: x, indices: ints([6, 2], 0, 4), updates: { ...x, shape: [6, 3], values: x.values.slice(0, 18) } });
    }
    await expectSameAsCpu("GatherNd", { params: floats([4, 5]), indices: ints([2, 3, 1], 0, 4) });
    await expect(runOn("native", "GatherNd", { params: floats([4, 2]), indices: ints([1, 2], 2, 3) })).rejects.toThrow(ShapeError);
  });

  test("TensorScatterUpdate leaves its input as it was", async () => {
    await chooseBackend("native");
    const before = tf.tensor1d([1, 2, 3]);
    const after = tf.tensorScatterUpdate(before, tf.tensor2d([[1]], [1, 1], "int32"), tf.tensor1d([9]));
    expect([[...before.dataSync()], [...after.dataSync()]]).toEqual([[1, 2, 3], [1, 9, 3]]);
  });

  test("OneHot leaves rows of unknown ids off", async () => {
    const indices = ints([4, 3], -1, 6);
    for (const dtype of ["float32", "int32", "bool"]) await expectSameAsCpu("OneHot", { indices }, { dtype, depth: 5, onValue: 1, offValue: 0 });
  });
});

test("gradients flow through native kernels: a small network's equal the cpu's", async () => {
  const x = floats([8, 5]), w = floats([5, 6]), bias = floats([6]);
  const gradients = async (backend: string): Promise<number[]> => {
    await tf.setBackend(backend);
    return tf.tidy(() => {
      const inputs = [x, w, bias].map((sample) => tf.tensor(sample.values, sample.shape));
      const loss = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor): tf.Scalar => {
        const hidden = tf.sigmoid(tf.add(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), c));
        return tf.mean(tf.square(tf.sub(tf.softmax(hidden), tf.gather(hidden, tf.tensor1d([7, 6, 5, 4, 3, 2, 1, 0], "int32")))));
      };
      return tf.grads(loss)(inputs).flatMap((gradient) => Array.from(gradient.dataSync()));
    });
  };
  const [actual, expected] = [await gradients("native"), await gradients("cpu")];
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 6));
});
