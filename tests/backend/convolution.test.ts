import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { expectClose, expectSameAsCpu, floats, runOn, type Sample } from "./compare.ts";

beforeAll(async () => { await chooseBackend("native"); });

interface Windows {
  readonly x: [B: number, H: number, W: number, C: number];
  readonly filter: [height: number, width: number];
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: "same" | "valid";
}

/** Calls body(tap, output pixel, input pixel) for each tap of each output that lies in the image: the definition of a
 *  convolution, with tfjs's geometry. */
function forEachTap({ x, filter, strides, dilations, pad }: Windows, body: (tap: number, out: number, from: number) => void): { outHeight: number; outWidth: number } {
  const { outHeight, outWidth, padInfo } = tf.backend_util.computeConv2DInfo(x, [...filter, x[3], 1], strides, dilations, pad);
  const [B, H, W] = x;
  for (let b = 0; b < B; b += 1)
    for (let y = 0; y < outHeight; y += 1)
      for (let z = 0; z < outWidth; z += 1)
        for (let i = 0; i < filter[0]; i += 1)
          for (let j = 0; j < filter[1]; j += 1) {
            const [row, column] = [y * strides[0] - padInfo.top + i * dilations[0], z * strides[1] - padInfo.left + j * dilations[1]];
            if (row < 0 || row >= H || column < 0 || column >= W) continue;
            body(i * filter[1] + j, (b * outHeight + y) * outWidth + z, (b * H + row) * W + column);
          }
  return { outHeight, outWidth };
}

const cases: Windows[] = [
  { x: [2, 5, 7, 3], filter: [3, 3], strides: [1, 1], dilations: [1, 1], pad: "same" },
  { x: [1, 9, 8, 2], filter: [2, 4], strides: [2, 3], dilations: [1, 1], pad: "same" },
  { x: [2, 8, 9, 4], filter: [3, 2], strides: [1, 2], dilations: [1, 1], pad: "valid" },
  { x: [1, 11, 9, 3], filter: [3, 3], strides: [1, 1], dilations: [2, 3], pad: "same" },
  { x: [2, 6, 6, 5], filter: [1, 1], strides: [1, 1], dilations: [1, 1], pad: "valid" },
  { x: [1, 7, 7, 1], filter: [1, 1], strides: [2, 2], dilations: [1, 1], pad: "valid" },
  { x: [1, 4, 3, 17], filter: [5, 5], strides: [1, 1], dilations: [1, 1], pad: "same" },
  { x: [3, 40, 50, 16], filter: [3, 3], strides: [1, 1], dilations: [1, 1], pad: "same" }, // several chunks of patches
];

const close = { relative: 1e-5, absolute: 2e-5 };
const attrsOf = ({ strides, dilations, pad }: Windows): object => ({ strides, dilations, pad, dataFormat: "NHWC", dimRoundingMode: undefined });

