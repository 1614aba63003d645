import { backend_util, type BatchMatMulAttrs, type TensorInfo, type _FusedMatMulAttrs } from "@tensorflow/tfjs-core";
import type { Floats } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { activate, canActivate, type Activated } from "./activation.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface MatmulInputs {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
}
type FusedInputs = MatmulInputs & Activated;

/** Product of a [..., m, k] (or [..., k, m]) and b [..., k, n] (or [..., n, k]); batch dimensions broadcast. */
function product({ inputs: { a, b }, attrs, backend, native }: NativeCall<BatchMatMulAttrs, MatmulInputs>): { shape: number[]; values: Floats } {
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
  return call.backend.activation(shape, "float32", values);
}

/** Product, bias and activation; the last two in place. */
function fusedMatMul(call: NativeCall<_FusedMatMulAttrs, FusedInputs>): TensorInfo {
  const { shape, values } = product(call);
  activate(values, shape, call.inputs, call.attrs, call);
  return call.backend.activation(shape, "float32", values);
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

function acceptsFused(inputs: FusedInputs, attrs: _FusedMatMulAttrs): boolean {
  const { a, b } = inputs;
  if (!accepts(inputs, attrs)) return false;
  const shape = [...outputBatchShape(a, b), matrixShape(a, attrs.transposeA)[0], matrixShape(b, attrs.transposeB)[1]];
  return canActivate(inputs, attrs, shape);
}

export const matmulKernels: readonly NamedKernel[] = [
  tensorKernel<BatchMatMulAttrs, MatmulInputs>("BatchMatMul", { accepts, run: batchMatMul }),
  tensorKernel<_FusedMatMulAttrs, FusedInputs>("_FusedMatMul", { accepts: acceptsFused, run: fusedMatMul }),
];
