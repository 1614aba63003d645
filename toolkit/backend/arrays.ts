/** Dtypes that tensors of the native backend keep as arrays of numbers. */
export type NumericType = "float32" | "int32" | "bool";

/** Kinds of those arrays: "half" holds the bits of 16-bit floats. */
export type ArrayType = NumericType | "half";

/** The kinds in JavaScript's memory. */
export interface HostArrayOfType {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
  half: Uint16Array;
}
export type HostArray = HostArrayOfType[ArrayType];

/** Memory of a device; made by the CUDA addon only. Its values can't be read in JavaScript: see DeviceFunctions.download. */
export interface DeviceArray<T extends ArrayType = ArrayType> {
  readonly type: T;
  /** elements */
  readonly length: number;
  readonly byteLength: number;
}

/** Arrays as kernels take them: on the host or on the device, all of one call on one side. */
export type Floats = Float32Array | DeviceArray<"float32">;
export type Ints = Int32Array | DeviceArray<"int32">;
export type Bytes = Uint8Array | DeviceArray<"bool">;
export type Halves = Uint16Array | DeviceArray<"half">;

export interface ArrayOfType {
  float32: Floats;
  int32: Ints;
  bool: Bytes;
  half: Halves;
}
/** Arrays that hold a tensor's values. */
export type NumericArray = ArrayOfType[NumericType];

export const arrayTypes: readonly ArrayType[] = ["float32", "int32", "bool", "half"];
export const hostArrayOfType = { float32: Float32Array, int32: Int32Array, bool: Uint8Array, half: Uint16Array } as const;

export function isHostArray(values: unknown): values is HostArray {
  return values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array || values instanceof Uint16Array;
}

/** The kind of an array of JavaScript's. */
export function typeOfHostArray(values: HostArray): ArrayType {
  if (values instanceof Float32Array) return "float32";
  if (values instanceof Int32Array) return "int32";
  return values instanceof Uint16Array ? "half" : "bool";
}