describe("convolutions", () => {
  test.each(cases)("of $x by $filter, strides $strides, dilations $dilations, $pad", async (windows) => {
    const [C, O] = [windows.x[3], 6];
    const x = floats(windows.x, { low: -1, high: 1 }), filter = floats([...windows.filter, C, O], { low: -1, high: 1 });
    const sums: number[] = [];
    const { outHeight, outWidth } = forEachTap(windows, (tap, out, from) => {
      for (let c = 0; c < C; c += 1)
        for (let o = 0; o < O; o += 1) sums[out * O + o] = (sums[out * O + o] ?? 0) + x.values[from * C + c] * filter.values[(tap * C + c) * O + o];
    });
    const [{ shape, values }] = await runOn("native", "Conv2D", { x, filter }, attrsOf(windows));
    expect(shape).toEqual([windows.x[0], outHeight, outWidth, O]);
    expectClose(values, Array.from({ length: values.length }, (_, i) => sums[i] ?? 0), close);
  });

  test.each(cases.filter(({ dilations }) => dilations.every((d) => d === 1)))("gradients of $x by $filter, strides $strides, $pad", async (windows) => {
    const [C, O] = [windows.x[3], 6];
    const x = floats(windows.x, { low: -1, high: 1 }), filter = floats([...windows.filter, C, O], { low: -1, high: 1 });
    const { outHeight, outWidth } = forEachTap(windows, () => undefined);
    const dy = floats([windows.x[0], outHeight, outWidth, O], { low: -1, high: 1 });
    const [dx, dFilter] = [new Float64Array(x.values.length), new Float64Array(filter.values.length)];
    forEachTap(windows, (tap, out, from) => {
      for (let c = 0; c < C; c += 1)
        for (let o = 0; o < O; o += 1) {
          dx[from * C + c] += dy.values[out * O + o] * filter.values[(tap * C + c) * O + o];
          dFilter[(tap * C + c) * O + o] += dy.values[out * O + o] * x.values[from * C + c];
        }
    });
    const [gotX] = await runOn("native", "Conv2DBackpropInput", { dy, filter }, { ...attrsOf(windows), inputShape: windows.x });
    expectClose(gotX.values, dx, close);
    const [gotFilter] = await runOn("native", "Conv2DBackpropFilter", { x, dy }, { ...attrsOf(windows), filterShape: filter.shape });
    expectClose(gotFilter.values, dFilter, { relative: 1e-5, absolute: 3e-4 }); // sums over up to 6000 products
  });

  test.each(cases)("depthwise of $x by $filter, strides $strides, dilations $dilations, $pad, with gradients", async (windows) => {
    const C = windows.x[3];
    for (const M of [1, 3]) {
      const x = floats(windows.x, { low: -1, high: 1 }), filter = floats([...windows.filter, C, M], { low: -1, high: 1 });
      const { outHeight, outWidth } = forEachTap(windows, () => undefined);
      const dy = floats([windows.x[0], outHeight, outWidth, C * M], { low: -1, high: 1 });
      const [y, dx, dFilter] = [dy, x, filter].map(({ values }) => new Float64Array(values.length));
      forEachTap(windows, (tap, out, from) => {
        for (let o = 0; o < C * M; o += 1) {
          const [at, c] = [out * C * M + o, from * C + Math.floor(o / M)];
          y[at] += x.values[c] * filter.values[tap * C * M + o];
          dx[c] += dy.values[at] * filter.values[tap * C * M + o];
          dFilter[tap * C * M + o] += dy.values[at] * x.values[c];
        }
      });
      expectClose((await runOn("native", "DepthwiseConv2dNative", { x, filter }, attrsOf(windows)))[0].values, y, close);
      expectClose((await runOn("native", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, { ...attrsOf(windows), inputShape: windows.x }))[0].values, dx, close);
      const [gotFilter] = await runOn("native", "DepthwiseConv2dNativeBackpropFilter", { x, dy }, { ...attrsOf(windows), filterShape: filter.shape });
      expectClose(gotFilter.values, dFilter, { relative: 1e-5, absolute: 3e-4 });
    }
  });

  test("bias and activation are added as on cpu; channels first is left to it", async () => {
    const x = floats([2, 6, 5, 3]), filter = floats([3, 3, 3, 4]);
    for (const activation of ["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu", "prelu"])
      for (const kernel of ["FusedConv2D", "FusedDepthwiseConv2D"]) {
        const outChannels = kernel === "FusedConv2D" ? 4 : 12;
        const inputs = { x, filter, bias: floats([outChannels]), ...(activation === "prelu" && { preluActivationWeights: floats([outChannels]) }) };
        await expectSameAsCpu(kernel, inputs, { strides: 1, pad: "same", dilations: 1, dataFormat: "NHWC", activation, leakyreluAlpha: 0.1 }, { relative: 1e-4, absolute: 1e-4 });
      }
    await expectSameAsCpu("Conv2D", { x: floats([2, 3, 6, 5]), filter }, { strides: 1, pad: "same", dilations: 1, dataFormat: "NCHW" }, { relative: 1e-4, absolute: 1e-4 });
  });

  test("a batch of no images, and images without channels, give what they should", async () => {
    const attrs = { strides: 1, pad: "same", dilations: 1, dataFormat: "NHWC" };
    await expectSameAsCpu("Conv2D", { x: floats([0, 4, 4, 2]), filter: floats([3, 3, 2, 5]) }, attrs);
    const [{ values }] = await runOn("native", "Conv2D", { x: floats([1, 2, 2, 0]), filter: floats([1, 1, 0, 3]) }, attrs);
    expect(values).toEqual(new Array(12).fill(0));
  });

  test("the gradients of a convolution with tf.grads equal the cpu's", async () => {
    const x = floats([2, 7, 6, 3]), filter = floats([3, 2, 3, 4]);
    const gradients = async (backend: string): Promise<number[]> => {
      await tf.setBackend(backend);
      return tf.tidy(() => {
        const loss = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, [2, 1], "same")));
        return tf.grads(loss)([x, filter].map(({ values, shape }) => tf.tensor(values, shape))).flatMap((gradient) => Array.from(gradient.dataSync()));
      });
    };
    expectClose(await gradients("native"), await gradients("cpu"), { relative: 1e-4, absolute: 1e-3 });
  });
});

