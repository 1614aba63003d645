import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayOfType, Bytes, Floats, HostArrayOfType, Ints, NumericArray, NumericType } from "./arrays.ts";
import type { NativeBinding } from "./binding.ts";
import type { FloatStorage } from "./floatStorage.ts";
import type { NativeMemory } from "./memory.ts";

/** Values that an op keeps for its backward pass: only takeBack() reads them. */
export type KeptValues = object;

/** What kernels ask of the backend: tensors' values as arrays, new arrays, and new tensors made of them. NativeBackend keeps
 *  them in JavaScript's memory, DeviceBackend on a device; a kernel that touches no value in JavaScript works on both. */
export interface KernelStorage extends MathBackendCPU {
  /** The functions that compute on these arrays. */
  readonly native: NativeBinding;

  /** An array for a kernel's output or for temporary values; its contents are undefined. Give it to output() or release(). */
  allocate<T extends NumericType>(dtype: T, size: number): ArrayOfType[T];
  /** Gives back values from allocate() that became no tensor. */
  release(values: NumericArray): void;
  /** Sets all elements of an array from allocate(). */
  fill(values: NumericArray, value: number): void;
  /** A new array with the same values, as from allocate(). */
  copyOf<T extends NumericType>(dtype: T, values: ArrayOfType[T]): ArrayOfType[T];
  /** Values that were computed in JavaScript, where kernels read them. What is asked for again and again, as a table of angles,
   *  is brought to a device once; the values must not change then. */
  constant(values: Float32Array): Floats;

  /** A new tensor that holds `values`, usually from allocate(). */
  output(shape: number[], dtype: NumericType, values: NumericArray): tf.TensorInfo;
  /** As output(), for what may be large and can do without some of float32's bits: in a scope of withActivationStorage
   *  float32 values are kept in its storage, and `values` are given back. */
  activation(shape: number[], dtype: NumericType, values: NumericArray): tf.TensorInfo;
  /** A new float32 tensor that keeps values from allocate() in the given storage, whatever its size. */
  stored(shape: number[], values: Floats, storage: FloatStorage): tf.TensorInfo;
  /** A new tensor of values that were computed in JavaScript. */
  fromHost<T extends NumericType>(shape: number[], dtype: T, values: HostArrayOfType[T]): tf.TensorInfo;
  /** How the tensor's values are kept. */
  storageOf(info: tf.TensorInfo): FloatStorage;

  /** Takes values from allocate() out of use until takeBack(), and counts them until then or until the result is unreachable.
   *  Those of an activation are kept in the storage that is in force. */
  keep(values: Floats, isActivation: boolean): KeptValues;
  /** Values given to keep(), once; the caller releases them. */
  takeBack(kept: KeptValues): Floats;

  /** The tensor's values in the array type of its dtype: its own array, not a copy, for kernels only.
   *  @throws BackendError E_NATIVE_DTYPE for string and complex64 tensors */
  values(info: tf.TensorInfo): NumericArray;
  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is float32 */
  floats(info: tf.TensorInfo): Floats;
  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is int32 */
  ints(info: tf.TensorInfo): Ints;
  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is bool */
  bytes(info: tf.TensorInfo): Bytes;
  /** The values in JavaScript's memory if they are there: always on the host; on a device those that came from the host.
   *  For checks that are worth no waiting. */
  hostValues<T extends NumericType>(info: tf.TensorInfo, dtype: T): HostArrayOfType[T] | undefined;
  /** The values in JavaScript's memory, for kernels that compute there; waits for a device that has them. */
  hostCopy<T extends NumericType>(info: tf.TensorInfo, dtype: T): HostArrayOfType[T];
  /** The tensor's own float32 values for a kernel that changes them in place; undefined where somebody else holds or has seen
   *  them, and for narrow storage. */
  writable(info: tf.TensorInfo): Floats | undefined;

  /** Runs a kernel; the copies that floats() made for it are used again when it has ended. */
  runKernel<T>(kernel: () => T): T;
  /** Runs a function with another storage for activations. */
  withActivationStorage<T>(storage: FloatStorage, run: () => T): T;
  /** Closes the scopes that a terminated program left open: it runs no `finally`. */
  closeScopes(): void;
  /** Starts memory().peakBytes anew from what is held now. */
  resetPeakBytes(): void;
  memory(): { unreliable: boolean; reasons: string[] } & NativeMemory;
}

/** True for the storage of the backend "native", on whichever device. */
export function isKernelStorage(backend: unknown): backend is KernelStorage {
  return typeof backend === "object" && backend !== null && "isKernelStorage" in backend;
}

/** The storage of tfjs's current backend; undefined where that is another one's. */
export function currentStorage(): KernelStorage | undefined {
  const backend: unknown = tf.backend();
  return isKernelStorage(backend) ? backend : undefined;
}
