import * as tf from "@tensorflow/tfjs-core";
import { hostArrayOfType, type ArrayType, type DeviceArray, type HostArray } from "../../toolkit/backend/arrays.ts";
import { nativeBinding, type CudaBinding } from "../../toolkit/backend/binding.ts";
import type { DeviceCounters, DeviceFunctions } from "../../toolkit/backend/deviceFunctions.ts";
import { DeviceBackend } from "../../toolkit/backend/deviceStorage.ts";
import { signatures } from "../native/fuzz/signatures.ts";

/** Memory of a device that is a typed array. */
class FakeArray<T extends ArrayType> implements DeviceArray<T> {
  readonly type: T;
  memory: HostArray | undefined;

  constructor(type: T, length: number) {
    this.type = type;
    this.memory = new hostArrayOfType[type](length);
    // What a kernel doesn't write is no number.
    if (this.memory instanceof Float32Array) this.memory.fill(Number.NaN);
    this.length = length;
    this.byteLength = this.memory.byteLength;
  }

  readonly length: number;
  readonly byteLength: number;
}

function memoryOf(array: unknown, use: string): HostArray {
  if (!(array instanceof FakeArray)) throw new Error(`${use} got ${Object.prototype.toString.call(array)} in place of an array of the device`);
  if (array.memory === undefined) throw new Error(`${use} got an array that was freed`);
  return array.memory;
}

/** Settings that are typed arrays on every device: see signatures.ts, and the decays of AdamW. */
const hostKinds = new Set(["layout", "window"]);
const isHostArgument = (name: string, kind: string, i: number): boolean => hostKinds.has(kind) || (name === "adamwUpdate" && i === 10);

/** A device whose kernels are the host's, on memory apart: it refuses arrays of the host where a kernel reads the device's, arrays
 *  that were freed, and counts what a real one would wait for. */
export function fakeDevice(): CudaBinding & { readonly counters: DeviceCounters; readonly numArrays: number } {
  const host = nativeBinding() as unknown as Record<string, (...args: unknown[]) => unknown>;
  const counts = { launches: 0, synchronizations: 0, uploads: 0, downloads: 0, uploadedBytes: 0, downloadedBytes: 0 };
  let numArrays = 0;
  const launched = (name: string) => (...args: unknown[]): unknown => {
    counts.launches += 1;
    const kinds = (signatures[name] ?? "").split(" ");
    return host[name](...args.map((arg, i) => {
      if (arg === null || arg === undefined || typeof arg !== "object" || isHostArgument(name, kinds[i], i)) return arg;
      return Array.isArray(arg) ? arg.map((array: unknown) => memoryOf(array, name)) : memoryOf(arg, name);
    }));
  };
  const own: DeviceFunctions = {
    deviceCount: () => 1,
    deviceProblem: () => null,
    deviceInfo: () => ({ name: "fake", capability: "0.0", totalBytes: 2 ** 33, freeBytes: 2 ** 33, multiprocessors: 1, driverVersion: 0, runtimeVersion: 0 }),
    openDevice: () => undefined,
    allocateArray: (type, length) => { numArrays += 1; return new FakeArray(type, length); },
    freeArray: (array) => { memoryOf(array, "freeArray"); numArrays -= 1; (array as FakeArray<ArrayType>).memory = undefined; },
    upload: (from, to) => { counts.uploads += 1; counts.uploadedBytes += from.byteLength; memoryOf(to, "upload").set(from); },
    download: (from, to) => {
      counts.downloads += 1; counts.synchronizations += 1; counts.downloadedBytes += to.byteLength;
      to.set(memoryOf(from, "download").subarray(0, to.length));
    },
    downloadAsync: async (from, to) => {
      counts.downloads += 1; counts.downloadedBytes += to.byteLength;
      const copy = memoryOf(from, "downloadAsync").slice(0, to.length);
      await Promise.resolve();
      to.set(copy);
    },
    copyArray: (count, from, to) => { memoryOf(to, "copyArray").set(memoryOf(from, "copyArray").subarray(0, count)); },
    fillArray: (count, value, array) => { memoryOf(array, "fillArray").fill(value, 0, count); },
    synchronize: () => { counts.synchronizations += 1; },
    deviceCounters: () => ({ ...counts }),
    deviceMemory: () => ({ allocatedBytes: 0, cachedBytes: 0, peakBytes: 0 }),
    releaseCached: () => undefined,
    resetPeak: () => undefined,
    deviceUtilisation: () => null,
  };
  const names = Object.keys(signatures);
  const kernels = Object.fromEntries(names.map((name) => [name, launched(name)]));
  const device = { ...kernels, ...own, get counters() { return { ...counts }; }, get numArrays() { return numArrays; } };
  return device as unknown as ReturnType<typeof fakeDevice>;
}

/** Makes the backend "native" compute on a device. */
export async function useDevice(device: CudaBinding): Promise<DeviceBackend> {
  const backend = new DeviceBackend(device);
  if (tf.findBackendFactory("native") !== null) tf.removeBackend("native");
  tf.registerBackend("native", () => backend, 10);
  await tf.setBackend("native");
  return backend;
}
