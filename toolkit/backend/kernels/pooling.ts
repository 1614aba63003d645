import { backend_util, util, type AvgPoolAttrs, type AvgPoolGradAttrs, type MaxPoolAttrs, type MaxPoolGradAttrs, type TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areFloat32, sizeOf } from "./shape.ts";
import { windowsOf } from "./windows.ts";

interface Operand {
  readonly x: TensorInfo;
}
interface GradientOperands {
  readonly dy: TensorInfo;
  readonly input: TensorInfo;
}

function infoOf({ shape }: TensorInfo, { filterSize, strides, pad, dimRoundingMode }: MaxPoolAttrs): backend_util.Conv2DInfo {
  return backend_util.computePool2DInfo(shape as [number, number, number, number], filterSize, strides, 1, pad, dimRoundingMode);
}

function pool(name: "maxPool" | "meanPool", { inputs: { x }, attrs, backend, native }: NativeCall<MaxPoolAttrs, Operand>): TensorInfo {
  const info = infoOf(x, attrs);
  const isIdentity = info.filterHeight === 1 && info.filterWidth === 1 && util.arraysEqual(info.inShape, info.outShape);
  if (isIdentity) {
    backend.incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  }
  const y = backend.allocate("float32", sizeOf(info.outShape));
  native[name](...windowsOf(info), backend.floats(x), y);
  return backend.activation(info.outShape, "float32", y);
}

function maxPoolGradient({ inputs: { dy, input }, attrs, backend, native }: NativeCall<MaxPoolGradAttrs, GradientOperands>): TensorInfo {
  const info = infoOf(input, attrs);
  const dx = backend.allocate("float32", sizeOf(input.shape));
  native.maxPoolGradient(...windowsOf(info), backend.floats(input), backend.floats(dy), dx);
  return backend.activation(input.shape, "float32", dx);
}

function meanPoolGradient({ inputs: { dy, input }, attrs, backend, native }: NativeCall<AvgPoolGradAttrs, GradientOperands>): TensorInfo {
  const info = infoOf(input, attrs);
  const dx = backend.allocate("float32", sizeOf(input.shape));
  native.meanPoolGradient(...windowsOf(info), backend.floats(dy), dx);
  return backend.activation(input.shape, "float32", dx);
}

const accepts = ({ x }: Operand): boolean => areFloat32(x);
const acceptsGradient = ({ dy, input }: GradientOperands, attrs: MaxPoolAttrs): boolean =>
  areFloat32(dy, input) && util.arraysEqual(dy.shape, infoOf(input, attrs).outShape);

export const poolingKernels: readonly NamedKernel[] = [
  tensorKernel<MaxPoolAttrs, Operand>("MaxPool", { accepts, run: (call) => pool("maxPool", call) }),
  tensorKernel<AvgPoolAttrs, Operand>("AvgPool", { accepts, run: (call) => pool("meanPool", call) }),
  tensorKernel<MaxPoolGradAttrs, GradientOperands>("MaxPoolGrad", { accepts: acceptsGradient, run: maxPoolGradient }),
  tensorKernel<AvgPoolGradAttrs, GradientOperands>("AvgPoolGrad", { accepts: acceptsGradient, run: meanPoolGradient }),
];
