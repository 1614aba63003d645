import "#tfjs-gradients"; // first: tfjs's own gradient of GatherV2, which is replaced here, must not come later
import * as tf from "@tensorflow/tfjs-core";

/** A row that was read several times gets the sum of their gradients. tfjs's own gradient hands the indices on as their
 *  gradient, and tfjs then throws where they depend on a variable: that gradient is zero. */
tf.unregisterGradient(tf.GatherV2);
tf.registerGradient({
  kernelName: tf.GatherV2,
  inputsToSave: ["x", "indices"],
  gradFunc: (dy, [x, indices], attrs) => {
    const { axis, batchDims } = attrs as unknown as tf.GatherV2Attrs; // tfjs hands attributes over untyped
    const [at] = tf.util.parseAxisParam(axis, x.shape);
    return {
      x: () => summedRows(dy as tf.Tensor, indices, x.shape, at, batchDims ?? 0),
      indices: () => tf.zeros(indices.shape),
    };
  },
});

/** dx of `shape` from dy, which has the dimensions of the indices where x has dimension `axis`; the first `batchDims`
 *  dimensions of the indices are those of x. Seen as dy [batch, outer, count, inner] and dx [batch, outer, length, inner]. */
function summedRows(dy: tf.Tensor, indices: tf.Tensor, shape: number[], axis: number, batchDims: number): tf.Tensor {
  if (dy.size === 0) return tf.zeros(shape);
  const [batch, outer, inner] = [shape.slice(0, batchDims), shape.slice(batchDims, axis), shape.slice(axis + 1)].map(product);
  const length = shape[axis];
  const count = indices.size / batch;
  // each batch gets segments of its own
  const firstSegments = tf.range(0, batch * length, length, "int32");
  const segments: tf.Tensor1D = tf.reshape(tf.add(tf.reshape(indices, [batch, count]), tf.expandDims(firstSegments, 1)), [-1]);
  const rows = tf.reshape(tf.transpose(tf.reshape(dy, [batch, outer, count, inner]), [0, 2, 1, 3]), [batch * count, outer * inner]);
  const sums = tf.unsortedSegmentSum(rows, segments, batch * length);
  return tf.reshape(tf.transpose(tf.reshape(sums, [batch, length, outer, inner]), [0, 2, 1, 3]), shape);
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
