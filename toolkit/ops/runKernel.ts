import * as tf from "@tensorflow/tfjs-core";
import type { Floats } from "../backend/arrays.ts";
import type { KernelStorage, KeptValues } from "../backend/kernelStorage.ts";

/** Runs one of our kernels on the current backend, recorded on tfjs's tape. tfjs types attributes as plain values; ours
 *  also hold what the backward pass needs, which it hands on untouched. */
export function runKernel<Output extends tf.Tensor | tf.Tensor[]>(name: string, inputs: Readonly<Record<string, tf.Tensor>>, attrs: object): Output {
  return tf.engine().runKernel<Output>(name, inputs, attrs as tf.NamedAttrMap);
}

/** Values that a forward kernel leaves for its backward pass: an array beside the tape, because a second output would
 *  get a dense gradient of zeros. Empty when no gradient is being recorded, and after the backward pass took it: a second
 *  backward pass has to compute the values again. */
export class Kept {
  private readonly isWanted = tf.engine().isTapeOn();
  private kept: { readonly backend: KernelStorage; readonly values: KeptValues } | undefined;

  /** Called once by the forward kernel, with float32 values from backend.allocate. */
  keep(backend: KernelStorage, values: Floats): void {
    this.hold(backend, values, false);
  }

  /** As keep, for what may be rounded: in a scope of withActivationStorage the values are kept in its storage. */
  keepActivation(backend: KernelStorage, values: Floats): void {
    this.hold(backend, values, true);
  }

  /** The values, once; the caller releases them. */
  take(): Floats | undefined {
    const { kept } = this;
    this.kept = undefined;
    return kept?.backend.takeBack(kept.values);
  }

  private hold(backend: KernelStorage, values: Floats, isActivation: boolean): void {
    if (this.isWanted) this.kept = { backend, values: backend.keep(values, isActivation) };
    else backend.release(values);
  }
}
