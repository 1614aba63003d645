import { backend_util, type BatchMatMulAttrs, type TensorInfo, type _FusedMatMulAttrs } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import type { UnaryName } from "../tensorFunctions.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { broadcastLayout } from "./broadcast.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface MatmulInputs {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
}
interface FusedInputs extends MatmulInputs {
  readonly bias?: TensorInfo;
  readonly preluActivationWeights?: TensorInfo;
}

/** Product of a [..., m, k] (or [..., k, m]) and b [..., k, n] (or [..., n, k]); batch dimensions broadcast. */
function product({ inputs: { a, b }, attrs, backend, native }: NativeCall<BatchMatMulAttrs, MatmulInputs>): { shape: number[]; values: Float32Array } {
  const { transposeA, transposeB } = attrs;
  const [m, k] = matrixShape(a, transposeA);
  const [, n] = matrixShape(b, transposeB);
  const batchShape = outputBatchShape(a, b);
  const batch = sizeOf(batchShape);
  const values = backend.allocate("float32", batch * m * n);
  native.matmul(batch, m, n, k, transposeA, transposeB, sizeOf(batchShapeOf(a)), sizeOf(batchShapeOf(b)),
    backend.floats(a), backend.floats(b), values);
  return { shape: [...batchShape, m, n], values };
}

function batchMatMul(call: NativeCall<BatchMatMulAttrs, MatmulInputs>): TensorInfo {
  const { shape, values } = product(call);
  return call.backend.output(shape, "float32", values);
}

const activations: Readonly<Record<string, UnaryName>> = { relu: "relu", relu6: "relu6", elu: "elu", sigmoid: "sigmoid", leakyrelu: "leakyRelu" };

/** Product, bias and activation; the last two in place. */
function fusedMatMul(call: NativeCall<_FusedMatMulAttrs, FusedInputs>): TensorInfo {
  const { inputs: { bias, preluActivationWeights }, attrs: { activation, leakyreluAlpha }, backend, native } = call;
  const { shape, values } = product(call);
  if (bias !== undefined) {
    const { rank, layout } = broadcastLayout(shape, bias.shape);
    native.add(rank, layout, values, backend.floats(bias), values);
  }
  if (activation === "prelu" && preluActivationWeights !== undefined) {
    const { rank, layout } = broadcastLayout(shape, preluActivationWeights.shape);
    native.prelu(rank, layout, values, backend.floats(preluActivationWeights), values);
  } else if (activation in activations) {
    native[activations[activation]](values.length, leakyreluAlpha ?? 0, 0, values, values);
  }
  return backend.output(shape, "float32", values);
}

/** [rows, columns] as the product sees them. */
function matrixShape({ shape }: TensorInfo, isTransposed: boolean): [number, number] {
  const [rows, columns] = shape.slice(-2);
  return isTransposed ? [columns, rows] : [rows, columns];
}

const batchShapeOf = ({ shape }: TensorInfo): number[] => shape.slice(0, -2);
const outputBatchShape = (a: TensorInfo, b: TensorInfo): number[] =>
  backend_util.assertAndGetBroadcastShape(batchShapeOf(a), batchShapeOf(b));

/** Batches that repeat only partly, and shapes that don't fit, are left to tfjs. */
function accepts({ a, b }: MatmulInputs, { transposeA, transposeB }: BatchMatMulAttrs): boolean {
  if (!areFloat32(a, b) || matrixShape(a, transposeA)[1] !== matrixShape(b, transposeB)[0]) return false;
  const batch = sizeOf(outputBatchShape(a, b));
  return [a, b].every((operand) => [1, batch].includes(sizeOf(batchShapeOf(operand))));
}

/** The bias and the weights of an activation may only spread over the product, not the other way round. */
function acceptsFused(inputs: FusedInputs, attrs: _FusedMatMulAttrs): boolean {
  const isKnown = ["linear", "prelu", ...Object.keys(activations)].includes(attrs.activation);
  const extras = [inputs.bias, inputs.preluActivationWeights].filter((extra) => extra !== undefined);
  return isKnown && areFloat32(...extras) && extras.every(({ shape }) => shape.length <= inputs.a.shape.length) && accepts(inputs, attrs);
}

export const matmulKernels: readonly NamedKernel[] = [
  tensorKernel<BatchMatMulAttrs, MatmulInputs>("BatchMatMul", { accepts, run: batchMatMul }),
  tensorKernel<_FusedMatMulAttrs, FusedInputs>("_FusedMatMul", { accepts: acceptsFused, run: fusedMatMul }),
];
