import * as tf from "@tensorflow/tfjs-core";
import type { NativeBinding } from "./binding.ts";
import type { KernelStorage } from "./kernelStorage.ts";

export const NATIVE = "native";

/** What a native kernel works with. Inputs is keyed by name, or an array for kernels such as Concat. */
export interface NativeCall<Attrs = unknown, Inputs = Record<string, tf.TensorInfo>> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: KernelStorage;
  readonly native: NativeBinding;
}

export type NativeKernel<Attrs = unknown, Inputs = Record<string, tf.TensorInfo>> =
  (call: NativeCall<Attrs, Inputs>) => tf.TensorInfo | tf.TensorInfo[];

/** Registers a kernel of the backend "native". May be called before the backend or its addon is there.
 *  @param name tfjs's kernel name, or the name of an op of ours, e.g. "RmsNorm" */
export function registerNativeKernel<Attrs, Inputs = Record<string, tf.TensorInfo>>(name: string, kernel: NativeKernel<Attrs, Inputs>): void {
  tf.registerKernel({
    kernelName: name,
    backendName: NATIVE,
    // tfjs hands over inputs, attributes and backend untyped: this is where they get their types.
    kernelFunc: (params) => {
      const [inputs, attrs, backend] = [params.inputs as Inputs, params.attrs as Attrs, params.backend as KernelStorage];
      return backend.runKernel(() => kernel({ inputs, attrs, backend, native: backend.native }));
    },
  });
}

/** True when tfjs's current backend is "native" and has the kernel, so that an op may run it. */
export function hasNativeKernel(name: string): boolean {
  return tf.getBackend() === NATIVE && tf.getKernel(name, NATIVE) !== undefined;
}
