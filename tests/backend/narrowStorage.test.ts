import { channel } from "node:diagnostics_channel";
import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, test } from "vitest";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { floatStorages, type FloatStorage } from "../../toolkit/backend/floatStorage.ts";
import type { NativeBackend } from "../../toolkit/backend/storage.ts";
import { adamwStep } from "../../toolkit/ops/adamw.ts";
import { toStorage } from "../../toolkit/ops/toStorage.ts";
import { formats, rounded } from "../native/narrowFormats.ts";
import { errorCode } from "../ops/backends.ts";
import { uniform } from "./compare.ts";

let backend: NativeBackend;
beforeEach(async () => {
  await chooseBackend("native");
  backend = tf.backend() as NativeBackend;
  backend.releaseRecycled();
});

const random = (shape: number[]): tf.Tensor => tf.tensor(Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => 4 * uniform() - 2), shape);
const values = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());
const storedBytes = (): number => backend.memory().storedBytes;

describe.each(formats)("a tensor in $name", (format) => {
  test("takes two bytes a value and reads as its rounded values", () => {
    const x = random([40, 50]);
    const before = { stored: storedBytes(), tensors: tf.memory().numTensors };
    const y = toStorage(x, format.name);
    expect(backend.storageOf(y)).toBe(format.name);
    expect(y.dtype).toBe("float32");
    expect(storedBytes() - before.stored).toBe(2 * 2000);
    expect(values(y)).toEqual(values(x).map((value) => rounded(format, value)));
    y.dispose();
    expect(storedBytes()).toBe(before.stored);
    expect(tf.memory().numTensors).toBe(before.tensors);
  });

  test("hands out copies: what a user does with them changes nothing", async () => {
    const y = toStorage(random([2000]), format.name);
    const expected = values(y);
    y.dataSync().fill(7);
    (await y.data()).fill(8);
    (await y.buffer()).set(9, 0);
    expect(values(y)).toEqual(expected);
  });

  test("shares its data with clones and reshapes, which outlive it", () => {
    const y = toStorage(random([2000]), format.name);
    const expected = values(y);
    const stored = storedBytes();
    const shared = [tf.clone(y), tf.reshape(y, [20, 100]), tf.expandDims(y, 0), tf.cast(y, "float32"), tf.variable(y)];
    expect(storedBytes()).toBe(stored);
    y.dispose();
    for (let i = 0; i < 5; i += 1) toStorage(tf.fill([2000], i), format.name);
    for (const tensor of shared) {
      expect(backend.storageOf(tensor)).toBe(format.name);
      expect(values(tensor)).toEqual(expected);
    }
  });

  test("is never changed in place", () => {
    const value = tf.variable(toStorage(tf.ones([2000]), format.name));
    const clone = tf.clone(value);
    expect(backend.isExclusive(value)).toBe(false);
    const moments = { firstMoment: tf.variable(tf.zeros([2000])), secondMoment: tf.variable(tf.zeros([2000])) };
    adamwStep([{ value, gradient: tf.ones([2000]), ...moments, weightDecay: 0 }],
      { learningRate: 0.25, beta1: 0.9, beta2: 0.99, epsilon: 0, step: 1, gradientScale: 1 });
    expect(value.dataSync()[0]).toBeCloseTo(0.75, 6); // the first step is the learning rate against the gradient's sign
    expect(new Set(values(clone))).toEqual(new Set([1]));
  });

  test("moves to another backend with its values", async () => {
    const y = toStorage(random([2000]), format.name);
    const expected = values(y).map((value) => value + 1);
    await tf.setBackend("cpu");
    expect(values(tf.add(y, 1))).toEqual(expected);
  });
});

type Op = (x: tf.Tensor4D) => tf.Tensor | tf.Tensor[];
const indices = (): tf.Tensor1D => tf.tensor1d([3, 0, 3], "int32");

