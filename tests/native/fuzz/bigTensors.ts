import * as tf from "@tensorflow/tfjs-core";
import type { NativeBackend } from "../../../toolkit/backend/storage.ts";

/** 2.4 GB of float32: byte offsets leave int32. */
const ELEMENTS = 600_000_000;
/** Elements of a bool tensor whose number itself leaves int32. */
const BYTES = 2 ** 31 + 40;

const at = (tensor: tf.Tensor, i: number): number => tensor.dataSync<"float32">()[i];

/** What is computed, and the numbers that it must give: [got, wanted] pairs. */
const cases: Readonly<Record<string, () => (readonly [number, number])[]>> = {
  elementwise: () => {
    const x = tf.fill([ELEMENTS], 1.5);
    const y = tf.neg(tf.add(x, 2));
    return [0, 2 ** 29, ELEMENTS - 1].map((i) => [at(y, i), -3.5] as const);
  },
  sum: () => {
    const x = tf.fill([ELEMENTS], 0.5);
    return [[tf.sum(x).dataSync()[0], ELEMENTS / 2], [tf.mean(x).dataSync()[0], 0.5], [tf.max(x).dataSync()[0], 0.5]];
  },
  rows: () => {
    // the last row lies behind byte 2³¹
    const values = new Float32Array(ELEMENTS);
    values.set([1, 2, 3, 4], ELEMENTS - 4);
    const x = tf.tensor2d(values, [ELEMENTS / 4, 4]);
    const last = tf.slice(x, [ELEMENTS / 4 - 1, 0], [1, 4]).dataSync();
    const gathered = tf.gather(x, tf.tensor1d([ELEMENTS / 4 - 1, 0], "int32")).dataSync();
    const sums = tf.sum(x, 0).dataSync();
    const largest = tf.argMax(tf.reshape(x, [ELEMENTS])).dataSync();
    return [
      ...[1, 2, 3, 4].flatMap((value, i) => [[last[i], value], [gathered[i], value], [sums[i], value]] as const),
      [gathered[4], 0], [largest[0], ELEMENTS - 1],
    ];
  },
  transpose: () => {
    const values = new Float32Array(ELEMENTS);
    values[ELEMENTS - 2] = 7;
    const turned = tf.transpose(tf.tensor2d(values, [ELEMENTS / 8, 8]));
    return [[at(turned, 7 * (ELEMENTS / 8) - 1), 7], [at(turned, ELEMENTS - 1), 0]];
  },
  bools: () => {
    const values = new Uint8Array(BYTES);
    values[BYTES - 1] = 1;
    const x = tf.tensor1d(values, "bool");
    const inverted = tf.logicalNot(x).dataSync<"bool">();
    const both = tf.logicalOr(x, x).dataSync<"bool">();
    return [[inverted[BYTES - 1], 0], [inverted[BYTES - 2], 1], [both[BYTES - 1], 1], [both[0], 0], [tf.any(x).dataSync()[0], 1], [tf.all(x).dataSync()[0], 0]];
  },
  reversed: () => {
    const values = new Uint8Array(BYTES);
    values[0] = 1;
    const reversed = tf.reverse(tf.tensor1d(values, "bool")).dataSync<"bool">();
    return [[reversed[BYTES - 1], 1], [reversed[0], 0]];
  },
};

export const bigTensorNames: readonly string[] = Object.keys(cases);

/** @returns what is wrong, or undefined */
export function tryBigTensors(name: string): string | undefined {
  const wrong = tf.tidy(() => {
    const pairs = cases[name]();
    const at = pairs.findIndex(([got, wanted]) => got !== wanted);
    return at < 0 ? "" : `value ${at} is ${pairs[at][0]} instead of ${pairs[at][1]}`;
  });
  (tf.backend() as NativeBackend).releaseRecycled();
  return wrong === "" ? undefined : wrong;
}
