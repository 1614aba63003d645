import * as tf from "@tensorflow/tfjs-core";

/** 1 where the last index equals the id, else 0; [..., depth] float32. Not tf.oneHot: that refuses a depth of 1, and its
 *  cast and sum give NaN on tfjs-backend-webgpu (tfjs issue 8638).
 *  @param ids [...] int32, from 0 to depth − 1 */
export function oneHotRows(ids: tf.Tensor, depth: number): tf.Tensor {
  return tf.cast(tf.equal(tf.expandDims(ids, -1), tf.range(0, depth, 1, "int32")), "float32");
}
