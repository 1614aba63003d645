import * as tf from "@tensorflow/tfjs-core";
import { currentStorage } from "./kernelStorage.ts";

/** What the native backend adds to tf.memory(). */
export interface NativeMemory {
  /** bytes of the arrays of all tensors, and of what ops keep for the backward pass; tensors that share data count once */
  readonly storedBytes: number;
  /** most storedBytes since the start or resetPeakBytes */
  readonly peakBytes: number;
  /** bytes of arrays that wait for new tensors, beside storedBytes */
  readonly recycledBytes: number;
}

/** What tf.memory() says, typed for the native backend; undefined on others. */
export function nativeMemory(): (tf.MemoryInfo & NativeMemory) | undefined {
  const backend = currentStorage();
  return backend && { ...tf.memory(), ...backend.memory() };
}

/** Starts peakBytes anew from what is stored now. Does nothing on other backends. */
export function resetPeakBytes(): void {
  currentStorage()?.resetPeakBytes();
}
