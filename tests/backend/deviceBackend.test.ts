import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, test } from "vitest";
import "../../toolkit/backend/register.ts";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import type { DeviceBackend } from "../../toolkit/backend/deviceStorage.ts";
import { nativeMemory } from "../../toolkit/backend/memory.ts";
import { NativeBackend } from "../../toolkit/backend/storage.ts";
import { adamwStep } from "../../toolkit/ops/adamw.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { toStorage } from "../../toolkit/ops/toStorage.ts";
import { Chance } from "../native/fuzz/chance.ts";
import { opMakers } from "../native/fuzz/opMakers.ts";
import { opGradients, tensors } from "../ops/compare.ts";
import { fakeDevice, useDevice } from "./fakeDevice.ts";

let device: ReturnType<typeof fakeDevice>;
let backend: DeviceBackend;
beforeEach(async () => {
  device = fakeDevice();
  backend = await useDevice(device);
});

async function onHost<T>(run: () => T): Promise<T> {
  tf.removeBackend("native");
  tf.registerBackend("native", () => new NativeBackend(), 10);
  await tf.setBackend("native");
  return run();
}

/** Values that a kernel made. */
const made = (values: number[]): tf.Tensor1D => tf.mul(tf.tensor1d(values), 1);

describe("on a device, results are those of the host", () => {
  // A plan of choices without an expert has unused slots on a device, which the host's fused kernel refuses.
  for (const op of opTable) {
    const samples = op.samples.filter(({ inputs }) => op.name !== "expertFeedForward" || !inputs.ids.values.includes(-1));
    test(`${op.name}, values and gradients`, async () => {
      const compute = () => samples.map((sample) => [
        tf.tidy(() => op.run(tensors(sample), sample.settings).map((output) => Array.from(output.dataSync()))),
        op.differentiable.length > 0 ? opGradients(op, sample) : {},
      ]);
      const got = compute();
      expect(device.counters.launches).toBeGreaterThan(0);
      expect(got).toEqual(await onHost(compute));
    });
  }

  test.each(Object.keys(opMakers))("tfjs's ops: %s", async (name) => {
    const compute = () => Array.from({ length: 20 }, (_, seed) => {
      tf.engine().startScope();
      try {
        const { inputs, run } = opMakers[name](new Chance(seed));
        return [run(inputs.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype)))].flat().map((tensor) => [tensor.shape, tensor.dtype, Array.from(tensor.dataSync())]);
      } catch (error) {
        if (!(error instanceof Error)) throw error; // calls that tfjs or the backend refuse are part of the random ones
        return error.message;
      } finally {
        tf.engine().endScope();
      }
    });
    expect(compute()).toEqual(await onHost(compute));
  });
});

describe("reading", () => {
  test("data() waits beside JavaScript's thread, dataSync() in it", async () => {
    const x = made([1, 2]);
    expect([...await x.data()]).toEqual([1, 2]);
    expect(device.counters).toMatchObject({ downloads: 1, synchronizations: 0 });
    expect([...x.dataSync()]).toEqual([1, 2]);
    expect(device.counters).toMatchObject({ downloads: 2, synchronizations: 1 });
  });

  test("what came from the host is read there, and uploaded once", async () => {
    const x = tf.tensor1d([1, 2, 3]);
    tf.add(x, x);
    tf.mul(x, x);
    expect([...x.dataSync()]).toEqual([1, 2, 3]);
    expect([...await x.data()]).toEqual([1, 2, 3]);
    expect(device.counters).toMatchObject({ downloads: 0, uploads: 1 });
  });

  test("what a user writes into values that were read changes no tensor", async () => {
    const x = made([1, 2]);
    (await x.data()).fill(9);
    x.dataSync().fill(9);
    expect([...x.dataSync()]).toEqual([1, 2]);
  });

  test("a kernel of tfjs's own reads the device's values", () => {
    expect([...tf.linspace(0, 1, 3).dataSync()]).toEqual([0, 0.5, 1]);
    expect(tf.cumsum(made([1, 2, 3])).arraySync()).toEqual([1, 3, 6]);
    expect(tf.reverse(tf.unique(made([3, 1, 3])).values).arraySync()).toEqual([1, 3]);
  });
});

