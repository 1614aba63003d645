import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { backend_util, BackendTimingInfo, DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { isHostArray, type ArrayOfType, type Bytes, type DeviceArray, type Floats, type HostArrayOfType, type Ints, type NumericArray, type NumericType } from "./arrays.ts";
import type { CudaBinding } from "./binding.ts";
import { DeviceData, narrowed, typedArray, widened, withWhole, type DeviceValues } from "./deviceData.ts";
import type { FloatStorage } from "./floatStorage.ts";
import { HeldBytes } from "./heldBytes.ts";
import type { KernelStorage } from "./kernelStorage.ts";
import type { NativeMemory } from "./memory.ts";
import { SMALLEST_NARROW, wrongType } from "./storage.ts";

/** tfjs's key of a tensor's data; the storage holds it weakly, so that data of unreachable tensors is collected. */
type DataId = TensorInfo["dataId"];

/** Values that an op keeps for its backward pass. */
type Kept = DeviceValues;

/** The tfjs backend "native" on a device. Kernels are launched and nothing waits for them, until somebody reads values: data()
 *  waits beside JavaScript's thread, dataSync() and tfjs's cpu kernels, which serve what has no kernel here, wait in it. */
export class DeviceBackend extends MathBackendCPU implements KernelStorage {
  readonly isKernelStorage = true;
  readonly native: CudaBinding;
  /** bytes on the device, of tensors and of what is kept */
  private readonly held = new HeldBytes();
  private readonly constants = new WeakMap<Float32Array, DeviceArray<"float32">>();
  private activationStorage: FloatStorage = "float32";
  /** what floats() widened for the kernel that runs; undefined while none does */
  private widened: Map<DataId, DeviceArray<"float32">> | undefined;
  private nextId = 0;

  /** @param native of the CUDA addon, its device open */
  constructor(native: CudaBinding) {
    super();
    this.native = native;
  }

  allocate<T extends NumericType>(dtype: T, size: number): ArrayOfType[T] {
    const array: DeviceArray = this.native.allocateArray(dtype, size);
    return array as ArrayOfType[T]; // of dtype
  }

  release(values: NumericArray): void {
    this.native.freeArray(onDevice(values));
  }

  fill(values: NumericArray, value: number): void {
    this.native.fillArray(values.length, value, onDevice(values));
  }

  copyOf<T extends NumericType>(dtype: T, values: ArrayOfType[T]): ArrayOfType[T] {
    const copy = this.allocate(dtype, values.length);
    this.native.copyArray(values.length, onDevice(values), onDevice(copy));
    return copy;
  }

  constant(values: Float32Array): Floats {
    const known = this.constants.get(values);
    if (known) return known;
    const array = this.native.allocateArray("float32", values.length);
    this.native.upload(values, array);
    this.constants.set(values, array);
    return array;
  }

  output(shape: number[], dtype: NumericType, values: NumericArray): TensorInfo {
    return { dataId: this.register(dtype, { array: onDevice(values), storage: "float32" }), shape, dtype };
  }

  activation(shape: number[], dtype: NumericType, values: NumericArray): TensorInfo {
    return dtype === "float32" ? this.stored(shape, values as Floats, this.storageForActivation(values)) : this.output(shape, dtype, values);
  }

  stored(shape: number[], values: Floats, storage: FloatStorage): TensorInfo {
    return { dataId: this.register("float32", this.inStorage(values, storage)), shape, dtype: "float32" };
  }

  fromHost<T extends NumericType>(shape: number[], dtype: T, values: HostArrayOfType[T]): TensorInfo {
    return { dataId: this.write(values, shape, dtype), shape, dtype };
  }

  storageOf({ dataId }: TensorInfo): FloatStorage {
    return this.dataOf(dataId).device?.storage ?? "float32";
  }

  keep(values: Floats, isActivation: boolean): Kept {
    const kept = this.inStorage(values, isActivation ? this.storageForActivation(values) : "float32");
    this.held.add(kept, kept.array.byteLength);
    return kept;
  }

  takeBack(kept: Kept): Floats {
    const { array, storage } = kept;
    this.held.remove(kept, array.byteLength);
    if (storage === "float32") return array as Floats; // keep() got floats
    const values = widened(this.native, storage, array);
    this.native.freeArray(array);
    return values;
  }

  values(info: TensorInfo): NumericArray {
    switch (info.dtype) {
      case "float32": return this.floats(info);
      case "int32": return this.ints(info);
      case "bool": return this.bytes(info);
      default: throw wrongType(info, "float32, int32 or bool");
    }
  }

  floats(info: TensorInfo): Floats {
    const { array, storage } = this.found(info, "float32");
    if (storage === "float32") return array as Floats;
    const values = this.widened?.get(info.dataId) ?? widened(this.native, storage, array);
    this.widened?.set(info.dataId, values);
    return values;
  }

  ints(info: TensorInfo): Ints {
    return this.found(info, "int32").array as Ints;
  }

  bytes(info: TensorInfo): Bytes {
    return this.found(info, "bool").array as Bytes;
  }

  hostValues<T extends NumericType>(info: TensorInfo, dtype: T): HostArrayOfType[T] | undefined {
    const { host } = this.dataOf(info.dataId);
    return host === undefined || info.dtype !== dtype ? undefined : typedArray(dtype, host);
  }

  hostCopy<T extends NumericType>(info: TensorInfo, dtype: T): HostArrayOfType[T] {
    if (info.dtype !== dtype) throw wrongType(info, dtype);
    return typedArray(dtype, this.dataOf(info.dataId).values);
  }

  writable(info: TensorInfo): Floats | undefined {
    const data = this.dataOf(info.dataId);
    if (data.refCount !== 1 || this.storageOf(info) !== "float32") return undefined;
    const values = this.floats(info);
    data.host = undefined; // from now on the device knows better
    return values;
  }

  runKernel<T>(kernel: () => T): T {
    const outer = this.widened;
    const own = this.widened = new Map<DataId, DeviceArray<"float32">>();
    try {
      return kernel();
    } finally {
      for (const values of own.values()) this.native.freeArray(values);
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

  resetPeakBytes(): void {
    this.held.resetPeak();
    this.native.resetPeak();
  }

  /** Memory kept for new arrays goes back to the device. */
  releaseRecycled(): void {
    this.native.releaseCached();
  }

  override write(values: backend_util.BackendValues, _shape: number[], dtype: DataType): DataId {
    const dataId = { id: this.nextId++ };
    this.data.set(dataId, new DeviceData(this.native, dtype, { host: unshared(values) }));
    return dataId;
  }

  override move(dataId: DataId, values: backend_util.BackendValues, _shape: number[], dtype: DataType, refCount: number): void {
    const data = new DeviceData(this.native, dtype, { host: unshared(values) });
    data.refCount = refCount;
    this.data.set(dataId, data);
  }

  override async read(dataId: DataId): Promise<backend_util.BackendValues> {
    const { host, device } = this.dataOf(dataId);
    if (host !== undefined || device === undefined) return this.readSync(dataId);
    return await withWhole(this.native, device, async (from, to) => {
      await this.native.downloadAsync(from, to);
      return to;
    });
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const data = this.data.has(dataId) ? this.dataOf(dataId) : undefined;
    const isGone = super.disposeData(dataId, force);
    if (isGone && data?.device) {
      this.held.remove(dataId, data.device.array.byteLength);
      this.native.freeArray(data.device.array);
    }
    return isGone;
  }

  override time(run: () => void): Promise<BackendTimingInfo> {
    this.native.synchronize();
    const started = performance.now();
    run();
    this.native.synchronize();
    return Promise.resolve({ kernelMs: performance.now() - started });
  }

  override dispose(): void {
    this.native.releaseCached();
  }

  override memory(): { unreliable: boolean; reasons: string[] } & NativeMemory {
    return { unreliable: false, reasons: [], storedBytes: this.held.now, peakBytes: this.held.peak, recycledBytes: this.native.deviceMemory().cachedBytes };
  }

  private storageForActivation({ length }: NumericArray): FloatStorage {
    return length < SMALLEST_NARROW ? "float32" : this.activationStorage;
  }

  /** Values from allocate() in a storage; where that rounds them, they are given back. */
  private inStorage(values: Floats, storage: FloatStorage): DeviceValues {
    if (storage === "float32") return { array: onDevice(values), storage };
    const bits = narrowed(this.native, storage, values);
    this.release(values);
    return { array: bits, storage };
  }

  private found(info: TensorInfo, needed: NumericType): DeviceValues {
    if (info.dtype !== needed) throw wrongType(info, needed);
    const data = this.dataOf(info.dataId);
    const isNew = data.device === undefined;
    const values = data.onDevice(needed);
    if (isNew) this.held.add(info.dataId, values.array.byteLength);
    return values;
  }

  /** All data of this backend is made here. */
  private dataOf(dataId: DataId): DeviceData {
    return this.data.get(dataId) as DeviceData;
  }

  private register(dtype: DataType, device: DeviceValues): DataId {
    const dataId = { id: this.nextId++ };
    this.data.set(dataId, new DeviceData(this.native, dtype, { device }));
    this.held.add(dataId, device.array.byteLength);
    return dataId;
  }
}

/** An array that allocate() made. */
function onDevice(values: NumericArray): DeviceArray {
  return values as DeviceArray;
}

/** A tensor's values never change: memory that other threads can write is copied. */
function unshared(values: backend_util.BackendValues): backend_util.BackendValues {
  return isHostArray(values) && values.buffer instanceof SharedArrayBuffer ? values.slice() : values;
}
