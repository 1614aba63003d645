import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { NativeBackend } from "../../toolkit/backend/storage.ts";
import { uniform } from "./compare.ts";

let backend: NativeBackend;
beforeEach(async () => {
  await chooseBackend("native");
  backend = tf.backend() as NativeBackend;
  backend.releaseRecycled();
});

const make = (value: number, size = 1000): tf.Tensor1D => tf.add(tf.fill([size], value), 0);

describe("recycled memory", () => {
  test("a disposed tensor's memory serves the next of the same size", () => {
    const first = make(1);
    const memory = backend.values(first).buffer;
    first.dispose();
    const second = tf.tidy(() => tf.neg(tf.ones([1000])));
    const reused = [second, make(2), make(3)].some((tensor) => backend.values(tensor).buffer === memory);
    expect(reused).toBe(true);
  });

  test("values handed out by dataSync never change afterwards", () => {
    const tensor = make(7);
    const seen = tensor.dataSync();
    tensor.dispose();
    for (let i = 0; i < 20; i += 1) make(i);
    expect(new Set(seen)).toEqual(new Set([7]));
  });

  test("values handed out by data() and array buffers never change afterwards", async () => {
    const tensor = make(8);
    const seen = await tensor.data();
    const buffer = await make(9).buffer();
    tensor.dispose();
    for (let i = 0; i < 20; i += 1) make(i);
    expect(new Set(seen)).toEqual(new Set([8]));
    expect(new Set(buffer.values)).toEqual(new Set([9]));
  });

  test("what a user writes into values from dataSync of an op's result changes no tensor", () => {
    const tensor = make(7);
    tensor.dataSync().fill(8);
    expect(new Set(tensor.dataSync())).toEqual(new Set([7]));
  });

  test("an array that the user made a tensor from is never written", () => {
    const own = new Float32Array(1000).fill(5);
    tf.tensor1d(own).dispose();
    for (let i = 0; i < 20; i += 1) make(i);
    expect(new Set(own)).toEqual(new Set([5]));
  });

  test("reshapes and clones keep their values when the original goes", () => {
    const original = make(4);
    const [reshaped, cloned] = [tf.reshape(original, [10, 100]), tf.clone(original)];
    original.dispose();
    for (let i = 0; i < 20; i += 1) make(i);
    expect(new Set(reshaped.dataSync())).toEqual(new Set([4]));
    expect(new Set(cloned.dataSync())).toEqual(new Set([4]));
  });

  test("a tensor that a cpu kernel made as a view keeps its values", () => {
    const original = make(6);
    const view = backend.makeTensorInfo([500], "float32", backend.floats(original).subarray(0, 500));
    original.dispose();
    for (let i = 0; i < 20; i += 1) { make(i); make(i, 500); }
    expect(new Set(backend.floats(view))).toEqual(new Set([6]));
  });

  test("a tensor made from part of an array keeps its values", () => {
    for (const length of [10, 500]) {
      const values = backend.allocate("float32", 1000).fill(2);
      const part = backend.output([length], "float32", values.subarray(0, length));
      for (let i = 0; i < 20; i += 1) { make(i); make(i, length); }
      expect(new Set(backend.floats(part))).toEqual(new Set([2]));
      backend.disposeData(part.dataId);
      expect(backend.allocate("float32", length).buffer).not.toBe(values.buffer);
    }
  });

  test("two tensors made from one array are never recycled", () => {
    const values = backend.allocate("float32", 1000);
    values.fill(3);
    const [a, b] = [backend.output([1000], "float32", values), backend.output([1000], "float32", values)];
    backend.disposeData(a.dataId);
    for (let i = 0; i < 20; i += 1) make(i);
    expect(new Set(backend.floats(b))).toEqual(new Set([3]));
  });

  test("giving an array back twice does no harm", () => {
    const values = backend.allocate("float32", 1000);
    backend.release(values);
    backend.release(values);
    expect(backend.allocate("float32", 1000)).not.toBe(backend.allocate("float32", 1000));
  });

  test("idle memory stays below its limit, and the sizes used longest ago go first", () => {
    const small = new NativeBackend(10_000);
    const use = (size: number): void => small.release(small.allocate("float32", size));
    for (const size of [1000, 900, 800, 700]) use(size);
    expect(small.recycledBytes).toBe((900 + 800 + 700) * 4);
    use(100_000);
    expect(small.recycledBytes).toBeLessThanOrEqual(10_000);
  });

  test("random programs compute what they should while memory is reused", () => {
    interface Live { tensor: tf.Tensor; expected: Float32Array }
    const live: Live[] = [];
    for (let step = 0; step < 3000; step += 1) {
      const size = [64, 128, 256][Math.floor(uniform() * 3)];
      const pick = live.filter(({ expected }) => expected.length === size)[0];
      const choice = uniform();
      if (pick === undefined || choice < 0.2) {
        const value = Math.fround(uniform());
        live.push({ tensor: tf.fill([size], value), expected: new Float32Array(size).fill(value) });
      } else if (choice < 0.6) {
        live.push({ tensor: tf.add(pick.tensor, pick.tensor), expected: pick.expected.map((value) => value + value) });
      } else if (choice < 0.7) {
        live.push({ tensor: tf.slice(tf.reshape(pick.tensor, [size]), [0], [64]), expected: pick.expected.slice(0, 64) });
      } else if (choice < 0.75) {
        expect(pick.tensor.dataSync()).toEqual(pick.expected);
      }
      if (live.length > 12) live.splice(Math.floor(uniform() * live.length), 1)[0].tensor.dispose();
    }
    for (const { tensor, expected } of live) expect(tensor.dataSync()).toEqual(expected);
  });
});

