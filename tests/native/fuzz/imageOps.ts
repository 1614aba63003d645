import * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import type { OpMaker } from "./opMakers.ts";
import { floats, type Sample } from "./samples.ts";

type Pad = "same" | "valid" | number;

interface Geometry {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly filter: [number, number];
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: Pad;
}

/** Windows over small images; either strides or dilations are 1, as tfjs asks. */
function geometry(chance: Chance): Geometry {
  const isDilated = chance.isTrue(0.3);
  const pair = (most: number): [number, number] => [chance.int(1, most), chance.int(1, most)];
  return {
    batch: chance.isTrue(0.05) ? 0 : chance.int(1, 2), height: chance.int(1, 12), width: chance.int(1, 12), channels: chance.pick([1, 2, 3, 17]),
    filter: pair(4), strides: isDilated ? [1, 1] : pair(3), dilations: isDilated ? pair(3) : [1, 1],
    pad: chance.pick(["same", "valid", 0, 1] as const),
  };
}

const image = (chance: Chance, { batch, height, width, channels }: Geometry): Sample => floats(chance, [batch, height, width, channels], "special");

const calmImage = (chance: Chance, { batch, height, width, channels }: Geometry): Sample => floats(chance, [batch, height, width, channels], "calm");

/** Sums over a few hundred products, in another order. */
const products = { relative: 1e-4, absolute: 1e-3 };

const conv = (x: tf.Tensor, filter: tf.Tensor, { strides, pad, dilations }: Geometry): tf.Tensor =>
  tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad, "NHWC", dilations, pad === 0 || pad === 1 ? "floor" : undefined);

const depthwise = (x: tf.Tensor, filter: tf.Tensor, { strides, pad, dilations }: Geometry): tf.Tensor =>
  tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad, "NHWC", dilations, pad === 0 || pad === 1 ? "floor" : undefined);

/** A convolution, or its gradients: those of dilated ones are wrong on cpu or not there. */
const convolution = (run: typeof conv, isDepthwise: boolean): OpMaker => (chance) => {
  const takesGradients = chance.isTrue(0.4);
  const settings = { ...geometry(chance), ...(takesGradients && { dilations: [1, 1] as [number, number] }) };
  const filter = floats(chance, [...settings.filter, settings.channels, isDepthwise ? chance.int(1, 3) : chance.pick([1, 5, 18])], "calm");
  return {
    inputs: [takesGradients ? calmImage(chance, settings) : image(chance, settings), filter], settings: { ...settings, takesGradients },
    run: ([x, w]) => (takesGradients ? tf.grads((a, b) => tf.sum(tf.square(run(a, b, settings))))([x, w]) : run(x, w, settings)), relative: 1e-3, absolute: 5e-2,
  };
};

const pooling = (run: (x: tf.Tensor4D, settings: Geometry) => tf.Tensor): OpMaker => (chance) => {
  const settings = geometry(chance);
  const takesGradient = chance.isTrue(0.4);
  const x = takesGradient ? calmImage(chance, settings) : image(chance, settings);
  return {
    inputs: [x], settings: { ...settings, takesGradient }, relative: 1e-5, absolute: 1e-5,
    run: ([tensor]) => {
      const op = (t: tf.Tensor): tf.Tensor => run(t as tf.Tensor4D, settings);
      return takesGradient ? tf.grad((t: tf.Tensor) => tf.sum(tf.square(op(t))))(tensor) : op(tensor);
    },
  };
};

const rounding = (pad: Pad): "floor" | undefined => (typeof pad === "number" ? "floor" : undefined);

export const imageOps: Readonly<Record<string, OpMaker>> = {
  conv2d: convolution(conv, false),
  depthwiseConv2d: convolution(depthwise, true),
  fusedConv2d: (chance) => {
    const settings = { ...geometry(chance), activation: chance.pick(["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu"] as const) };
    const outChannels = chance.pick([1, 5, 18]);
    return {
      inputs: [image(chance, settings), floats(chance, [...settings.filter, settings.channels, outChannels], "calm"), floats(chance, [outChannels], "special")],
      run: ([x, filter, bias]) => tf.fused.conv2d({
        x: x as tf.Tensor4D, filter: filter as tf.Tensor4D, bias, strides: settings.strides, dilations: settings.dilations, pad: settings.pad,
        dimRoundingMode: rounding(settings.pad), activation: settings.activation, leakyreluAlpha: 0.3,
      }),
      settings, ...products,
    };
  },
  fusedDepthwiseConv2d: (chance) => {
    const settings = geometry(chance);
    const multiplier = chance.int(1, 3);
    return {
      inputs: [image(chance, settings), floats(chance, [...settings.filter, settings.channels, multiplier], "calm"), floats(chance, [settings.channels * multiplier], "special")],
      run: ([x, filter, bias]) => tf.fused.depthwiseConv2d({
        x: x as tf.Tensor4D, filter: filter as tf.Tensor4D, bias, strides: settings.strides, dilations: settings.dilations, pad: settings.pad,
        dimRoundingMode: rounding(settings.pad), activation: "relu",
      }),
      settings, ...products,
    };
  },
  maxPool: pooling((x, { filter, strides, pad }) => tf.maxPool(x, filter, strides, pad, rounding(pad))),
  avgPool: pooling((x, { filter, strides, pad }) => tf.avgPool(x, filter, strides, pad, rounding(pad))),
};
