import {
  backend_util, util, type Conv2DAttrs, type Conv2DBackpropFilterAttrs, type Conv2DBackpropInputAttrs, type DepthwiseConv2dNativeAttrs,
  type DepthwiseConv2dNativeBackpropFilterAttrs, type DepthwiseConv2dNativeBackpropInputAttrs, type FusedConv2DAttrs, type FusedDepthwiseConv2DAttrs,
  type TensorInfo,
} from "@tensorflow/tfjs-core";
import type { Floats } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { activate, canActivate, type Activated } from "./activation.ts";
import { areFloat32, sizeOf } from "./shape.ts";
import { windowsOf } from "./windows.ts";

type Shape4D = [number, number, number, number];
type ConvInfo = backend_util.Conv2DInfo;
type Tools = Pick<NativeCall, "backend" | "native">;

interface Operands {
  readonly x: TensorInfo;
  readonly filter: TensorInfo;
}
type FusedOperands = Operands & Activated;

/** The attributes that all convolutions share; gradients have no dilations. */
interface Geometry {
  readonly strides: number | [number, number];
  readonly pad: Conv2DAttrs["pad"];
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: Conv2DAttrs["dimRoundingMode"];
}

function infoOf(inShape: readonly number[], filterShape: readonly number[], { strides, pad, dilations, dimRoundingMode }: Geometry, isDepthwise: boolean): ConvInfo {
  return backend_util.computeConv2DInfo(inShape as Shape4D, filterShape as Shape4D, strides, dilations ?? 1, pad, dimRoundingMode, isDepthwise);
}

/** x [B, H, W, C], filter [fH, fW, C, O] */
function convolve({ x, filter }: Operands, info: ConvInfo, { backend, native }: Tools): Floats {
  const y = backend.allocate("float32", sizeOf(info.outShape));
  native.convolve(...windowsOf(info), info.outChannels, backend.floats(x), backend.floats(filter), y);
  return y;
}

/** x [B, H, W, C], filter [fH, fW, C, M]: channel c makes outputs c · M … c · M + M − 1. */
function convolveDepthwise({ x, filter }: Operands, info: ConvInfo, { backend, native }: Tools): Floats {
  const y = backend.allocate("float32", sizeOf(info.outShape));
  native.convolveDepthwise(...windowsOf(info), filter.shape[3], backend.floats(x), backend.floats(filter), y);
  return y;
}

function conv2d({ inputs, attrs, ...tools }: NativeCall<Conv2DAttrs, Operands>): TensorInfo {
  const info = infoOf(inputs.x.shape, inputs.filter.shape, attrs, false);
  return tools.backend.activation(info.outShape, "float32", convolve(inputs, info, tools));
}

function fusedConv2d({ inputs, attrs, ...tools }: NativeCall<FusedConv2DAttrs, FusedOperands>): TensorInfo {
  const info = infoOf(inputs.x.shape, inputs.filter.shape, attrs, false);
  const y = convolve(inputs, info, tools);
  activate(y, info.outShape, inputs, attrs, tools);
  return tools.backend.activation(info.outShape, "float32", y);
}

function inputGradient({ inputs: { dy, filter }, attrs, backend, native }: NativeCall<Conv2DBackpropInputAttrs, InputGradientOperands>): TensorInfo {
  const info = infoOf(attrs.inputShape, filter.shape, attrs, false);
  const dx = backend.allocate("float32", sizeOf(info.inShape));
  native.convolveInputGradient(...windowsOf(info), info.outChannels, backend.floats(dy), backend.floats(filter), dx);
  return backend.activation(info.inShape, "float32", dx);
}

function filterGradient({ inputs: { x, dy }, attrs, backend, native }: NativeCall<Conv2DBackpropFilterAttrs, FilterGradientOperands>): TensorInfo {
  const info = infoOf(x.shape, attrs.filterShape, attrs, false);
  const dFilter = backend.allocate("float32", sizeOf(info.filterShape));
  native.convolveFilterGradient(...windowsOf(info), info.outChannels, backend.floats(x), backend.floats(dy), dFilter);
  return backend.output(info.filterShape, "float32", dFilter);
}

/** Either strides or dilations must be 1, as tfjs asks. */
function depthwiseInfoOf(inShape: readonly number[], filterShape: readonly number[], geometry: Geometry): ConvInfo {
  const dilations = geometry.dilations ?? [1, 1];
  util.assert(backend_util.eitherStridesOrDilationsAreOne(geometry.strides, dilations), () =>
    `Error in depthwiseConv2d: Either strides or dilations must be 1. Got strides ${String(geometry.strides)} and dilations '${String(dilations)}'`);
  return infoOf(inShape, filterShape, { ...geometry, dilations }, true);
}

function depthwise({ inputs, attrs, ...tools }: NativeCall<DepthwiseConv2dNativeAttrs, Operands>): TensorInfo {
  const info = depthwiseInfoOf(inputs.x.shape, inputs.filter.shape, attrs);
  return tools.backend.activation(info.outShape, "float32", convolveDepthwise(inputs, info, tools));
}

