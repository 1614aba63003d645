import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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

describe("what tf.memory() says", () => {
  test("a tidy step leaves no tensors and no bytes behind", async () => {
    const weights = tf.variable(tf.tidy(() => tf.randomNormal([20, 20])));
    const step = (): void => {
      const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(tf.matMul(weights as tf.Tensor2D, weights as tf.Tensor2D))), [weights]);
      value.dispose();
      Object.values(grads).forEach((gradient) => gradient.dispose());
    };
    step();
    const before = tf.memory();
    for (let i = 0; i < 5; i += 1) step();
    const after = tf.memory();
    expect(after).toEqual(before);
    expect(after.unreliable).toBe(false);
    weights.dispose();
    await Promise.resolve();
  });

  test("bytes are those of the tensors", () => {
    const before = tf.memory().numBytes;
    const tensors = [tf.zeros([100]), tf.zeros([100], "int32"), tf.zeros([100], "bool")];
    expect(tf.memory().numBytes - before).toBe(400 + 400 + 100);
    tensors.forEach((tensor) => tensor.dispose());
    expect(tf.memory().numBytes).toBe(before);
  });

  test("memory of tensors that nobody can reach any more is collected", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i += 1) make(i, 1_000_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40_000_000); // of 400 MB made
  });
});

test("isExclusive tells a kernel when it may write in place", () => {
  const own = make(1);
  expect(backend.isExclusive(own)).toBe(true);
  const twin = tf.clone(own);
  expect(backend.isExclusive(own)).toBe(false);
  twin.dispose();
  expect(backend.isExclusive(own)).toBe(true);
  own.dataSync();
  expect(backend.isExclusive(own)).toBe(false);
  expect(backend.isExclusive(tf.tensor1d([1, 2, 3]))).toBe(false);
});
