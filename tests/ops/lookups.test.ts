import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { adamwStep, clipByGlobalNorm, globalNorm, type AdamwSettings } from "../../toolkit/ops/adamw.ts";
import { attention } from "../../toolkit/ops/attention.ts";
import { crossEntropy } from "../../toolkit/ops/crossEntropy.ts";
import { embedding } from "../../toolkit/ops/embedding.ts";
import { layerNorm } from "../../toolkit/ops/layerNorm.ts";
import { rmsNorm } from "../../toolkit/ops/rmsNorm.ts";
import { rotary } from "../../toolkit/ops/rotary.ts";
import { backends, errorCode } from "./backends.ts";

const settings: AdamwSettings = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, step: 1, gradientScale: 1 };

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test.each([-1, 5, 1_000_000_000])("an id of %d in a table of 5 rows is refused", (id) => {
    expect(errorCode(() => embedding(tf.zeros([5, 3]), tf.tensor1d([0, id], "int32")))).toBe("E_INDEX_RANGE");
  });

  test.each([-1, 4])("a target of %d with 4 logits is refused, unless its token is masked", (target) => {
    const targets = tf.tensor1d([0, target], "int32");
    expect(errorCode(() => crossEntropy(tf.zeros([2, 4]), targets))).toBe("E_INDEX_RANGE");
    expect(errorCode(() => crossEntropy(tf.zeros([2, 4]), targets, tf.tensor1d([1, 0])))).toBeUndefined();
  });

  test("equal logits cost ln V nats", () => {
    expect(crossEntropy(tf.zeros([3, 50]), tf.tensor1d([0, 7, 49], "int32")).dataSync()[0]).toBeCloseTo(Math.log(50), 5);
  });

  test("a masked row with NaN harms neither the loss nor the gradient", () => {
    const logits = tf.tensor2d([[1, 1], [NaN, Infinity]]);
    const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => crossEntropy(x, tf.tensor1d([0, 0], "int32"), tf.tensor1d([1, 0])))(logits);
    expect(value.dataSync()[0]).toBeCloseTo(Math.log(2), 6);
    expect(Array.from(grad.dataSync(), (g) => Math.abs(g))).toEqual([0.5, 0.5, 0, 0]);
  });

  test("logits of ±1000 give a finite loss", () => {
    expect(crossEntropy(tf.tensor2d([[1000, -1000]]), tf.tensor1d([1], "int32")).dataSync()[0]).toBeCloseTo(2000, 2);
  });

  test("rotary depends on the distance of two positions only", () => {
    const [a, b] = [tf.tensor4d([1, 2, 3, 4], [1, 1, 1, 4]), tf.tensor4d([4, -3, 2, 1], [1, 1, 1, 4])];
    const product = (first: number, second: number): number =>
      tf.sum(tf.mul(rotary(a, { base: 100, startPosition: first }), rotary(b, { base: 100, startPosition: second }))).dataSync()[0];
    expect(product(3, 10)).toBeCloseTo(product(50, 57), 4);
  });

  test("a change of a later token changes no earlier output of attention", () => {
    const values = Float32Array.from({ length: 70 * 4 }, (_, i) => Math.sin(i));
    const last = values.slice();
    last.fill(9, 69 * 4);
    const outputs = [values, last].map((v) => { const x = tf.tensor4d(v, [1, 70, 1, 4]); return attention(x, x, x).dataSync().slice(0, 69 * 4); });
    expect(outputs[0]).toEqual(outputs[1]);
  });

  test("decoding one token at a time gives what all tokens at once give", () => {
    const [T, D] = [11, 6];
    const x = tf.tensor4d(Float32Array.from({ length: T * D }, (_, i) => Math.cos(i * 0.7)), [1, T, 1, D]);
    const together = attention(x, x, x).dataSync();
    for (let t = 0; t < T; t++) {
      const seen = tf.slice(x, [0, 0, 0, 0], [1, t + 1, 1, D]);
      const alone = attention(tf.slice(x, [0, t, 0, 0], [1, 1, 1, D]), seen, seen).dataSync();
      alone.forEach((value, d) => { expect(value).toBeCloseTo(together[t * D + d], 5); });
    }
  });

  test("with firstKey, attention of packed documents is that of each document alone", () => {
    const [lengths, D] = [[3, 70, 1, 59], 6];
    const T = lengths.reduce((a, b) => a + b, 0);
    const x = tf.tensor4d(Float32Array.from({ length: T * D }, (_, i) => Math.cos(i * 0.7)), [1, T, 1, D]);
    const starts = lengths.flatMap((length, i) => new Array<number>(length).fill(lengths.slice(0, i).reduce((a, b) => a + b, 0)));
    const together = attention(x, x, x, tf.tensor2d(starts, [1, T], "int32")).dataSync();
    lengths.reduce((start, length) => {
      const document = tf.slice(x, [0, start, 0, 0], [1, length, 1, D]);
      attention(document, document, document).dataSync().forEach((value, i) => { expect(value).toBeCloseTo(together[start * D + i], 5); });
      return start + length;
    }, 0);
  });

  test.each([-1, 3])("a query that begins to see at key %d of 3 is refused", (first) => {
    const x = tf.zeros([1, 3, 1, 2]);
    expect(errorCode(() => attention(x, x, x, tf.tensor2d([0, 0, first], [1, 3], "int32")))).toBe("E_FIRST_KEY");
  });

  test("layerNorm tells rows apart whose mean is far from zero", () => {
    const y = layerNorm(tf.tensor2d([[10_000, 10_001, 10_002, 10_003]]), tf.ones([4]), tf.zeros([4]), 0).dataSync();
    // distances −1.5 … 1.5, variance 1.25
    [-1.5, -0.5, 0.5, 1.5].forEach((distance, c) => { expect(y[c]).toBeCloseTo(distance / Math.sqrt(1.25), 5); });
  });

  test("shapes that don't fit are refused with a code", () => {
    const heads = (count: number, tokens = 2): tf.Tensor => tf.zeros([1, tokens, count, 4]);
    expect(errorCode(() => rmsNorm(tf.zeros([2, 3]), tf.zeros([4])))).toBe("E_SHAPE_SIZE");
    expect(errorCode(() => rmsNorm(tf.zeros([2, 3], "int32"), tf.zeros([3])))).toBe("E_SHAPE_DTYPE");
    expect(errorCode(() => layerNorm(tf.zeros([2, 3]), tf.zeros([3]), tf.zeros([2])))).toBe("E_SHAPE_SIZE");
    expect(errorCode(() => embedding(tf.zeros([2, 3]), tf.zeros([1, 1], "int32")))).toBe("E_SHAPE_RANK");
    expect(errorCode(() => rotary(tf.zeros([1, 1, 1, 3]), { base: 10 }))).toBe("E_SHAPE_HEAD_ODD");
    expect(errorCode(() => attention(heads(3), heads(2), heads(2)))).toBe("E_SHAPE_HEADS");
    expect(errorCode(() => attention(heads(2, 3), heads(2, 2), heads(2, 2)))).toBe("E_SHAPE_CAUSAL");
  });

  test("the first AdamW step moves each weight by the learning rate against its gradient's sign", () => {
    const value = tf.variable(tf.tensor1d([1, 1, 1]));
    const [firstMoment, secondMoment] = [tf.variable(tf.zeros([3])), tf.variable(tf.zeros([3]))];
    adamwStep([{ value, gradient: tf.tensor1d([5, -0.01, 0]), firstMoment, secondMoment, weightDecay: 0 }], settings);
    const [fell, rose, stayed] = value.dataSync();
    expect([fell, rose, stayed].map((v) => Number(v.toFixed(5)))).toEqual([0.9, 1.1, 1]);
  });

  test("AdamW leaves clones of a weight as they were", () => {
    const value = tf.variable(tf.tensor1d([1, 2]));
    const parameter = { value, gradient: tf.tensor1d([1, 1]), firstMoment: tf.variable(tf.zeros([2])), secondMoment: tf.variable(tf.zeros([2])), weightDecay: 0 };
    adamwStep([parameter], settings);
    const before = value.clone();
    const wanted = [...before.dataSync()];
    const reshaped = tf.reshape(value, [2, 1]);
    adamwStep([parameter], { ...settings, step: 2 });
    expect([...before.dataSync()]).toEqual(wanted);
    expect([...reshaped.dataSync()]).toEqual(wanted);
    expect(value.dataSync()[0]).toBeLessThan(wanted[0]);
  });

  test("AdamW refuses step 0 and a gradient of another shape", () => {
    const variables = () => ({ value: tf.variable(tf.zeros([2])), firstMoment: tf.variable(tf.zeros([2])), secondMoment: tf.variable(tf.zeros([2])), weightDecay: 0 });
    expect(errorCode(() => { adamwStep([{ ...variables(), gradient: tf.zeros([2]) }], { ...settings, step: 0 }); })).toBe("E_ADAMW_STEP");
    expect(errorCode(() => { adamwStep([{ ...variables(), gradient: tf.zeros([3]) }], settings); })).toBe("E_SHAPE_SIZE");
  });

  test("the global norm of many small values is added in double and rounded once", () => {
    expect(globalNorm([tf.fill([1_000_003], 0.5), tf.scalar(0)]).dataSync()[0]).toBe(Math.fround(Math.sqrt(1_000_003 * 0.25)));
  });

  test("clipping scales a long gradient to maxNorm and leaves a short one alone", () => {
    const clip = (...gradients: tf.Tensor[]) => Object.values(clipByGlobalNorm(gradients, 1)).map((value) => value.dataSync()[0]);
    expect(clip(tf.tensor1d([3]), tf.tensor1d([4]))).toEqual([5, Math.fround(0.2)]);
    expect(clip(tf.tensor1d([0.3]))).toEqual([Math.fround(0.3), 1]);
  });

  test("gradients that are not finite have no scale, and AdamW leaves the weights alone", () => {
    for (const bad of [Number.NaN, Infinity]) {
      const gradient = tf.tensor1d([1, bad]);
      const { norm, gradientScale } = clipByGlobalNorm([gradient], 1);
      expect([norm.dataSync()[0], gradientScale.dataSync()[0]]).toEqual([bad, Number.NaN]);
      const [value, firstMoment, secondMoment] = [5, 6, 7].map((start) => tf.variable(tf.fill([2], start)));
      adamwStep([{ value, gradient, firstMoment, secondMoment, weightDecay: 0.1 }], { ...settings, gradientScale });
      expect([value, firstMoment, secondMoment].map((variable) => [...variable.dataSync()])).toEqual([[5, 5], [6, 6], [7, 7]]);
    }
  });
});