/** Native kernels, tfjs's own on shared memory, and those that may give views of their input. */
const ops: Readonly<Record<string, Op>> = {
  add: (x) => tf.add(x, x), addN: (x) => tf.addN([x, x, x]), mul: (x) => tf.mul(x, 3), relu: (x) => tf.relu(x), sign: (x) => tf.sign(x),
  selu: (x) => tf.selu(x), atan2: (x) => tf.atan2(x, tf.onesLike(x)), mod: (x) => tf.mod(x, tf.scalar(0.7)), isNaN: (x) => tf.isNaN(x),
  greater: (x) => tf.greater(x, 0), where: (x) => tf.where(tf.greater(x, 0), x, tf.zerosLike(x)),
  toInts: (x) => tf.cast(x, "int32"), toBools: (x) => tf.cast(x, "bool"), toComplex: (x) => tf.real(tf.cast(x, "complex64")), complex: (x) => tf.imag(tf.complex(x, x)),
  matMul: (x) => tf.matMul(x, x, false, true), fused: (x) => tf.fused.matMul({ a: x, b: x, transposeB: true, bias: tf.ones([8]), activation: "relu" }),
  einsum: (x) => tf.einsum("bhwc,bhwd->cd", x, x), dot: (x) => tf.dot(tf.reshape(x, [-1]), tf.reshape(x, [-1])),
  sum: (x) => tf.sum(x, [0, 2]), mean: (x) => tf.mean(x), max: (x) => tf.max(x, 1), argMax: (x) => tf.argMax(x, 3), cumsum: (x) => tf.cumsum(x, 1),
  softmax: (x) => tf.softmax(x), logSumExp: (x) => tf.logSumExp(x, 3), topk: (x) => { const { values, indices } = tf.topk(x, 2); return [values, indices]; },
  transpose: (x) => tf.transpose(x), slice: (x) => tf.slice(x, [1], [1]), stridedSlice: (x) => tf.stridedSlice(x, [0, 0, 0, 0], [2, 8, 8, 16], [1, 2, 2, 3]),
  split: (x) => tf.split(x, 2, 3), unstack: (x) => tf.unstack(x), stack: (x) => tf.stack([x, x]), concat: (x) => tf.concat([x, x], 2), concatOne: (x) => tf.concat([x]),
  pad: (x) => tf.pad(x, [[0, 0], [1, 2], [0, 0], [0, 0]]), mirrorPad: (x) => tf.mirrorPad(x, [[0, 0], [1, 1], [0, 0], [0, 0]], "reflect"),
  tile: (x) => tf.tile(x, [1, 2, 1, 1]), reverse: (x) => tf.reverse(x, 1), gather: (x) => tf.gather(x, indices(), 1), gatherNd: (x) => tf.gatherND(x, tf.tensor2d([[1, 2]], [1, 2], "int32")),
  scatter: (x) => tf.scatterND(tf.tensor2d([[3], [1]], [2, 1], "int32"), x, [4, 8, 8, 16]), segmentSum: (x) => tf.unsortedSegmentSum(x, tf.tensor1d([1, 1], "int32"), 2),
  update: (x) => tf.tensorScatterUpdate(x, tf.tensor2d([[0]], [1, 1], "int32"), tf.ones([1, 8, 8, 16])), fillLike: (x) => tf.onesLike(x),
  conv2d: (x) => tf.conv2d(x, tf.ones([3, 3, 16, 2]), 1, "same"), depthwise: (x) => tf.depthwiseConv2d(x, tf.ones([3, 3, 16, 1]), 1, "valid"),
  maxPool: (x) => tf.maxPool(x, 2, 2, "same"), avgPool: (x) => tf.avgPool(x, 2, 2, "same"), resize: (x) => tf.image.resizeBilinear(x, [5, 3]),
  batchNorm: (x) => tf.batchNorm(x, tf.zeros([16]), tf.ones([16])), localNorm: (x) => tf.localResponseNormalization(x), spaceToBatch: (x) => tf.spaceToBatchND(x, [2, 2], [[0, 0], [0, 0]]),
  depthToSpace: (x) => tf.depthToSpace(x, 2, "NHWC"), fft: (x) => tf.real(tf.rfft(x)), bincount: (x) => tf.bincount(tf.cast(tf.abs(tf.reshape(x, [-1])), "int32"), [], 4),
};

