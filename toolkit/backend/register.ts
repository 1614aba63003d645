import "#tfjs-gradients";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { bindingProblem } from "./binding.ts";
import { createStorage } from "./device.ts";
import { binaryKernels } from "./kernels/binary.ts";
import { blockKernels } from "./kernels/blocks.ts";
import { convolutionKernels } from "./kernels/convolution.ts";
import { einsumKernels } from "./kernels/einsum.ts";
import { fillingKernels } from "./kernels/filling.ts";
import { fourierKernels } from "./kernels/fourier.ts";
import { indexingKernels } from "./kernels/indexing.ts";
import { layoutKernels } from "./kernels/layout.ts";
import { matmulKernels } from "./kernels/matmul.ts";
import { normalizationKernels } from "./kernels/normalization.ts";
import { poolingKernels } from "./kernels/pooling.ts";
import { reductionKernels } from "./kernels/reduction.ts";
import { unaryKernels } from "./kernels/unary.ts";
import { uniqueKernels } from "./kernels/unique.ts";
import { NATIVE } from "./nativeKernel.ts";
import { repairAfterStoppedCells } from "./stoppedCells.ts";
import { registerTensorKernels } from "./tensorKernel.ts";

/** Above every backend that runs in Node (tfjs-node has 3), so that tfjs picks it by itself. */
const PRIORITY = 10;

registerTensorKernels([matmulKernels, einsumKernels, binaryKernels, unaryKernels, reductionKernels, layoutKernels, indexingKernels, fillingKernels,
  blockKernels, convolutionKernels, poolingKernels, normalizationKernels, uniqueKernels, fourierKernels]);
offerNativeBackend();
silenceCpuBackend();
repairAfterStoppedCells();

/** tfjs's cpu backend would advertise another package at its first tensor; it has no other switch than this field. */
function silenceCpuBackend(): void {
  Reflect.set(tf.findBackend("cpu"), "firstUse", false);
}

/** Registers the backend "native" with tfjs if the addon can be loaded; does nothing the second time.
 *  @returns whether the backend is there */
export function offerNativeBackend(): boolean {
  if (tf.findBackendFactory(NATIVE) !== null) return true;
  if (bindingProblem() !== undefined) return false;
  return tf.registerBackend(NATIVE, createStorage, PRIORITY);
}
