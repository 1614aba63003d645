import * as tf from "@tensorflow/tfjs-core";

const cpuCalls = new Map();
const nativeCalls = new Map();

/** Counts calls of tfjs's cpu kernels from now on; "native" hands the calls that it doesn't compute to them. */
export function countCpuCalls() {
  count("cpu", tf.getKernelsForBackend("cpu"), cpuCalls);
}

/** Counts calls of the kernels that are native's own; `moeLabKernelCalls()` tells who computed them. */
export function countNativeCalls() {
  const own = tf.getKernelsForBackend("native").filter(({ kernelName, kernelFunc }) => tf.getKernel(kernelName, "cpu")?.kernelFunc !== kernelFunc);
  count("native", own, nativeCalls);
  globalThis.moeLabKernelCalls = () => [...nativeCalls].map(([name, calls]) => {
    const cpu = cpuCalls.get(name) ?? 0;
    return { name, native: calls - cpu, cpu };
  });
}

function count(backendName, configs, calls) {
  for (const config of configs) {
    const { kernelName, kernelFunc } = config;
    calls.set(kernelName, 0);
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      ...config,
      kernelFunc: (call) => {
        calls.set(kernelName, calls.get(kernelName) + 1);
        return kernelFunc(call);
      },
    });
  }
}
