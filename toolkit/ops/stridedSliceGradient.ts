import * as tf from "@tensorflow/tfjs-core";

/** Which elements of one dimension a slice took: `size` of them, from `begin` on, `stride` apart. */
interface Range {
  readonly begin: number;
  readonly stride: number;
  readonly size: number;
}

/** Elements that the slice took get its gradient, the others zero. */
tf.registerGradient({
  kernelName: tf.StridedSlice,
  inputsToSave: ["x"],
  gradFunc: (dy, [x], attrs) => ({
    x: () => {
      // tfjs hands attributes over untyped
      const slice = attrs as unknown as tf.StridedSliceAttrs;
      const { begin, end, strides } = tf.slice_util.sliceInfo(x.shape, slice.begin, slice.end, slice.strides,
        slice.beginMask, slice.endMask, slice.ellipsisMask, slice.newAxisMask, slice.shrinkAxisMask);
      const sizes = tf.slice_util.computeOutShape(begin, end, strides);
      if (sizes.some((size) => size <= 0)) return tf.zeros(x.shape);
      // Dimensions that the slice dropped have one element, those it added are left out.
      const dense = tf.reshape(dy as tf.Tensor, sizes);
      return sizes.reduce((gradient, size, axis) => spread(gradient, axis, { begin: begin[axis], stride: strides[axis], size }, x.shape[axis]), dense);
    },
  }),
});

/** Puts a dimension's elements back to where they were taken from, among zeros. */
function spread(y: tf.Tensor, axis: number, { begin, stride, size }: Range, length: number): tf.Tensor {
  if (size === length && stride === 1) return y;
  const [outer, inner] = [product(y.shape.slice(0, axis)), product(y.shape.slice(axis + 1))];
  const isBackward = stride < 0;
  const step = Math.abs(stride);
  const first = isBackward ? begin + (size - 1) * stride : begin;
  const elements = tf.reshape(y, [outer, size, 1, inner]);
  const forward = isBackward ? tf.reverse(elements, 1) : elements;
  // zeros after each element but the last, then before the first and after the last
  const apart = tf.reshape(tf.pad(forward, [[0, 0], [0, 0], [0, step - 1], [0, 0]]), [outer, size * step, inner]);
  const covered = (size - 1) * step + 1;
  const trimmed = tf.slice(apart, [0, 0, 0], [outer, covered, inner]);
  const placed = tf.pad(trimmed, [[0, 0], [first, length - first - covered], [0, 0]]);
  return tf.reshape(placed, y.shape.with(axis, length));
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
