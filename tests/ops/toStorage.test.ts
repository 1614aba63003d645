import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import type { FloatStorage } from "../../toolkit/backend/floatStorage.ts";
import { toStorage } from "../../toolkit/ops/toStorage.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { formats, rounded } from "../native/narrowFormats.ts";
import { backends, errorCode } from "./backends.ts";

/** Edges of all three formats, and 20,000 values of every size. */
function specimens(): Float32Array {
  const random = new RandomSource(3);
  const words = Uint32Array.from({ length: 20_000 }, () => Math.floor(random.next() * 2 ** 32));
  const edges = [0, -0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 3.4028235e38, 65504, 65519.99, 65520, -65520, 2 ** -24, 2 ** -25, 1.5 * 2 ** -25,
    2 ** -14, 2 ** -14 - 2 ** -26, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11];
  return Float32Array.of(...edges, ...new Float32Array(words.buffer));
}

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test.each(formats)("values become the nearest of $name, whatever their size", (format) => {
    const x = specimens();
    const y = toStorage(tf.tensor1d(x.slice()), format.name).dataSync();
    const wrong = y.findIndex((value, i) => !Object.is(value, rounded(format, x[i])));
    expect(wrong === -1 ? "none" : `${x[wrong]} became ${y[wrong]}`).toBe("none");
  });

  test("float32 changes nothing, and widens what was narrow", () => {
    const x = specimens();
    expect(toStorage(tf.tensor1d(x.slice()), "float32").dataSync()).toEqual(x);
    const narrow = toStorage(tf.tensor1d([1 / 3, 2]), "bfloat16");
    expect(toStorage(narrow, "float32").dataSync()).toEqual(narrow.dataSync());
  });

  test("from one narrow storage to the other it rounds again", () => {
    const [bfloat16, float16] = formats;
    const value = rounded(float16, rounded(bfloat16, 1e-6));
    expect(toStorage(toStorage(tf.scalar(1e-6), "bfloat16"), "float16").dataSync()[0]).toBe(value);
  });

  test("the gradient goes through unrounded", () => {
    const dy = tf.tensor1d([1 / 3, -1e-9, 1e6]);
    for (const storage of ["bfloat16", "float16"] as const) {
      expect(tf.grad((x) => toStorage(x, storage))(tf.tensor1d([1, 2, 3]), dy).dataSync()).toEqual(dy.dataSync());
    }
  });

  test("other dtypes and unknown names are refused with a code", () => {
    expect(errorCode(() => toStorage(tf.zeros([2], "int32"), "bfloat16"))).toBe("E_SHAPE_DTYPE");
    expect(errorCode(() => toStorage(tf.zeros([2]), "int8" as FloatStorage))).toBe("E_STORAGE_NAME");
  });
});
