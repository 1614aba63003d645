import { nativeBinding } from "./binding.ts";

/** How the native backend keeps the values of a float32 tensor. Its dtype stays float32: kernels get the values widened,
 *  compute in float32 and round what they store. bfloat16 has float32's range and 8 significant bits; float16 has 11
 *  bits, 65504 as its largest value and 2^-24 as its smallest. */
export type FloatStorage = "float32" | "bfloat16" | "float16";

export const floatStorages: readonly FloatStorage[] = ["float32", "bfloat16", "float16"];

export type NarrowStorage = Exclude<FloatStorage, "float32">;

/** Fills `bits` with the values, rounded to the nearest, ties to even. */
export function narrow(storage: NarrowStorage, values: Float32Array, bits: Uint16Array): void {
  const native = nativeBinding();
  if (storage === "bfloat16") native.toBfloat16(values.length, values, bits);
  else native.toFloat16(values.length, values, bits);
}

/** Data of a tensor that is kept in 16 bits a value, in the place where tfjs's cpu kernels look for values. */
export class NarrowData {
  readonly dtype = "float32";
  readonly storage: NarrowStorage;
  readonly bits: Uint16Array;
  /** tensors that share the data; counted by tfjs's cpu backend */
  refCount = 1;

  constructor(storage: NarrowStorage, bits: Uint16Array) {
    this.storage = storage;
    this.bits = bits;
  }

  /** A widened copy, made at each call: for tfjs's cpu kernels and for users. */
  get values(): Float32Array {
    return this.widen(new Float32Array(this.bits.length));
  }

  /** Fills `values` with the tensor's values, exactly, and returns it. */
  widen(values: Float32Array): Float32Array {
    const native = nativeBinding();
    if (this.storage === "bfloat16") native.fromBfloat16(this.bits.length, this.bits, values);
    else native.fromFloat16(this.bits.length, this.bits, values);
    return values;
  }
}