describe("pooling", () => {
  const poolCases: [shape: number[], filterSize: [number, number], strides: [number, number], pad: "same" | "valid"][] = [
    [[2, 6, 8, 3], [2, 2], [2, 2], "valid"], [[1, 7, 5, 17], [3, 2], [1, 2], "same"], [[1, 5, 5, 1], [5, 5], [1, 1], "same"], [[2, 9, 9, 70], [3, 3], [2, 2], "same"],
    [[0, 4, 4, 2], [2, 2], [2, 2], "valid"], [[1, 4, 4, 2], [1, 1], [1, 1], "valid"],
  ];

  test.each(poolCases)("of %j by %j, strides %j, %s, with gradients, as on cpu", async (shape, filterSize, strides, pad) => {
    const attrs = { filterSize, strides, pad, dimRoundingMode: undefined };
    const x = floats(shape);
    const { outShape } = tf.backend_util.computePool2DInfo(shape as [number, number, number, number], filterSize, strides, 1, pad);
    const dy = floats(outShape);
    const output: Sample = { shape: outShape, dtype: "float32", values: new Float32Array(dy.values.length) };
    await expectSameAsCpu("MaxPool", { x }, attrs);
    await expectSameAsCpu("AvgPool", { x }, attrs, { relative: 1e-5, absolute: 1e-6 });
    await expectSameAsCpu("MaxPoolGrad", { dy, input: x, output }, attrs, { relative: 1e-5, absolute: 1e-5 });
    await expectSameAsCpu("AvgPoolGrad", { dy, input: x }, attrs, { relative: 1e-5, absolute: 1e-5 });
  });

  test("equal values share a window: the first gets the gradient; NaN is passed over", async () => {
    const attrs = { filterSize: 2, strides: 2, pad: "valid", dimRoundingMode: undefined };
    const x: Sample = { shape: [1, 2, 4, 1], dtype: "float32", values: Float32Array.of(1, 1, NaN, 2, 1, 1, 3, 3) };
    const dy: Sample = { shape: [1, 1, 2, 1], dtype: "float32", values: Float32Array.of(5, 7) };
    expect((await runOn("native", "MaxPool", { x }, attrs))[0].values).toEqual([1, 3]);
    expect((await runOn("native", "MaxPoolGrad", { dy, input: x, output: dy }, attrs))[0].values).toEqual([5, 0, 0, 0, 0, 0, 7, 0]);
  });
});

describe("blocks, mirrors and batches", () => {
  test("SpaceToBatchND and BatchToSpaceND undo each other, as on cpu", async () => {
    for (const dtype of ["float32", "int32", "bool"] as const) {
      const sample = (shape: number[]): Sample => ({ ...floats(shape), dtype });
      await expectSameAsCpu("SpaceToBatchND", { x: sample([2, 4, 6, 3]) }, { blockShape: [2, 3], paddings: [[0, 0], [0, 0]] });
      await expectSameAsCpu("SpaceToBatchND", { x: sample([1, 5, 4]) }, { blockShape: [2], paddings: [[1, 2]] });
      await expectSameAsCpu("BatchToSpaceND", { x: sample([12, 2, 3, 5]) }, { blockShape: [2, 3], crops: [[1, 0], [2, 1]] });
    }
  });

  test("MirrorPad repeats the values at each edge in reverse, with or without the edge itself", async () => {
    for (const mode of ["reflect", "symmetric"])
      for (const paddings of [[[2, 1], [0, 3], [1, 1]], [[0, 0], [0, 0], [0, 0]]])
        await expectSameAsCpu("MirrorPad", { x: floats([3, 4, 2]) }, { paddings, mode });
  });

  test("FusedBatchNorm normalizes each channel", async () => {
    const statistics = { mean: floats([5]), variance: floats([5], { low: 0.1, high: 3 }), scale: floats([5]), offset: floats([5]) };
    await expectSameAsCpu("FusedBatchNorm", { x: floats([3, 4, 6, 5]), ...statistics }, { varianceEpsilon: 1e-3 }, { relative: 1e-5, absolute: 1e-5 });
    const { mean, variance } = statistics;
    await expectSameAsCpu("FusedBatchNorm", { x: floats([7, 5]), mean, variance }, { varianceEpsilon: 1e-3 }, { relative: 1e-5, absolute: 1e-5 });
  });
});

describe("Fourier transforms", () => {
  test.each([1, 2, 8, 12, 17, 60, 128])("of rows of %i equal the definition, and the inverse leads back", (length) => {
    const [re, im] = [floats([3, length]), floats([3, length])];
    tf.tidy(() => {
      const x = tf.complex(tf.tensor(re.values.slice(), re.shape), tf.tensor(im.values.slice(), im.shape));
      const y = tf.fft(x);
      const [gotRe, gotIm] = [tf.real(y).dataSync(), tf.imag(y).dataSync()];
      for (let row = 0; row < 3; row += 1)
        for (let k = 0; k < length; k += 1) {
          let [sumRe, sumIm] = [0, 0];
          for (let n = 0; n < length; n += 1) {
            const [angle, at] = [(-2 * Math.PI * k * n) / length, row * length + n];
            sumRe += re.values[at] * Math.cos(angle) - im.values[at] * Math.sin(angle);
            sumIm += re.values[at] * Math.sin(angle) + im.values[at] * Math.cos(angle);
          }
          expect(gotRe[row * length + k]).toBeCloseTo(sumRe, 4);
          expect(gotIm[row * length + k]).toBeCloseTo(sumIm, 4);
        }
      const back = tf.ifft(y);
      expectClose(tf.real(back).dataSync(), re.values, { absolute: 1e-5 });
      expectClose(tf.imag(back).dataSync(), im.values, { absolute: 1e-5 });
    });
  });
});