describe.each(Object.keys(ops))("%s", (name) => {
  test("computes with the widened values of narrow storage, and leaves them as they are", () => {
    const x = toStorage(random([2, 8, 8, 16]), "bfloat16") as tf.Tensor4D;
    const expected = values(x);
    const wide = tf.tensor4d(expected, [2, 8, 8, 16]);
    const [fromNarrow, fromWide] = [x, wide].map((input) => [ops[name](input)].flat());
    expect(fromNarrow.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(fromWide.map(({ shape, dtype }) => ({ shape, dtype })));
    fromNarrow.forEach((tensor, i) => expect(values(tensor)).toEqual(values(fromWide[i])));
    expect(values(x)).toEqual(expected);
    const results = fromNarrow.map(values);
    x.dispose();
    for (let i = 0; i < 4; i += 1) toStorage(random([2, 8, 8, 16]), "bfloat16");
    fromNarrow.forEach((tensor, i) => expect(values(tensor)).toEqual(results[i]));
  });
});

describe("widened copies of a kernel", () => {
  test("serve the next kernel", () => {
    const x = toStorage(random([5000]), "bfloat16");
    const idleBytes = (): number => {
      tf.neg(x).dispose();
      return backend.recycledBytes;
    };
    const first = idleBytes();
    for (let i = 0; i < 10; i += 1) expect(idleBytes()).toBe(first);
  });

  test("come back when the kernel throws", () => {
    const x = toStorage(random([5000]), "float16");
    tf.neg(x).dispose();
    const idle = backend.recycledBytes;
    const ids = tf.tensor1d([5000], "int32");
    for (let i = 0; i < 5; i += 1) expect(() => tf.gather(x, ids)).toThrow();
    expect(backend.recycledBytes).toBe(idle);
  });
});

describe("withActivationStorage", () => {
  const storageOfSum = (): FloatStorage => backend.storageOf(tf.add(tf.ones([2000]), 1));

  test("holds inside its function only, the innermost counts, and exceptions end it", () => {
    const seen = withActivationStorage("bfloat16", () => [
      storageOfSum(), withActivationStorage("float16", storageOfSum), withActivationStorage("float32", storageOfSum), storageOfSum(),
    ]);
    expect(seen).toEqual(["bfloat16", "float16", "float32", "bfloat16"]);
    expect(() => withActivationStorage("bfloat16", () => { throw new Error("stop"); })).toThrow("stop");
    expect(storageOfSum()).toBe("float32");
  });

  test("a stopped cell leaves no scope open", () => {
    withActivationStorage("bfloat16", () => {
      channel("moe-lab:cell-stopped").publish(undefined);
      expect(storageOfSum()).toBe("float32");
    });
  });

  test("leaves tensors of fewer than 1024 values in float32", () => {
    withActivationStorage("bfloat16", () => {
      expect(backend.storageOf(tf.neg(tf.ones([1023])))).toBe("float32");
      expect(backend.storageOf(tf.neg(tf.ones([1024])))).toBe("bfloat16");
    });
  });

  test("does nothing on another backend", async () => {
    await tf.setBackend("cpu");
    expect(values(withActivationStorage("bfloat16", () => tf.add(tf.fill([1024], 1 / 3), 0)))[0]).toBe(Math.fround(1 / 3));
  });

  test("refuses asynchronous functions and unknown names", () => {
    expect(errorCode(() => withActivationStorage("bfloat16", () => Promise.resolve(1)))).toBe("E_STORAGE_ASYNC");
    expect(errorCode(() => withActivationStorage("float8" as FloatStorage, () => 1))).toBe("E_STORAGE_NAME");
  });

  test.each(formats)("a product in $name is the float32 product, rounded once", (format) => {
    const [a, b] = [random([40, 70]), random([70, 50])].map((x) => toStorage(x, format.name) as tf.Tensor2D);
    const exact = values(tf.matMul(a, b));
    const product = withActivationStorage(format.name, () => tf.matMul(a, b));
    expect(values(product)).toEqual(exact.map((value) => rounded(format, value)));
  });

  test("gradients that are computed after it are float32, and near those without it", () => {
    const [x, w] = [random([64, 64]) as tf.Tensor2D, random([64, 64]) as tf.Tensor2D];
    const gradients = floatStorages.map((storage) => {
      const [dw] = tf.grads((...[weights]: tf.Tensor[]) => {
        const y = withActivationStorage(storage, () => tf.tanh(tf.matMul(tf.tanh(tf.matMul(x, weights as tf.Tensor2D)), weights as tf.Tensor2D)));
        return tf.sum(tf.mul(y, x));
      })([w]);
      expect(backend.storageOf(dw)).toBe("float32");
      return values(dw);
    });
    const [wide, ...narrow] = gradients;
    const largest = Math.max(...wide.map(Math.abs));
    // Two roundings of 2^-8 or 2^-11 on the way of each of 64 terms of both signs.
    narrow.forEach((gradient, i) => {
      const error = Math.max(...gradient.map((value, j) => Math.abs(value - wide[j])));
      expect(error).toBeLessThan(largest * [2 ** -5, 2 ** -8][i]);
      expect(error).toBeGreaterThan(0);
    });
  });
});
