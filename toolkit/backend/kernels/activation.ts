import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Floats } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import type { UnaryName } from "../tensorFunctions.ts";
import { broadcastLayout } from "./broadcast.ts";
import { areFloat32 } from "./shape.ts";

/** What tfjs's fused kernels add to a product. */
export interface Activated {
  readonly bias?: TensorInfo;
  readonly preluActivationWeights?: TensorInfo;
}

interface ActivationAttrs {
  readonly activation: string;
  readonly leakyreluAlpha?: number;
}

const unaryNames: Readonly<Record<string, UnaryName>> = { relu: "relu", relu6: "relu6", elu: "elu", sigmoid: "sigmoid", leakyrelu: "leakyRelu" };

/** True for an activation that is native, when bias and weights spread over the product's shape and not it over them. */
export function canActivate({ bias, preluActivationWeights }: Activated, { activation }: ActivationAttrs, shape: readonly number[]): boolean {
  const extras = [bias, preluActivationWeights].filter((extra) => extra !== undefined);
  const isKnown = activation === "linear" || (activation === "prelu" && preluActivationWeights !== undefined) || activation in unaryNames;
  return isKnown && areFloat32(...extras) && extras.every((extra) => spreadsOver(extra.shape, shape));
}

function spreadsOver(small: readonly number[], large: readonly number[]): boolean {
  const missing = large.length - small.length;
  return missing >= 0 && small.every((length, d) => length === 1 || length === large[missing + d]);
}

/** Adds the bias and applies the activation to `values`, in place. */
export function activate(values: Floats, shape: number[], { bias, preluActivationWeights }: Activated, { activation, leakyreluAlpha }: ActivationAttrs,
  { backend, native }: Pick<NativeCall, "backend" | "native">): void {
  if (bias !== undefined) {
    const { rank, layout } = broadcastLayout(shape, bias.shape);
    native.add(rank, layout, values, backend.floats(bias), values);
  }
  if (activation === "prelu" && preluActivationWeights !== undefined) {
    const { rank, layout } = broadcastLayout(shape, preluActivationWeights.shape);
    native.prelu(rank, layout, values, backend.floats(preluActivationWeights), values);
  } else if (activation in unaryNames) {
    native[unaryNames[activation]](values.length, leakyreluAlpha ?? 0, 0, values, values);
  }
}
