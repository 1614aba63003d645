import * as tf from "@tensorflow/tfjs-core";
import { floats, ints, sizeOf, type Sample } from "../backend/compare.ts";

/** A call of tfjs's ops that is large enough for threads to share its work. */
export interface LargeCall {
  readonly name: string;
  readonly inputs: readonly Sample[];
  readonly run: (tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
}

/** Large and small values side by side: another order of adding gives other bits. */
function uneven(shape: number[]): Sample {
  return { shape, dtype: "float32", values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i) * 10 ** (i % 7)) };
}

const image = floats([3, 40, 44, 24]);
const wide: number[] = [3, 90_003], tall: number[] = [90_003, 3], square: number[] = [400, 333], solid: number[] = [9, 300, 130];
const x = (shape: number[]): Sample[] => [uneven(shape)];
const pair = (shape: number[]): Sample[] => [uneven(shape), uneven(shape)];

type Rows = Readonly<Record<string, readonly [inputs: readonly Sample[], run: (tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[]]>>;

const sums: Rows = Object.fromEntries([wide, tall, square, solid].flatMap((shape) =>
  shape.map((_, axis) => [`sum of [${shape.join(", ")}] over ${axis}`, [x(shape), ([t]: tf.Tensor[]) => tf.sum(t, axis)]] as const)));

const gradients = (op: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor) => ([a, b]: tf.Tensor[]): tf.Tensor[] => tf.grads((p, q) => tf.sum(tf.square(op(p, q))))([a, b]);

const products: Rows = {
  ...Object.fromEntries([[1, 900, 700], [3, 900, 700], [13, 260, 900], [150, 333, 270], [700, 40, 1000]].map(([m, n, k]) =>
    [`product ${m} × ${n} over ${k}`, [[floats([m, k]), floats([k, n])], ([a, b]: tf.Tensor[]) => tf.matMul(a, b)]] as const)),
  "product by a transposed matrix": [[floats([3, 900]), floats([700, 900])], ([a, b]) => tf.matMul(a, b, false, true)],
  "product of a transposed matrix": [[floats([900, 130]), floats([900, 200])], ([a, b]) => tf.matMul(a, b, true)],
  "products in batches": [[floats([300, 9, 40]), floats([300, 40, 11])], ([a, b]) => tf.matMul(a, b)],
  "einsum": [[floats([6, 50, 4, 32]), floats([6, 60, 4, 32])], ([a, b]) => tf.einsum("bihd,bjhd->bhij", a, b)],
  "convolution": [[image, floats([3, 3, 24, 20])], ([a, b]) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, "same")],
  "gradients of a convolution": [[image, floats([3, 3, 24, 20])], gradients((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, [1, 2], "same"))],
  "depthwise convolution": [[image, floats([3, 3, 24, 2])], ([a, b]) => tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, "same")],
  "gradients of a depthwise convolution": [[image, floats([3, 3, 24, 2])], gradients((a, b) => tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, "same"))],
};

const others: Rows = {
  "sum of all": [x(wide), ([t]) => tf.sum(t)], "mean": [x(tall), ([t]) => tf.mean(t)], "mean over two dimensions": [x(solid), ([t]) => tf.mean(t, [0, 2])],
  "product of all": [[floats(wide, { low: 0.999, high: 1.001 })], ([t]) => tf.prod(t)], "largest": [x(tall), ([t]) => [tf.max(t, 0), tf.min(t, 0)]],
  "place of the largest": [x(square), ([t]) => [tf.argMax(t, 0), tf.argMin(t, 1)]], "norm": [x(wide), ([t]) => tf.norm(t)],
  "moments": [x(solid), ([t]) => { const { mean, variance } = tf.moments(t, 2); return [mean, variance]; }],
  "running sums": [x(square), ([t]) => [tf.cumsum(t, 0), tf.cumsum(t, 1), tf.cumprod(t, 1)]],
  "softmax": [[floats([400, 333]), floats([2, 70_000])], ([a, b]) => [tf.softmax(a), tf.softmax(b), tf.logSoftmax(a), tf.logSumExp(b, 1)]],
  "largest five": [x(wide), ([t]) => { const { values, indices } = tf.topk(t, 5); return [values, indices]; }],
  "elementwise": [pair(square), ([a, b]) => [tf.add(a, b), tf.mul(a, b), tf.div(a, b), tf.maximum(a, b), tf.exp(tf.sin(a)), tf.pow(tf.abs(a), 0.3), tf.erf(b), tf.tan(a), tf.softplus(b)]],
  "spread operands": [[uneven([400, 1]), uneven([333])], ([a, b]) => [tf.add(a, b), tf.squaredDifference(a, b), tf.less(a, b)]],
  "integers": [[ints(square, -9999, 9999), ints(square, 1, 99)], ([a, b]) => [tf.mul(a, b), tf.floorDiv(a, b), tf.mod(a, b), tf.sum(a, 0), tf.max(a, 1), tf.cumsum(a, 0), tf.argMax(a, 1)]],
  "conversions": [x(square), ([t]) => [tf.cast(t, "int32"), tf.cast(t, "bool"), tf.isNaN(t)]],
  "rearranged": [x(solid), ([t]) => [tf.transpose(t, [2, 0, 1]), tf.reverse(t, [0, 2]), tf.tile(t, [1, 2, 1]), tf.pad(t, [[1, 0], [0, 2], [3, 3]]), tf.slice(t, [1, 20, 3], [7, 250, 100])]],
  "gathered": [[uneven([500, 130]), ints([3000], 0, 500)], ([t, ids]) => tf.gather(t, ids)],
  "summed by index": [[uneven([3000, 130]), ints([3000], 0, 50)], ([t, ids]) => [tf.unsortedSegmentSum(t, ids as tf.Tensor1D, 50), tf.scatterND(tf.reshape(ids, [3000, 1]), t, [50, 130])]],
  "pooled": [[image], ([t]) => [tf.maxPool(t as tf.Tensor4D, 3, 2, "same"), tf.avgPool(t as tf.Tensor4D, 3, 2, "same")]],
  "gradients of pooling": [[image, image], gradients((a, b) => tf.add(tf.maxPool(a as tf.Tensor4D, 3, 2, "same"), tf.avgPool(b as tf.Tensor4D, 3, 2, "same")))],
  "batch normalization": [[image, floats([24]), floats([24], { low: 0.1, high: 2 })], ([t, mean, variance]) => tf.batchNorm(t as tf.Tensor4D, mean as tf.Tensor1D, variance as tf.Tensor1D)],
};

export const largeCalls: readonly LargeCall[] = Object.entries({ ...sums, ...products, ...others }).map(([name, [inputs, run]]) => ({ name, inputs, run }));

/** The bits of a call's results. */
export function bitsOf({ inputs, run }: LargeCall): string[] {
  return tf.tidy(() => [run(inputs.map(({ values, shape, dtype }) => tf.tensor(values.slice(), shape, dtype)))].flat().map((tensor) => {
    const { buffer, byteOffset, byteLength } = tensor.dataSync();
    return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
  }));
}
