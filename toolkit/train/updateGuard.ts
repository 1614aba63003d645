import * as tf from "@tensorflow/tfjs-core";
import type { StepLimits } from "./gradientMonitor.ts";

/** The scale of an update that is to be made only within limits: NaN, with which adamwStep changes nothing, where a value exceeds
 *  its limit or is NaN. A device decides by itself; nothing waits for it.
 *  @param values of the step, as it measured them */
export function allowedScale(gradientScale: tf.Scalar, values: { readonly lossNats: tf.Scalar; readonly gradientNorm: tf.Scalar }, limits: StepLimits): tf.Scalar {
  return tf.tidy(() => {
    const isAllowed = tf.logicalAnd(tf.lessEqual(values.lossNats, limits.lossNats), tf.lessEqual(values.gradientNorm, limits.gradientNorm));
    return tf.where<tf.Scalar>(isAllowed, gradientScale, tf.scalar(Number.NaN));
  });
}
