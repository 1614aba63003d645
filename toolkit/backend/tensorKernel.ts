import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, registerNativeKernel, type NativeKernel } from "./nativeKernel.ts";

/** One of tfjs's own kernels. What `accepts` refuses (dtypes we don't compute) goes to tfjs's cpu kernel. */
export interface TensorKernel<Attrs = unknown, Inputs = Record<string, tf.TensorInfo>> {
  accepts(inputs: Inputs, attrs: Attrs): boolean;
  run: NativeKernel<Attrs, Inputs>;
}

/** A kernel by its tfjs name, ready to register. */
export interface NamedKernel {
  readonly name: string;
  register(): void;
}

/** Names a kernel; its attributes and inputs keep their types up to here. */
export function tensorKernel<Attrs, Inputs = Record<string, tf.TensorInfo>>(name: string, kernel: TensorKernel<Attrs, Inputs>): NamedKernel {
  return {
    name,
    register: () => {
      const { kernelFunc: cpuKernel } = tf.getKernel(name, "cpu");
      registerNativeKernel<Attrs, Inputs>(name, (call) => {
        if (kernel.accepts(call.inputs, call.attrs)) return kernel.run(call);
        return cpuKernel({
          inputs: call.inputs as tf.NamedTensorInfoMap, attrs: call.attrs as tf.NamedAttrMap, backend: call.backend,
        });
      });
    },
  };
}

/** Registers these kernels for "native", and tfjs's cpu kernel for every other name: they share the same memory. */
export function registerTensorKernels(groups: readonly (readonly NamedKernel[])[]): void {
  const kernels = groups.flat();
  for (const kernel of kernels) kernel.register();
  const own = new Set(kernels.map(({ name }) => name));
  for (const config of tf.getKernelsForBackend("cpu"))
    if (!own.has(config.kernelName)) tf.registerKernel({ ...config, backendName: NATIVE });
}
