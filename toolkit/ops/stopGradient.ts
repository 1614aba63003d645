import * as tf from "@tensorflow/tfjs-core";

/** The same values, as a constant: what comes before gets a gradient of zeros through here.
 *  @param x any shape; float32 or int32
 *  @returns x's shape and dtype */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  const constant = tf.customGrad((value) => {
    const { shape } = value as tf.Tensor; // customGrad's type also allows its `save` function here
    return { value: tf.clone(value as T), gradFunc: () => tf.zeros(shape) };
  });
  return constant(x);
}
