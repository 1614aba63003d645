import type { ClipByValueAttrs, LeakyReluAttrs, StepAttrs, TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { ClassName, IntUnaryName, MathName, UnaryName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}

/** tfjs's kernels without settings: the function for float32 and, where there is one, that for int32. */
const unaryNames: Readonly<Record<string, readonly [UnaryName, IntUnaryName?]>> = {
  Neg: ["negate", "negateInts"], Exp: ["exp"], Log: ["log"], Sqrt: ["sqrt"], Rsqrt: ["rsqrt"], Square: ["square", "squareInts"],
  Relu: ["relu", "reluInts"], Relu6: ["relu6"], Elu: ["elu"], Sigmoid: ["sigmoid"], Tanh: ["tanh"], Abs: ["abs", "absInts"],
  Reciprocal: ["reciprocal"], Sin: ["sin"], Cos: ["cos"], Erf: ["erf"], Log1p: ["log1p"], Expm1: ["expm1"], Floor: ["floor"], Ceil: ["ceil"],
};

const mathNames: Readonly<Record<string, MathName>> = {
  Tan: "tan", Asin: "asin", Acos: "acos", Atan: "atan", Sinh: "sinh", Cosh: "cosh", Asinh: "asinh", Acosh: "acosh", Atanh: "atanh",
  Softplus: "softplus", Selu: "selu", Round: "round", Sign: "sign",
};

const classNames: Readonly<Record<string, ClassName>> = { IsNan: "isNaN", IsInf: "isInf", IsFinite: "isFinite" };

function runUnary(name: UnaryName, first: number, second: number, { inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("float32", size);
  native[name](size, first, second, backend.floats(x), out);
  return backend.activation(x.shape, "float32", out);
}

function runIntUnary(name: IntUnaryName, first: number, second: number, { inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("int32", size);
  native[name](size, first, second, backend.ints(x), out);
  return backend.output(x.shape, "int32", out);
}

function runMath(name: MathName, { inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("float32", size);
  native[name](size, backend.floats(x), out);
  return backend.activation(x.shape, "float32", out);
}

function runClass(name: ClassName, { inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("bool", size);
  native[name](size, backend.floats(x), out);
  return backend.output(x.shape, "bool", out);
}

function logicalNot({ inputs: { x }, backend, native }: NativeCall<unknown, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  const out = backend.allocate("bool", size);
  native.logicalNot(size, backend.bytes(x), out);
  return backend.output(x.shape, "bool", out);
}

function clip(call: NativeCall<ClipByValueAttrs, Operand>): TensorInfo {
  const { clipValueMin, clipValueMax } = call.attrs;
  return call.inputs.x.dtype === "int32" ? runIntUnary("clipInts", clipValueMin, clipValueMax, call) : runUnary("clip", clipValueMin, clipValueMax, call);
}

const accepts = ({ x }: Operand): boolean => areFloat32(x);
const isInt = ({ x }: Operand): boolean => x.dtype === "int32";

export const unaryKernels: readonly NamedKernel[] = [
  ...Object.entries(unaryNames).map(([kernel, [name, intName]]) => tensorKernel<unknown, Operand>(kernel, {
    accepts: (inputs) => accepts(inputs) || (intName !== undefined && isInt(inputs)),
    run: (call) => (intName !== undefined && isInt(call.inputs) ? runIntUnary(intName, 0, 0, call) : runUnary(name, 0, 0, call)),
  })),
  ...Object.entries(mathNames).map(([kernel, name]) => tensorKernel<unknown, Operand>(kernel, {
    accepts: (inputs) => accepts(inputs) || (name === "sign" && isInt(inputs)),
    run: (call) => (isInt(call.inputs) ? runIntUnary("signInts", 0, 0, call) : runMath(name, call)),
  })),
  ...Object.entries(classNames).map(([kernel, name]) => tensorKernel<unknown, Operand>(kernel, { accepts, run: (call) => runClass(name, call) })),
  tensorKernel<unknown, Operand>("LogicalNot", { accepts: ({ x }) => x.dtype === "bool", run: logicalNot }),
  tensorKernel<LeakyReluAttrs, Operand>("LeakyRelu", { accepts, run: (call) => runUnary("leakyRelu", call.attrs.alpha, 0, call) }),
  tensorKernel<StepAttrs, Operand>("Step", { accepts, run: (call) => runUnary("step", call.attrs.alpha, 0, call) }),
  tensorKernel<ClipByValueAttrs, Operand>("ClipByValue", { accepts: (inputs) => accepts(inputs) || isInt(inputs), run: clip }),
];