describe("shared and replaced data", () => {
  /** Takes up every idle array of 1000 values, so that one that is wrongly idle gets overwritten. */
  const overwriteIdle = (): void => { for (let i = 0; i < 20; i += 1) make(1000 + i); };

  test("what shares a tensor's data keeps its values when the original goes", () => {
    const original = make(4);
    const shared = [
      tf.clone(original), tf.reshape(original, [10, 100]), tf.expandDims(original), tf.squeeze(original), tf.cast(original, "float32"), tf.concat([original]),
      tf.variable(original),
    ];
    original.dispose();
    overwriteIdle();
    for (const tensor of shared) expect(new Set(tensor.dataSync())).toEqual(new Set([4]));
  });

  test("slices and parts keep their values when the original goes", () => {
    const original = tf.add(tf.range(0, 1000), 0);
    const [slice, [half], [row]] = [tf.slice(original, [0], [500]), tf.split(original, 2), tf.unstack(tf.reshape(original, [2, 500]))];
    original.dispose();
    overwriteIdle();
    for (let i = 0; i < 20; i += 1) make(i, 500);
    for (const part of [slice, half, row]) expect(Array.from(part.dataSync())).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test("data is used again only when the last tensor that shares it goes", () => {
    const original = make(4);
    const memory = backend.values(original).buffer;
    const others = [tf.clone(original), tf.reshape(original, [10, 100])];
    const isReused = (): boolean => [1, 2, 3].map(() => backend.allocate("float32", 1000)).some(({ buffer }) => buffer === memory);
    original.dispose();
    expect(isReused()).toBe(false);
    others[0].dispose();
    expect(isReused()).toBe(false);
    others[1].dispose();
    expect(isReused()).toBe(true);
  });

  test("a variable that is assigned holds the new values, and its clones the old ones", () => {
    const variable = tf.variable(make(1));
    const clone = tf.clone(variable);
    for (let i = 2; i < 10; i += 1) {
      const next = make(i);
      variable.assign(next);
      next.dispose();
      overwriteIdle();
      expect(new Set(variable.dataSync())).toEqual(new Set([i]));
    }
    expect(new Set(clone.dataSync())).toEqual(new Set([1]));
  });

  test("a tensor that is disposed after its op was recorded still has its values in the backward pass", () => {
    const gradient = tf.grad((x: tf.Tensor) => {
      const squared = tf.square(x);
      const product = tf.mul(squared, x);
      squared.dispose();
      overwriteIdle();
      return product;
    })(make(3));
    expect(new Set(gradient.dataSync())).toEqual(new Set([27])); // 3x²
  });

  test("values handed out by dataSync of a clone never change, even after all that shared them is gone", () => {
    const tensor = make(7);
    const clone = tf.clone(tensor);
    const seen = clone.dataSync();
    tensor.dispose();
    clone.dispose();
    overwriteIdle();
    expect(new Set(seen)).toEqual(new Set([7]));
  });
});

test("isExclusive tells a kernel when it may write in place", () => {
  const own = make(1);
  expect(backend.isExclusive(own)).toBe(true);
  const twin = tf.clone(own);
  expect(backend.isExclusive(own)).toBe(false);
  twin.dispose();
  expect(backend.isExclusive(own)).toBe(true);
  own.dataSync(); // a copy
  expect(backend.isExclusive(own)).toBe(true);
  expect(backend.isExclusive(tf.tensor1d([1, 2, 3]))).toBe(false);
});
