import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { nativeMemory, resetPeakBytes, type NativeMemory } from "../../toolkit/backend/memory.ts";
import { rmsNorm } from "../../toolkit/ops/rmsNorm.ts";
import { toStorage } from "../../toolkit/ops/toStorage.ts";
import { uniform } from "./compare.ts";

beforeEach(async () => {
  await chooseBackend("native");
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** The figures as a user gets them. */
const figures = (): tf.MemoryInfo & NativeMemory => nativeMemory() ?? expect.fail("native is another backend");

describe("what tf.memory() says", () => {
  test("it holds the native backend's own figures", () => {
    expect(tf.memory()).toEqual(figures());
    expect(tf.memory()).toMatchObject({ unreliable: false, storedBytes: figures().storedBytes });
  });

  test("a tidy step leaves no tensors and no bytes behind", () => {
    const weights = tf.variable(tf.tidy(() => tf.randomNormal([20, 20])));
    const step = (): void => {
      const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(tf.matMul(weights as tf.Tensor2D, weights as tf.Tensor2D))), [weights]);
      value.dispose();
      Object.values(grads).forEach((gradient) => gradient.dispose());
    };
    step();
    const before = tf.memory();
    for (let i = 0; i < 5; i += 1) step();
    expect(tf.memory()).toEqual(before);
    weights.dispose();
  });

  test("bytes are those of the tensors", () => {
    const before = figures();
    const tensors = [tf.zeros([100]), tf.zeros([100], "int32"), tf.zeros([100], "bool"), tf.complex(tf.zeros([100]), tf.zeros([100]))];
    const [real, imaginary] = [400, 400];
    // tf.complex copies nothing: its parts are the two tensors it was made of, which are still there.
    expect(figures().numBytes - before.numBytes).toBe(400 + 400 + 100 + real + imaginary);
    expect(figures().storedBytes - before.storedBytes).toBe(400 + 400 + 100 + 2 * (real + imaginary));
    tensors.forEach((tensor) => tensor.dispose());
    expect(figures().storedBytes - before.storedBytes).toBe(real + imaginary);
  });

  test("after each of many random operations the figures agree with an own account", () => {
    interface Live { tensor: tf.Tensor; data: object; bytes: number }
    const live: Live[] = [];
    const before = figures();
    const pick = (): Live => live[Math.floor(uniform() * live.length)];
    const actions: (() => Live)[] = [
      () => { const size = Math.ceil(uniform() * 3000); return { tensor: tf.fill([size], 1), data: {}, bytes: 4 * size }; },
      () => ({ tensor: tf.zeros([300], "bool"), data: {}, bytes: 300 }),
      () => ({ tensor: tf.tensor1d(new Int32Array(70)), data: {}, bytes: 280 }),
      () => { const { tensor, ...shared } = pick(); return { tensor: tf.clone(tensor), ...shared }; },
      () => { const { tensor, ...shared } = pick(); return { tensor: tf.reshape(tensor, [1, tensor.size]), ...shared }; },
      () => { const size = Math.ceil(uniform() * 3000); return { tensor: tf.tidy(() => toStorage(tf.ones([size]), "float16")), data: {}, bytes: 2 * size }; },
      () => { const { tensor } = pick(); tensor.dataSync(); return { tensor: tf.tidy(() => tf.exp(tf.cast(tensor, "float32"))), data: {}, bytes: 4 * tensor.size }; },
    ];
    for (let step = 0; step < 2000; step += 1) {
      live.push(actions[live.length === 0 ? 0 : Math.floor(uniform() * actions.length)]());
      if (live.length > 20) live.splice(Math.floor(uniform() * live.length), 1)[0].tensor.dispose();
      const data = new Map(live.map((entry) => [entry.data, entry.bytes]));
      const after = figures();
      expect(after.numTensors - before.numTensors).toBe(live.length);
      expect(after.numBytes - before.numBytes).toBe(live.reduce((sum, { tensor: { size, dtype } }) => sum + size * (dtype === "bool" ? 1 : 4), 0));
      expect(after.storedBytes - before.storedBytes).toBe([...data.values()].reduce((sum, bytes) => sum + bytes, 0));
    }
    live.forEach(({ tensor }) => { tensor.dispose(); });
    expect(figures()).toMatchObject({ numTensors: before.numTensors, numBytes: before.numBytes, storedBytes: before.storedBytes });
  });

  test("the peak is the most that was held at once since it was reset", () => {
    resetPeakBytes();
    const base = figures().storedBytes;
    const peak = (): number => figures().peakBytes - base;
    expect(peak()).toBe(0);
    const first = tf.zeros([1000]);
    const second = tf.zeros([2000]);
    expect(peak()).toBe(12_000);
    first.dispose();
    const third = tf.zeros([500]);
    expect(peak()).toBe(12_000); // 10,000 are held now
    const fourth = tf.clone(second);
    const fifth = tf.zeros([1000]);
    expect(peak()).toBe(14_000);
    tf.dispose([second, third, fourth, fifth]);
    expect(peak()).toBe(14_000);
    resetPeakBytes();
    expect(peak()).toBe(0);
  });

  test("on other backends there are no such figures, and nothing to reset", async () => {
    await tf.setBackend("cpu");
    expect(nativeMemory()).toBeUndefined();
    expect(() => { resetPeakBytes(); }).not.toThrow();
  });
});

describe("tensors that nobody can reach any more", () => {
  const collectAll = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      await nextTurn();
      collectGarbage();
    }
    await nextTurn();
  };

  test("give their memory back, and no longer count", async () => {
    await collectAll();
    const before = { arrays: process.memoryUsage().arrayBuffers, stored: figures().storedBytes };
    const make = (): void => { for (let i = 0; i < 50; i += 1) tf.add(tf.fill([1_000_000], i), 0); };
    make();
    expect(figures().storedBytes - before.stored).toBe(400_000_000);
    await collectAll();
    expect(process.memoryUsage().arrayBuffers - before.arrays).toBeLessThan(40_000_000);
    expect(figures().storedBytes - before.stored).toBeLessThan(20_000_000);
  });

  test("so does what an op kept for a backward pass that never came", async () => {
    await collectAll();
    const before = figures().storedBytes;
    const [x, gain] = [tf.ones([200_000, 2]), tf.ones([2])];
    const inputBytes = figures().storedBytes - before;
    const lose = tf.grad((input: tf.Tensor) => {
      rmsNorm(input, gain);
      throw new Error("stop");
    });
    for (let i = 0; i < 20; i += 1) expect(() => lose(x)).toThrow("stop");
    expect(figures().storedBytes - before).toBeGreaterThanOrEqual(inputBytes + 20 * 4 * 200_000); // the scale of each row
    await collectAll();
    expect(figures().storedBytes - before).toBeLessThan(inputBytes + 2 * 4 * 200_000);
    tf.dispose([x, gain]);
  });
});
