import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { backend_util, DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { BackendError } from "../errors.ts";
import { isNumericArray, Recycler, type ArrayOfType, type NumericArray, type NumericType } from "./recycler.ts";

/** tfjs's key of a tensor's data; the storage holds it weakly, so that data of unreachable tensors is collected. */
type DataId = TensorInfo["dataId"];

/** Idle memory kept for new tensors: about two steps of activations of a small model, little beside Node itself. */
const RECYCLED_BYTES_LIMIT = 512 * 2 ** 20;

/** The tfjs backend "native". Tensors are typed arrays in JavaScript's memory, as in tfjs's cpu backend, whose kernels
 *  therefore work on them unchanged; the addon reads and writes the same memory. What it adds is recycling: see
 *  Recycler for the rules that keep an array from being used twice. */
export class NativeBackend extends MathBackendCPU {
  private readonly recycler: Recycler;
  private nextId = 0;

  constructor(recycledBytesLimit: number = RECYCLED_BYTES_LIMIT) {
    super();
    this.recycler = new Recycler(recycledBytesLimit);
  }

  /** A typed array for a kernel's output or for temporary values; its contents are undefined.
   *  Give it to output() or release(). */
  allocate<T extends NumericType>(dtype: T, size: number): ArrayOfType[T] {
    return this.recycler.take(dtype, size);
  }

  /** A new tensor that holds `values`, usually from allocate(). */
  output(shape: number[], dtype: NumericType, values: NumericArray): TensorInfo {
    this.recycler.bind(values);
    return { dataId: this.register(values, dtype), shape, dtype };
  }

  /** Gives back values from allocate() that became no tensor. */
  release(values: NumericArray): void {
    this.recycler.giveBack(values);
  }

  /** The tensor's values in the array type of its dtype: its own array, not a copy, for kernels only. tfjs lets a
   *  tensor hold another array type (a float32 tensor made from an Int32Array); then it is a converted copy.
   *  @throws BackendError E_NATIVE_DTYPE for string and complex64 tensors */
  values(info: TensorInfo): NumericArray {
    switch (info.dtype) {
      case "float32": return this.floats(info);
      case "int32": return this.ints(info);
      case "bool": return this.bytes(info);
      default: throw wrongType(info, "float32, int32 or bool");
    }
  }

  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is float32 */
  floats(info: TensorInfo): Float32Array {
    const values = this.stored(info, "float32");
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is int32 */
  ints(info: TensorInfo): Int32Array {
    const values = this.stored(info, "int32");
    return values instanceof Int32Array ? values : Int32Array.from(values);
  }

  /** @throws BackendError E_NATIVE_DTYPE unless the tensor is bool */
  bytes(info: TensorInfo): Uint8Array {
    const values = this.stored(info, "bool");
    return values instanceof Uint8Array ? values : Uint8Array.from(values);
  }

  /** True when a kernel may change the tensor's values in place: one tensor holds them, they came from allocate() and
   *  nobody outside has seen them. */
  isExclusive(info: TensorInfo): boolean {
    return this.refCount(info.dataId) === 1 && this.recycler.isBound(this.values(info));
  }

  /** Bytes of arrays that wait for new tensors. */
  get recycledBytes(): number {
    return this.recycler.bytes;
  }

  /** Lets go of memory kept for new tensors. */
  releaseRecycled(): void {
    this.recycler.clear();
  }

  /** tfjs's own way to make a tensor: from the user's values, or from a cpu kernel's, which may share memory with
   *  another tensor (a contiguous Slice is a subarray). */
  override write(values: backend_util.BackendValues, _shape: number[], dtype: DataType): DataId {
    if (ArrayBuffer.isView(values)) this.recycler.disown(values.buffer);
    return this.register(values, dtype);
  }

  /** Hands out the tensor's own array, as tfjs's cpu backend does. */
  override readSync(dataId: DataId): backend_util.BackendValues {
    const { values } = this.data.get(dataId);
    if (ArrayBuffer.isView(values)) this.recycler.disown(values.buffer);
    return super.readSync(dataId);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const data = this.data.has(dataId) ? this.data.get(dataId) : undefined;
    const isGone = super.disposeData(dataId, force);
    if (isGone && isNumericArray(data?.values)) this.recycler.unbind(data.values);
    return isGone;
  }

  override dispose(): void {
    this.recycler.clear();
  }

  override memory(): { unreliable: boolean; reasons: string[]; recycledBytes: number } {
    return { unreliable: false, reasons: [], recycledBytes: this.recycler.bytes };
  }

  private stored(info: TensorInfo, needed: NumericType): ArrayLike<number> {
    const { values } = this.data.get(info.dataId);
    // What tfjs stores for a numeric dtype is an array of numbers, typed or not.
    if (info.dtype === needed && values !== undefined) return values as ArrayLike<number>;
    throw wrongType(info, needed);
  }

  private register(values: backend_util.BackendValues, dtype: DataType): DataId {
    const dataId = { id: this.nextId++ };
    this.data.set(dataId, { values, dtype, refCount: 1 });
    return dataId;
  }
}

function wrongType(info: TensorInfo, needed: string): BackendError {
  return new BackendError({
    code: "E_NATIVE_DTYPE", what: `a native kernel got a tensor of dtype ${info.dtype}, shape [${info.shape.join(", ")}]`,
    why: `it needs ${needed}`, fix: `cast the tensor to ${needed} first`,
  });
}