function fusedDepthwise({ inputs, attrs, ...tools }: NativeCall<FusedDepthwiseConv2DAttrs, FusedOperands>): TensorInfo {
  const info = depthwiseInfoOf(inputs.x.shape, inputs.filter.shape, attrs);
  const y = convolveDepthwise(inputs, info, tools);
  activate(y, info.outShape, inputs, attrs, tools);
  return tools.backend.activation(info.outShape, "float32", y);
}

function depthwiseInputGradient({ inputs: { dy, filter }, attrs, backend, native }: NativeCall<DepthwiseConv2dNativeBackpropInputAttrs, InputGradientOperands>): TensorInfo {
  const info = infoOf(attrs.inputShape, filter.shape, attrs, true);
  const dx = backend.allocate("float32", sizeOf(info.inShape));
  native.depthwiseInputGradient(...windowsOf(info), filter.shape[3], backend.floats(dy), backend.floats(filter), dx);
  return backend.activation(info.inShape, "float32", dx);
}

function depthwiseFilterGradient({ inputs: { x, dy }, attrs, backend, native }: NativeCall<DepthwiseConv2dNativeBackpropFilterAttrs, FilterGradientOperands>): TensorInfo {
  const info = infoOf(x.shape, attrs.filterShape, attrs, true);
  const dFilter = backend.allocate("float32", sizeOf(info.filterShape));
  native.depthwiseFilterGradient(...windowsOf(info), info.filterShape[3], backend.floats(x), backend.floats(dy), dFilter);
  return backend.output(info.filterShape, "float32", dFilter);
}

const isChannelsLast = ({ dataFormat }: { dataFormat?: string }): boolean => dataFormat === undefined || dataFormat === "NHWC";
const acceptsFused = (inputs: FusedOperands, attrs: FusedConv2DAttrs, isDepthwise: boolean): boolean =>
  areFloat32(inputs.x, inputs.filter) && isChannelsLast(attrs)
  && canActivate(inputs, attrs, infoOf(inputs.x.shape, inputs.filter.shape, attrs, isDepthwise).outShape);

interface InputGradientOperands {
  readonly dy: TensorInfo;
  readonly filter: TensorInfo;
}
interface FilterGradientOperands {
  readonly x: TensorInfo;
  readonly dy: TensorInfo;
}

/** tf.conv2dTranspose lets a dy through that is larger than the output, of which tfjs reads a corner: that is left to it. */
const isOutput = ({ shape }: TensorInfo, { outShape }: ConvInfo): boolean => util.arraysEqual(shape, outShape);
const acceptsInputGradient = ({ dy, filter }: InputGradientOperands, attrs: Geometry & { dataFormat?: string; inputShape: number[] }, isDepthwise: boolean): boolean =>
  areFloat32(dy, filter) && isChannelsLast(attrs) && isOutput(dy, infoOf(attrs.inputShape, filter.shape, attrs, isDepthwise));
const acceptsFilterGradient = ({ x, dy }: FilterGradientOperands, attrs: Geometry & { dataFormat?: string; filterShape: number[] }, isDepthwise: boolean): boolean =>
  areFloat32(x, dy) && isChannelsLast(attrs) && isOutput(dy, infoOf(x.shape, attrs.filterShape, attrs, isDepthwise));

export const convolutionKernels: readonly NamedKernel[] = [
  tensorKernel<Conv2DAttrs, Operands>("Conv2D", { accepts: ({ x, filter }, attrs) => areFloat32(x, filter) && isChannelsLast(attrs), run: conv2d }),
  tensorKernel<FusedConv2DAttrs, FusedOperands>("FusedConv2D", { accepts: (inputs, attrs) => acceptsFused(inputs, attrs, false), run: fusedConv2d }),
  tensorKernel<Conv2DBackpropInputAttrs, InputGradientOperands>("Conv2DBackpropInput", {
    accepts: (inputs, attrs) => acceptsInputGradient(inputs, attrs, false), run: inputGradient,
  }),
  tensorKernel<Conv2DBackpropFilterAttrs, FilterGradientOperands>("Conv2DBackpropFilter", {
    accepts: (inputs, attrs) => acceptsFilterGradient(inputs, attrs, false), run: filterGradient,
  }),
  tensorKernel<DepthwiseConv2dNativeAttrs, Operands>("DepthwiseConv2dNative", { accepts: ({ x, filter }) => areFloat32(x, filter), run: depthwise }),
  tensorKernel<FusedDepthwiseConv2DAttrs, FusedOperands>("FusedDepthwiseConv2D", {
    accepts: (inputs, attrs) => acceptsFused(inputs, attrs, true), run: fusedDepthwise,
  }),
  tensorKernel<DepthwiseConv2dNativeBackpropInputAttrs, InputGradientOperands>("DepthwiseConv2dNativeBackpropInput", {
    accepts: (inputs, attrs) => acceptsInputGradient(inputs, attrs, true), run: depthwiseInputGradient,
  }),
  tensorKernel<DepthwiseConv2dNativeBackpropFilterAttrs, FilterGradientOperands>("DepthwiseConv2dNativeBackpropFilter", {
    accepts: (inputs, attrs) => acceptsFilterGradient(inputs, attrs, true), run: depthwiseFilterGradient,
  }),
];
