import type { backend_util, DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { hostArrayOfType, type DeviceArray, type Floats, type HostArrayOfType, type NumericType } from "./arrays.ts";
import type { CudaBinding } from "./binding.ts";
import type { FloatStorage, NarrowStorage } from "./floatStorage.ts";

/** Values on the device and how they are kept. */
export interface DeviceValues {
  readonly array: DeviceArray;
  readonly storage: FloatStorage;
}

/** Data of a tensor whose values are on a device, in JavaScript's memory, or both, in the place where tfjs's cpu kernels look for
 *  values. What came from the host keeps its copy there and is uploaded when a kernel first reads it; what a kernel made is on
 *  the device alone. */
export class DeviceData {
  readonly dtype: DataType;
  refCount = 1;
  /** of complex numbers, whose data has no values of its own */
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
  host: backend_util.BackendValues | undefined;
  device: DeviceValues | undefined;
  private readonly native: CudaBinding;

  constructor(native: CudaBinding, dtype: DataType, { host, device }: { readonly host?: backend_util.BackendValues; readonly device?: DeviceValues }) {
    this.native = native;
    this.dtype = dtype;
    this.host = host;
    this.device = device;
  }

  /** For tfjs's cpu kernels: the copy on the host, or one that waits for the device, made at each call. */
  get values(): backend_util.BackendValues | undefined {
    if (this.host !== undefined || this.device === undefined) return this.host;
    return withWhole(this.native, this.device, (from, to) => {
      this.native.download(from, to);
      return to;
    });
  }

  /** The values on the device as kernels take them.
   *  @returns those of narrow storage as they are kept */
  onDevice(dtype: NumericType): DeviceValues {
    this.device ??= { array: uploaded(this.native, dtype, this.host), storage: "float32" };
    return this.device;
  }
}

/** A new array of the device with these values. */
export function uploaded(native: CudaBinding, dtype: NumericType, values: backend_util.BackendValues | undefined): DeviceArray {
  const typed = typedArray(dtype, values);
  const array = native.allocateArray(dtype, typed.length);
  native.upload(typed, array);
  return array;
}

/** The values in the array type of their dtype: tfjs lets a tensor hold another one, and lists of JavaScript's numbers. */
export function typedArray<T extends NumericType>(dtype: T, values: backend_util.BackendValues | undefined): HostArrayOfType[T] {
  const array = hostArrayOfType[dtype];
  const typed = values instanceof array ? values : array.from((values ?? []) as ArrayLike<number>);
  return typed as HostArrayOfType[T]; // hostArrayOfType[dtype] makes it so; TypeScript can't follow the index
}

/** Runs `copy` on the values in float32, or in their own type; memory that widening takes is given back when it returns: what it has
 *  begun comes first on the device. */
export function withWhole<Result>(native: CudaBinding, { array, storage }: DeviceValues, copy: (from: DeviceArray, to: HostArrayOfType[NumericType]) => Result): Result {
  const from = storage === "float32" ? array : widened(native, storage, array);
  try {
    return copy(from, new hostArrayOfType[from.type as NumericType](from.length)); // only narrow storage is of halves
  } finally {
    if (from !== array) native.freeArray(from);
  }
}

/** A new array of the values in float32. */
export function widened(native: CudaBinding, storage: NarrowStorage, bits: DeviceArray): DeviceArray<"float32"> {
  const values = native.allocateArray("float32", bits.length);
  // Narrow storage is an array of halves.
  if (storage === "bfloat16") native.fromBfloat16(bits.length, bits as DeviceArray<"half">, values);
  else native.fromFloat16(bits.length, bits as DeviceArray<"half">, values);
  return values;
}

/** A new array of the values rounded to a storage. */
export function narrowed(native: CudaBinding, storage: NarrowStorage, values: Floats): DeviceArray<"half"> {
  const bits = native.allocateArray("half", values.length);
  if (storage === "bfloat16") native.toBfloat16(values.length, values, bits);
  else native.toFloat16(values.length, values, bits);
  return bits;
}
