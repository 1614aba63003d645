import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { BinaryName, CompareName, IntBinaryName, LogicalName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { broadcastLayout } from "./broadcast.ts";
import { areFloat32 } from "./shape.ts";

interface Operands {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
}

/** tfjs's kernels of two numbers: the function for float32 and, where there is one, that for int32. */
const binaryNames: Readonly<Record<string, readonly [BinaryName, IntBinaryName?]>> = {
  Add: ["add", "addInts"], Sub: ["subtract", "subtractInts"], Multiply: ["multiply", "multiplyInts"], Maximum: ["maximum", "maximumInts"],
  Minimum: ["minimum", "minimumInts"], SquaredDifference: ["squaredDifference", "squaredDifferenceInts"], Mod: ["modulo", "moduloInts"],
  RealDiv: ["divide"], Pow: ["power"], Atan2: ["atan2"],
};

const compareNames: Readonly<Record<string, CompareName>> = {
  Equal: "equal", NotEqual: "notEqual", Greater: "greater", GreaterEqual: "greaterEqual", Less: "less", LessEqual: "lessEqual",
};

const logicalNames: Readonly<Record<string, LogicalName>> = { LogicalAnd: "logicalAnd", LogicalOr: "logicalOr" };

type Call = NativeCall<unknown, Operands>;

/** a and b broadcast against each other. */
function runBinary(name: BinaryName, { inputs: { a, b }, backend, native }: Call): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("float32", size);
  native[name](rank, layout, backend.floats(a), backend.floats(b), out);
  return backend.activation(shape, "float32", out);
}

function runIntBinary(name: IntBinaryName, { inputs: { a, b }, backend, native }: Call): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("int32", size);
  native[name](rank, layout, backend.ints(a), backend.ints(b), out);
  return backend.output(shape, "int32", out);
}

function runCompare(name: CompareName, { inputs: { a, b }, backend, native }: Call): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("bool", size);
  if (a.dtype === "int32") native[`${name}Ints`](rank, layout, backend.ints(a), backend.ints(b), out);
  else if (a.dtype === "bool") native[`${name}Bytes`](rank, layout, backend.bytes(a), backend.bytes(b), out);
  else native[name](rank, layout, backend.floats(a), backend.floats(b), out);
  return backend.output(shape, "bool", out);
}

function runLogical(name: LogicalName, { inputs: { a, b }, backend, native }: Call): TensorInfo {
  const { shape, size, rank, layout } = broadcastLayout(a.shape, b.shape);
  const out = backend.allocate("bool", size);
  native[name](rank, layout, backend.bytes(a), backend.bytes(b), out);
  return backend.output(shape, "bool", out);
}

/** tfjs's AddN: the sum of tensors of one shape. */
function addAll(call: NativeCall<unknown, TensorInfo[]>): TensorInfo {
  const { inputs, backend, native } = call;
  const [first, ...others] = inputs;
  const { size, rank, layout } = broadcastLayout(first.shape, first.shape);
  if (first.dtype === "int32") {
    const out = backend.copyOf("int32", backend.ints(first));
    for (const other of others) native.addInts(rank, layout, out, backend.ints(other), out);
    return backend.output(first.shape, "int32", out);
  }
  const out = others.length === 0 ? backend.copyOf("float32", backend.floats(first)) : backend.allocate("float32", size);
  others.forEach((other, i) => native.add(rank, layout, i === 0 ? backend.floats(first) : out, backend.floats(other), out));
  return backend.activation(first.shape, "float32", out);
}

/** Weights for negative values; they spread over x or x over them. */
function prelu({ inputs: { x, alpha }, ...tools }: NativeCall<unknown, { x: TensorInfo; alpha: TensorInfo }>): TensorInfo {
  return runBinary("prelu", { inputs: { a: x, b: alpha }, ...tools });
}

const areInts = (...tensors: readonly TensorInfo[]): boolean => tensors.every(({ dtype }) => dtype === "int32");
const areBools = ({ a, b }: Operands): boolean => a.dtype === "bool" && b.dtype === "bool";

export const binaryKernels: readonly NamedKernel[] = [
  ...Object.entries(binaryNames).map(([kernel, [name, intName]]) => tensorKernel<unknown, Operands>(kernel, {
    accepts: ({ a, b }) => areFloat32(a, b) || (intName !== undefined && areInts(a, b)),
    run: (call) => (intName !== undefined && call.inputs.a.dtype === "int32" ? runIntBinary(intName, call) : runBinary(name, call)),
  })),
  // tfjs makes int32 of float32 here, too: that is left to it
  tensorKernel<unknown, Operands>("FloorDiv", { accepts: ({ a, b }) => areInts(a, b), run: (call) => runIntBinary("floorDivideInts", call) }),
  ...Object.entries(compareNames).map(([kernel, name]) => tensorKernel<unknown, Operands>(kernel, {
    accepts: ({ a, b }) => areFloat32(a, b) || areInts(a, b) || areBools({ a, b }), run: (call) => runCompare(name, call),
  })),
  ...Object.entries(logicalNames).map(([kernel, name]) =>
    tensorKernel<unknown, Operands>(kernel, { accepts: areBools, run: (call) => runLogical(name, call) })),
  tensorKernel<unknown, TensorInfo[]>("AddN", { accepts: (inputs) => areFloat32(...inputs) || areInts(...inputs), run: addAll }),
  tensorKernel<unknown, { x: TensorInfo; alpha: TensorInfo }>("Prelu", { accepts: ({ x, alpha }) => areFloat32(x, alpha), run: prelu }),
];
