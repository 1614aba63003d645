import type { ClipByValueAttrs, LeakyReluAttrs, StepAttrs, TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { UnaryName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}

/** tfjs's kernels without settings. */
const unaryNames: Readonly<Record<string, UnaryName>> = {
  Neg: "negate", Exp: "exp", Log: "log", Sqrt: "sqrt", Rsqrt: "rsqrt", Square: "square", Relu: "relu", Relu6: "relu6",
  Elu: "elu", Sigmoid: "sigmoid", Tanh: "tanh", Abs: "abs", Reciprocal: "reciprocal", Sin: "sin", Cos: "cos", Erf: "erf",
  Log1p: "log1p", Expm1: "expm1", Floor: "floor", Ceil: "ceil",
};

function runUnary(name: UnaryName, first: number, second: number, { inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("float32", size);
  native[name](size, first, second, backend.floats(x), out);
  return backend.output(x.shape, "float32", out);
}

const accepts = ({ x }: Operand): boolean => areFloat32(x);

export const unaryKernels: readonly NamedKernel[] = [
  ...Object.entries(unaryNames).map(([kernel, name]) =>
    tensorKernel<unknown, Operand>(kernel, { accepts, run: (call) => runUnary(name, 0, 0, call) })),
  tensorKernel<LeakyReluAttrs, Operand>("LeakyRelu", { accepts, run: (call) => runUnary("leakyRelu", call.attrs.alpha, 0, call) }),
  tensorKernel<StepAttrs, Operand>("Step", { accepts, run: (call) => runUnary("step", call.attrs.alpha, 0, call) }),
  tensorKernel<ClipByValueAttrs, Operand>("ClipByValue", {
    accepts, run: (call) => runUnary("clip", call.attrs.clipValueMin, call.attrs.clipValueMax, call),
  }),
];
