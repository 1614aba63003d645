import type { FusedBatchNormAttrs, TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { broadcastLayout } from "./broadcast.ts";
import { areFloat32, sizeOf } from "./shape.ts";

interface Operands {
  readonly x: TensorInfo;
  readonly mean: TensorInfo;
  readonly variance: TensorInfo;
  readonly scale?: TensorInfo;
  readonly offset?: TensorInfo;
}

/** offset + (x − mean) · scale / √(variance + ε), the last four one for each channel [C] */
function batchNorm({ inputs: { x, mean, variance, scale, offset }, attrs, backend, native }: NativeCall<FusedBatchNormAttrs, Operands>): TensorInfo {
  const { size, rank, layout } = broadcastLayout(x.shape, mean.shape);
  const C = mean.shape[0];
  const factors = backend.allocate("float32", C);
  const perChannel = broadcastLayout([C], [C]);
  backend.fill(factors, attrs.varianceEpsilon);
  native.add(1, perChannel.layout, backend.floats(variance), factors, factors);
  native.rsqrt(C, 0, 0, factors, factors);
  if (scale !== undefined) native.multiply(1, perChannel.layout, factors, backend.floats(scale), factors);
  const out = backend.allocate("float32", size);
  native.subtract(rank, layout, backend.floats(x), backend.floats(mean), out);
  native.multiply(rank, layout, out, factors, out);
  if (offset !== undefined) native.add(rank, layout, out, backend.floats(offset), out);
  backend.release(factors);
  return backend.activation(x.shape, "float32", out);
}

/** Statistics for each channel; others are left to tfjs. */
function accepts({ x, mean, variance, scale, offset }: Operands): boolean {
  const ofChannels = [mean, variance, scale, offset].filter((tensor) => tensor !== undefined);
  const channels = x.shape.at(-1);
  return areFloat32(x, ...ofChannels) && sizeOf(x.shape) > 0 && ofChannels.every(({ shape }) => shape.length === 1 && shape[0] === channels);
}

export const normalizationKernels: readonly NamedKernel[] = [
  tensorKernel<FusedBatchNormAttrs, Operands>("FusedBatchNorm", { accepts, run: batchNorm }),
];
