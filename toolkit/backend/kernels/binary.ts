import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { BinaryName, CompareName, LogicalName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { broadcastLayout } from "./broadcast.ts";
import { areFloat32 } from "./shape.ts";

interface Operands {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
}

const binaryNames: Readonly<Record<string, BinaryName>> = {
  Add: "add", Sub: "subtract", Multiply: "multiply", RealDiv: "divide", Maximum: "maximum", Minimum: "minimum",
  SquaredDifference: "squaredDifference", Pow: "power",
};

const compareNames: Readonly<Record<string, CompareName>> = {
  Equal: "equal", NotEqual: "notEqual", Greater: "greater", GreaterEqual: "greaterEqual", Less: "less", LessEqual: "lessEqual",
};

const logicalNames: Readonly<Record<string, LogicalName>> = { LogicalAnd: "logicalAnd", LogicalOr: "logicalOr" };

/** a and b broadcast against each other; float32. */
export function runBinary(name: BinaryName, { inputs: { a, b }, backend, native }: NativeCall<unknown, Operands>): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("float32", size);
  native[name](rank, layout, backend.floats(a), backend.floats(b), out);
  return backend.output(shape, "float32", out);
}

function runCompare(name: CompareName, { inputs: { a, b }, backend, native }: NativeCall<unknown, Operands>): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("bool", size);
  if (a.dtype === "int32") native[`${name}Ints`](rank, layout, backend.ints(a), backend.ints(b), out);
  else native[name](rank, layout, backend.floats(a), backend.floats(b), out);
  return backend.output(shape, "bool", out);
}

function runLogical(name: LogicalName, { inputs: { a, b }, backend, native }: NativeCall<unknown, Operands>): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("bool", size);
  native[name](rank, layout, backend.bytes(a), backend.bytes(b), out);
  return backend.output(shape, "bool", out);
}

/** tfjs's AddN: the sum of tensors of one shape. */
function addAll({ inputs, backend, native }: NativeCall<unknown, TensorInfo[]>): TensorInfo {
  const [first, ...others] = inputs;
  const { size, rank, layout } = broadcastLayout(first.shape, first.shape);
  const out = backend.allocate("float32", size);
  others.forEach((other, i) => native.add(rank, layout, i === 0 ? backend.floats(first) : out, backend.floats(other), out));
  if (others.length === 0) out.set(backend.floats(first));
  return backend.output(first.shape, "float32", out);
}

const acceptsFloats = ({ a, b }: Operands): boolean => areFloat32(a, b);
const acceptsNumbers = ({ a, b }: Operands): boolean => areFloat32(a, b) || (a.dtype === "int32" && b.dtype === "int32");
const acceptsBools = ({ a, b }: Operands): boolean => a.dtype === "bool" && b.dtype === "bool";

export const binaryKernels: readonly NamedKernel[] = [
  ...Object.entries(binaryNames).map(([kernel, name]) =>
    tensorKernel<unknown, Operands>(kernel, { accepts: acceptsFloats, run: (call) => runBinary(name, call) })),
  ...Object.entries(compareNames).map(([kernel, name]) =>
    tensorKernel<unknown, Operands>(kernel, { accepts: acceptsNumbers, run: (call) => runCompare(name, call) })),
  ...Object.entries(logicalNames).map(([kernel, name]) =>
    tensorKernel<unknown, Operands>(kernel, { accepts: acceptsBools, run: (call) => runLogical(name, call) })),
  tensorKernel<unknown, TensorInfo[]>("AddN", { accepts: (inputs) => areFloat32(...inputs), run: addAll }),
];
