import * as tf from "@tensorflow/tfjs-core";
import { checkStorage } from "../backend/activationStorage.ts";
import type { FloatStorage } from "../backend/floatStorage.ts";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Rounds x to the nearest value of a storage, ties to even, and keeps it so: in 16 bits a value, of any size, on the
 *  native backend; on others as float32 with the same bits. The dtype stays float32. To "float32" it only widens.
 *  @param x any shape, float32; what float16 can't hold becomes infinity
 *  @returns x's shape; differentiable in x: the gradient goes through as if nothing were rounded
 *  @throws ShapeError E_SHAPE_DTYPE, ConfigError E_STORAGE_NAME */
export function toStorage<T extends tf.Tensor>(x: T, storage: FloatStorage): T {
  checkStorage(storage);
  checkShapes("toStorage", { x: [x, "..."] });
  if (!hasNativeKernel("ToStorage")) return composedToStorage(x, storage);
  const attrs: ToStorageAttrs = { storage };
  return runKernel<T>("ToStorage", { x }, attrs);
}

/** toStorage for backends without the kernel: on the host, because tfjs has no ops on bits. */
function composedToStorage<T extends tf.Tensor>(x: T, storage: FloatStorage): T {
  const convert = tf.customGrad((value) => {
    const { shape } = value as T; // customGrad's type also allows its `save` function here
    return { value: tf.tensor(rounded((value as T).dataSync<"float32">(), storage), shape), gradFunc: (dy: tf.Tensor) => tf.clone(dy) };
  });
  return convert(x) as T;
}

function rounded(values: Float32Array, storage: FloatStorage): Float32Array {
  const result = values.slice();
  const words = new Uint32Array(result.buffer);
  if (storage !== "float32") words.forEach((word, i) => { words[i] = storage === "bfloat16" ? roundedToBfloat16(word) : roundedToFloat16(word); });
  return result;
}

const infinity = 0x7f800000;
/** Makes any NaN a quiet one. */
const quiet = 0x400000;

/** The bits of a float32 with the last `discarded` bits rounded away to the nearest, ties to even. */
function roundedWord(word: number, discarded: number): number {
  const kept = word + 2 ** (discarded - 1) - 1 + ((word >>> discarded) & 1);
  return (kept & -(2 ** discarded)) >>> 0;
}

function roundedToBfloat16(word: number): number {
  return (word & 0x7fffffff) > infinity ? ((word | quiet) & 0xffff0000) >>> 0 : roundedWord(word, 16);
}

function roundedToFloat16(word: number): number {
  const sign = (word & 0x80000000) >>> 0;
  const size = word & 0x7fffffff;
  if (size > infinity) return ((word | quiet) & 0xffffe000) >>> 0;
  if (size >= 0x477ff000) return sign + infinity; // 65520, half way to 2^16
  if (size >= 0x38800000) return roundedWord(word, 13); // 2^-14, the smallest normal value
  // The last place of a double at 2^28 is 2^-24, float16's smallest value: the addition rounds.
  return sign + wordOf(valueOf(size) + 2 ** 28 - 2 ** 28);
}

const valueOf = (word: number): number => new Float32Array(Uint32Array.of(word).buffer)[0];
const wordOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0];

interface ToStorageAttrs {
  readonly storage: FloatStorage;
}

registerNativeKernel<ToStorageAttrs>("ToStorage", ({ inputs: { x }, attrs: { storage }, backend }) => {
  if (backend.storageOf(x) === storage) {
    backend.incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  }
  return backend.stored(x.shape, backend.copyOf("float32", backend.floats(x)), storage);
});

tf.registerGradient({
  kernelName: "ToStorage",
  gradFunc: (dy) => ({ x: () => tf.clone(dy as tf.Tensor) }),
});
