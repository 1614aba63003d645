/** Gradients of tfjs's own kernels that tfjs-core lacks, registered on import: TopK, GatherNd, ScatterNd and
 *  TensorScatterUpdate here, Einsum, StridedSlice and GatherV2 in files of their own. All are made of tfjs ops that have
 *  gradients themselves, so they work on every backend and can be derived again. */
import * as tf from "@tensorflow/tfjs-core";
import "./einsumGradient.ts";
import "./gatherGradient.ts";
import "./stridedSliceGradient.ts";

/** Indices name places; a gradient with respect to them is zero wherever it exists. */
const noGradient = ({ shape }: tf.Tensor) => (): tf.Tensor => tf.zeros(shape);

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Each of the k largest values hands its gradient to the element it came from: among equal ones, the chosen one. */
tf.registerGradient({
  kernelName: tf.TopK,
  inputsToSave: ["x"],
  outputsToSave: [false, true],
  gradFunc: (dys, saved) => {
    const [x, indices] = saved;
    const [dValues] = dys as tf.Tensor[]; // TopK has two outputs
    return {
      x: () => {
        if (indices.size === 0) return tf.zeros(x.shape);
        const columns = x.shape[x.rank - 1];
        const rowStarts = tf.range(0, x.size, columns, "int32");
        const places = tf.add(tf.reshape(indices, [x.size / columns, -1]), tf.expandDims(rowStarts, 1));
        return tf.reshape(tf.scatterND(tf.reshape(places, [-1, 1]), tf.reshape(dValues, [-1]), [x.size]), x.shape);
      },
    };
  },
});

/** indices [count, depth] and the slices [count, …] of a tensor of `shape` that they name. gatherND reads indices of rank
 *  1 as one place, scatterND as a list of rows; as a matrix they mean the same to both. */
function placesIn(shape: readonly number[], indices: tf.Tensor, depth: number): { count: number; places: tf.Tensor; slices: number[] } {
  const count = product(indices.shape) / depth;
  return { count, places: tf.reshape(indices, [count, depth]), slices: [count, ...shape.slice(depth)] };
}

/** How many dimensions a row of scatterND's indices names. */
const scatterDepth = (indices: tf.Tensor): number => (indices.rank > 1 ? indices.shape[indices.rank - 1] : 1);

/** A place read several times gets the sum of their gradients. */
tf.registerGradient({
  kernelName: tf.GatherNd,
  inputsToSave: ["params", "indices"],
  gradFunc: (dy, [params, indices]) => ({
    params: () => {
      if (indices.size === 0) return tf.zeros(params.shape);
      const { places, slices } = placesIn(params.shape, indices, indices.shape[indices.rank - 1]);
      return tf.scatterND(places, tf.reshape(dy as tf.Tensor, slices), params.shape);
    },
    indices: noGradient(indices),
  }),
});

/** Updates of one place are summed, so each gets that place's gradient. */
tf.registerGradient({
  kernelName: tf.ScatterNd,
  inputsToSave: ["indices", "updates"],
  gradFunc: (dy, [indices, updates]) => ({
    indices: noGradient(indices),
    updates: () => {
      if (updates.size === 0) return tf.zeros(updates.shape);
      const { shape } = dy as tf.Tensor;
      return tf.reshape(tf.gatherND(dy as tf.Tensor, placesIn(shape, indices, scatterDepth(indices)).places), updates.shape);
    },
  }),
});

/** The last update of a place is what the output holds: it gets the place's gradient, earlier ones and the tensor
 *  beneath get none. */
tf.registerGradient({
  kernelName: tf.TensorScatterUpdate,
  inputsToSave: ["indices", "updates"],
  gradFunc: (dys, [indices, updates]) => {
    const dy = dys as tf.Tensor;
    const depth = scatterDepth(indices);
    const { count, places, slices } = placesIn(dy.shape, indices, depth);
    const [placeShape, sliceShape] = [dy.shape.slice(0, depth), slices.slice(1)];
    const onePerSlice = sliceShape.map(() => 1);
    return {
      tensor: () => {
        if (updates.size === 0) return tf.clone(dy);
        const updateCounts = tf.scatterND(places, tf.ones([count]), placeShape);
        return tf.where(tf.equal(tf.reshape(updateCounts, [...placeShape, ...onePerSlice]), 0), dy, tf.zerosLike(dy));
      },
      indices: noGradient(indices),
      updates: () => {
        if (updates.size === 0) return tf.zeros(updates.shape);
        const order = tf.range(0, count, 1, "int32");
        const last = tf.gatherND(tf.tensorScatterUpdate(tf.zeros(placeShape, "int32"), places, order), places);
        const gathered = tf.gatherND(dy, places);
        const isLast = tf.reshape(tf.equal(last, order), [count, ...onePerSlice]);
        return tf.reshape(tf.where(isLast, gathered, tf.zerosLike(gathered)), updates.shape);
      },
    };
  },
});
