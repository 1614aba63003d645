import * as tf from "@tensorflow/tfjs-core";
import type { SampleInput } from "../../../toolkit/ops/opSample.ts";

/** The input as ops mostly get theirs: made by a kernel, so that it lies where the backend puts its tensors. */
export function madeByKernel({ values, shape, dtype }: SampleInput): tf.Tensor {
  return tf.tidy(() => {
    const given = tf.tensor(values, [...shape], dtype);
    return dtype === "float32" ? tf.neg(given) : given.clone();
  });
}
