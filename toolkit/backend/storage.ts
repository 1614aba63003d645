import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { backend_util, DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { BackendError } from "../errors.ts";
import { isHostArray, type HostArrayOfType, type NumericType } from "./arrays.ts";
import { nativeBinding, type NativeBinding } from "./binding.ts";
import { narrow, NarrowData, type FloatStorage, type NarrowStorage } from "./floatStorage.ts";
import { bytesOf, HeldBytes } from "./heldBytes.ts";
import type { KernelStorage } from "./kernelStorage.ts";
import type { NativeMemory } from "./memory.ts";
import { Recycler } from "./recycler.ts";

/** tfjs's key of a tensor's data; the storage holds it weakly, so that data of unreachable tensors is collected. */
type DataId = TensorInfo["dataId"];
/** What tfjs's cpu backend keeps of a tensor. */
type TensorData = ReturnType<MathBackendCPU["data"]["get"]>;

/** Idle memory kept for new tensors: about two steps of activations of a small model, little beside Node itself. */
const RECYCLED_BYTES_LIMIT = 512 * 2 ** 20;

/** Smaller activations stay float32: there is little to save, and scalars are often losses and counts. */
export const SMALLEST_NARROW = 1024;

type NumericArray = HostArrayOfType[NumericType];
/** Values that an op keeps for its backward pass. */
type Kept = Float32Array | NarrowData;

/** The tfjs backend "native" on the host. Tensors are typed arrays in JavaScript's memory, as in tfjs's cpu backend, whose kernels
 *  therefore work on them unchanged; the addon reads and writes the same memory. What it adds is recycling (see Recycler
 *  for the rules that keep an array from being used twice), narrow storage of float32 tensors, and a count of the bytes. */
export class NativeBackend extends MathBackendCPU implements KernelStorage {
  readonly isKernelStorage = true;
  private readonly recycler: Recycler;
  private readonly held = new HeldBytes();
  private activationStorage: FloatStorage = "float32";
  /** what floats() widened for the kernel that runs; undefined while none does */
  private widened: Map<DataId, Float32Array> | undefined;
  private nextId = 0;

  constructor(recycledBytesLimit: number = RECYCLED_BYTES_LIMIT) {
    super();
    this.recycler = new Recycler(recycledBytesLimit);
  }

  get native(): NativeBinding {
    return nativeBinding();
  }

  allocate<T extends NumericType>(dtype: T, size: number): HostArrayOfType[T] {
    return this.recycler.take(dtype, size);
  }

  release(values: NumericArray): void {
    this.recycler.giveBack(values);
  }

  fill(values: NumericArray, value: number): void {
    values.fill(value);
  }

  copyOf<T extends NumericType>(dtype: T, values: HostArrayOfType[T]): HostArrayOfType[T] {
    const copy = this.allocate(dtype, values.length);
    copy.set(values);
    return copy;
  }

  constant(values: Float32Array): Float32Array {
    return values;
  }

  output(shape: number[], dtype: NumericType, values: NumericArray): TensorInfo {
    this.recycler.bind(values);
    return { dataId: this.register(values, dtype), shape, dtype };
  }

  activation(shape: number[], dtype: NumericType, values: NumericArray): TensorInfo {
    if (!(values instanceof Float32Array)) return this.output(shape, dtype, values);
    return this.stored(shape, values, this.storageForActivation(values));
  }

  stored(shape: number[], values: Float32Array, storage: FloatStorage): TensorInfo {
    if (storage === "float32") return this.output(shape, "float32", values);
    const data = this.narrowed(values, storage);
    this.recycler.bind(data.bits);
    return { dataId: this.add(data), shape, dtype: "float32" };
  }

  fromHost<T extends NumericType>(shape: number[], dtype: T, values: HostArrayOfType[T]): TensorInfo {
    return this.output(shape, dtype, values);
  }

  storageOf({ dataId }: TensorInfo): FloatStorage {
    const data = this.data.get(dataId);
    return data instanceof NarrowData ? data.storage : "float32";
  }

  keep(values: Float32Array, isActivation: boolean): Kept {
    const storage = isActivation ? this.storageForActivation(values) : "float32";
    const kept = storage === "float32" ? values : this.narrowed(values, storage);
    this.held.add(kept, bytesOf(arrayIn(kept)));
    return kept;
  }

  takeBack(kept: Kept): Float32Array {
    this.held.remove(kept, bytesOf(arrayIn(kept)));
    if (!(kept instanceof NarrowData)) return kept;
    const values = kept.widen(this.allocate("float32", kept.bits.length));
    this.recycler.giveBack(kept.bits);
    return values;
  }

  /** tfjs lets a tensor hold another array type (a float32 tensor made from an Int32Array); then the result is a converted
   *  copy. So are the values of narrow storage; that copy is valid until the kernel ends. */
  values(info: TensorInfo): NumericArray {
    switch (info.dtype) {
      case "float32": return this.floats(info);
      case "int32": return this.ints(info);
      case "bool": return this.bytes(info);
      default: throw wrongType(info, "float32, int32 or bool");
    }
  }

  floats(info: TensorInfo): Float32Array {
    const values = this.found(info, "float32");
    if (values instanceof NarrowData) return this.widenedFor(info.dataId, values);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  ints(info: TensorInfo): Int32Array {
    const values = this.found(info, "int32");
    return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>);
  }

  bytes(info: TensorInfo): Uint8Array {
    const values = this.found(info, "bool");
    return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>);
  }

  hostValues<T extends NumericType>(info: TensorInfo, dtype: T): HostArrayOfType[T] {
    return this.hostCopy(info, dtype);
  }

  hostCopy<T extends NumericType>(info: TensorInfo, dtype: T): HostArrayOfType[T] {
    if (info.dtype !== dtype) throw wrongType(info, dtype);
    return this.values(info) as HostArrayOfType[T]; // values() gives the array type of info.dtype
  }

  writable(info: TensorInfo): Float32Array | undefined {
    return this.isExclusive(info) ? this.floats(info) : undefined;
  }

  /** True when a kernel may change the tensor's values in place: one tensor holds them, they came from allocate() and
   *  nobody outside has seen them. Never of narrow storage. */
  isExclusive(info: TensorInfo): boolean {
    return this.refCount(info.dataId) === 1 && this.storageOf(info) === "float32" && this.recycler.isBound(this.values(info));
  }

  runKernel<T>(kernel: () => T): T {
    const outer = this.widened;
    const own = this.widened = new Map<DataId, Float32Array>();
    try {
      return kernel();
    } finally {
      for (const values of own.values()) this.recycler.giveBack(values);
      this.widened = outer;
    }
  }

  withActivationStorage<T>(storage: FloatStorage, run: () => T): T {
    const outer = this.activationStorage;
    this.activationStorage = storage;
    try {
      return run();
    } finally {
      this.activationStorage = outer;
    }
  }

  closeScopes(): void {
    this.activationStorage = "float32";
    this.widened = undefined;
  }

  /** Bytes of arrays that wait for new tensors. */
  get recycledBytes(): number {
    return this.recycler.bytes;
  }

  /** Lets go of memory kept for new tensors. */
  releaseRecycled(): void {
    this.recycler.clear();
  }

  resetPeakBytes(): void {
    this.held.resetPeak();
  }

  /** tfjs's own way to make a tensor: from the user's values, or from a cpu kernel's, which may share memory with
   *  another tensor (a contiguous Slice is a subarray). */
  override write(values: backend_util.BackendValues, _shape: number[], dtype: DataType): DataId {
    if (ArrayBuffer.isView(values)) this.recycler.disown(values.buffer);
    return this.register(unshared(values), dtype);
  }

  /** tfjs's way to bring in a tensor of another backend. */
  override move(dataId: DataId, values: backend_util.BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    super.move(dataId, unshared(values), shape, dtype, refCount);
    this.held.add(dataId, bytesOf(values));
  }

  /** A copy of what a kernel made, so that its memory can be used again; the user's own array where there is one. */
  override readSync(dataId: DataId): backend_util.BackendValues {
    const data = this.data.get(dataId);
    if (data instanceof NarrowData) return data.values;
    return isHostArray(data.values) && this.recycler.isBound(data.values) ? data.values.slice() : super.readSync(dataId);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const data = this.data.has(dataId) ? this.data.get(dataId) : undefined;
    const isGone = super.disposeData(dataId, force);
    if (isGone && data !== undefined) {
      const values = arrayIn(data);
      this.held.remove(dataId, bytesOf(values));
      if (isHostArray(values)) this.recycler.unbind(values);
    }
    return isGone;
  }

  override dispose(): void {
    this.recycler.clear();
  }

  override memory(): { unreliable: boolean; reasons: string[] } & NativeMemory {
    return { unreliable: false, reasons: [], storedBytes: this.held.now, peakBytes: this.held.peak, recycledBytes: this.recycler.bytes };
  }

  private storageForActivation({ length }: Float32Array): FloatStorage {
    return length < SMALLEST_NARROW ? "float32" : this.activationStorage;
  }

  /** The values rounded; they are given back. */
  private narrowed(values: Float32Array, storage: NarrowStorage): NarrowData {
    const bits = this.recycler.take("half", values.length);
    narrow(storage, values, bits);
    this.recycler.giveBack(values);
    return new NarrowData(storage, bits);
  }

  private widenedFor(dataId: DataId, data: NarrowData): Float32Array {
    if (this.widened === undefined) return data.values;
    const values = this.widened.get(dataId) ?? data.widen(this.allocate("float32", data.bits.length));
    this.widened.set(dataId, values);
    return values;
  }

  private found(info: TensorInfo, needed: NumericType): ArrayLike<number> | NarrowData {
    const data = this.data.get(info.dataId);
    if (info.dtype === needed && data instanceof NarrowData) return data;
    // What tfjs stores for a numeric dtype is an array of numbers, typed or not.
    if (info.dtype === needed && data.values !== undefined) return data.values as ArrayLike<number>;
    throw wrongType(info, needed);
  }

  private register(values: backend_util.BackendValues, dtype: DataType): DataId {
    return this.add({ values, dtype, refCount: 1 });
  }

  private add(data: TensorData): DataId {
    const dataId = { id: this.nextId++ };
    this.data.set(dataId, data);
    this.held.add(dataId, bytesOf(arrayIn(data)));
    return dataId;
  }
}

/** What takes up the memory: not NarrowData's `values`, which would be made for the question. */
function arrayIn(data: TensorData | Kept): unknown {
  if (data instanceof NarrowData) return data.bits;
  return data instanceof Float32Array ? data : data.values;
}

/** A tensor's values never change: memory that other threads can write is copied. */
function unshared(values: backend_util.BackendValues): backend_util.BackendValues {
  return isHostArray(values) && values.buffer instanceof SharedArrayBuffer ? values.slice() : values;
}

export function wrongType(info: TensorInfo, needed: string): BackendError {
  return new BackendError({
    code: "E_NATIVE_DTYPE", what: `a native kernel got a tensor of dtype ${info.dtype}, shape [${info.shape.join(", ")}]`,
    why: `it needs ${needed}`, fix: `cast the tensor to ${needed} first`,
  });
}