describe("memory", () => {
  test("goes back when a tensor is disposed, and with the last one that shares it", () => {
    const before = device.numArrays, x = tf.tidy(() => made([1, 2])), shared = tf.reshape(x, [2, 1]);
    tf.tidy(() => { tf.softmax(tf.add(x, 1)); });
    x.dispose();
    expect(device.numArrays - before).toBe(1);
    expect([...shared.dataSync()]).toEqual([1, 2]);
    shared.dispose();
    expect(device.numArrays).toBe(before);
  });

  test("of a step's tensors is counted in bytes, and none is left when all are gone", () => {
    const start = nativeMemory()?.storedBytes ?? NaN;
    const x = tf.tidy(() => made(Array.from({ length: 100 }, (_, i) => i)));
    expect((nativeMemory()?.storedBytes ?? NaN) - start).toBe(400);
    x.dispose();
    expect(nativeMemory()?.storedBytes).toBe(start);
  });

  test.each(opTable)("$name leaves none behind", (op) => {
    const [sample] = op.samples;
    const run = (): void => {
      tf.tidy(() => { op.run(tensors(sample), sample.settings).forEach((output) => { if (output instanceof tf.Variable) output.dispose(); }); });
      if (op.differentiable.length > 0) opGradients(op, sample);
    };
    run(); // constants are uploaded once
    const before = device.numArrays;
    run();
    expect(device.numArrays).toBe(before);
  });
});

describe("narrow storage", () => {
  test("keeps large activations in 16 bits on the device", () => {
    const x = tf.fill([2000], 1 / 3);
    const y = withActivationStorage("bfloat16", () => tf.mul(x, 1));
    expect([backend.storageOf(x), backend.storageOf(y)]).toEqual(["float32", "bfloat16"]);
    expect(y.dataSync()[0]).toBe(0.333984375); // 2^-2 · 171/128
    expect(tf.add(y, 1).dataSync()[0]).toBeCloseTo(1.333984375, 6);
  });

  test("reads the same by data() and dataSync()", async () => {
    const y = toStorage(made([1 / 3, 65504]), "float16");
    expect(await y.data()).toEqual(y.dataSync());
  });
});

test("a kernel changes a variable in place unless a clone shares its values", () => {
  const parameter = { value: tf.variable(made([1, 2])), gradient: tf.tensor1d([1, 1]), firstMoment: tf.variable(tf.zeros([2])), secondMoment: tf.variable(tf.zeros([2])), weightDecay: 0 };
  const settings = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: 1, gradientScale: 1 };
  const clone = parameter.value.clone();
  adamwStep([parameter], settings);
  expect([...clone.dataSync()]).toEqual([1, 2]);
  expect(parameter.value.dataSync()[0]).toBeCloseTo(0.9, 5);
  clone.dispose();
  const before = device.numArrays;
  adamwStep([parameter], { ...settings, step: 2 });
  expect(device.numArrays).toBe(before);
});

test("a variable made on the host is changed on the device, and its user's array isn't", () => {
  const own = Float32Array.of(1, 2), initial = tf.tensor1d(own), value = tf.variable(initial);
  initial.dispose();
  const zeros = () => tf.variable(tf.zeros([2]));
  adamwStep([{ value, gradient: tf.tensor1d([1, 1]), firstMoment: zeros(), secondMoment: zeros(), weightDecay: 0 }], { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: 1, gradientScale: 1 });
  expect([...own]).toEqual([1, 2]);
  expect(value.dataSync()[0]).toBeCloseTo(0.9, 5);
});
