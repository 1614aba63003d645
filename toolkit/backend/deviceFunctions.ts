import type { ArrayType, DeviceArray, HostArray } from "./arrays.ts";

/** Why devices can't be used; the parts of a BackendError. */
export interface DeviceProblem {
  /** E_CUDA_DRIVER: absent or too old; E_CUDA_ARCHITECTURE: no code for this GPU; E_CUDA_LOST; E_CUDA */
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

export interface DeviceInfo {
  readonly name: string;
  /** compute capability, e.g. "9.0" */
  readonly capability: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly multiprocessors: number;
  /** as CUDA counts: 1000 · major + 10 · minor */
  readonly driverVersion: number;
  readonly runtimeVersion: number;
}

/** What was done since the process began. */
export interface DeviceCounters {
  readonly launches: number;
  /** times that JavaScript's thread waited for the device */
  readonly synchronizations: number;
  readonly uploads: number;
  readonly downloads: number;
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
}

/** What NVIDIA's management library says; NaN for what it doesn't know. */
export interface DeviceUtilisation {
  /** share of the last sampling period in which a kernel ran, 0 to 100 */
  readonly gpuPercent: number;
  /** the same for moving memory */
  readonly memoryPercent: number;
  /** of all processes */
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly powerWatts: number;
  readonly temperatureCelsius: number;
}

/** Functions of the CUDA addon for memory of a device, beside the kernels, which are named as on the host. Kernels are
 *  launched and return at once; what they do happens in the order of the calls. */
export interface DeviceFunctions {
  /** Devices that this process may use (CUDA_VISIBLE_DEVICES); with 0, deviceProblem says why. */
  deviceCount(): number;
  deviceProblem(): DeviceProblem | null;
  deviceInfo(index: number): DeviceInfo;
  /** Once a process. */
  openDevice(index: number): void;
  /** Contents are undefined.
   *  @throws BackendError E_CUDA_MEMORY */
  allocateArray<T extends ArrayType>(type: T, length: number): DeviceArray<T>;
  /** Gives the memory back once the kernels launched before are done; later use is refused. The garbage collector does it for
   *  arrays that nobody reaches any more. */
  freeArray(array: DeviceArray): void;
  /** Asynchronous; `from` may change once it returns. */
  upload(from: HostArray, to: DeviceArray): void;
  /** Waits for the device. */
  download(from: DeviceArray, to: HostArray): void;
  /** Waits beside JavaScript's thread. */
  downloadAsync(from: DeviceArray, to: HostArray): Promise<void>;
  copyArray(count: number, from: DeviceArray, to: DeviceArray): void;
  fillArray(count: number, value: number, array: DeviceArray): void;
  synchronize(): void;
  deviceCounters(): DeviceCounters;
  deviceMemory(): { readonly allocatedBytes: number; readonly cachedBytes: number; readonly peakBytes: number };
  /** Of the open device, now; null where NVIDIA's management library has no answer. */
  deviceUtilisation(): DeviceUtilisation | null;
  /** Lets go of memory kept for new arrays. */
  releaseCached(): void;
  resetPeak(): void;
}
