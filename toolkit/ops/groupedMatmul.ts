import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkOffsets, checkShapes } from "./shapes.ts";

/** Multiplies the rows of each expert with that expert's matrix: y[s] = rows[s] · weights[e], offsets[e] ≤ s < offsets[e + 1].
 *  @param rows [S, I] float32, sorted by expert
 *  @param weights [E, I, O] float32
 *  @param offsets [E + 1] int32, from 0 to S, not falling
 *  @returns [S, O]; differentiable in rows and weights
 *  @throws ShapeError, DataError E_OFFSETS
 *  Source: Gale et al. 2022 (MegaBlocks), arXiv:2211.15841 */
export function groupedMatmul(rows: tf.Tensor, weights: tf.Tensor, offsets: tf.Tensor): tf.Tensor2D {
  checkShapes("groupedMatmul", { rows: [rows, "S I"], weights: [weights, "E I O"], offsets: [offsets, "E+1", "int32"] });
  if (!hasNativeKernel("GroupedMatmul")) return composedGroupedMatmul(rows, weights, offsets);
  return runKernel<tf.Tensor2D>("GroupedMatmul", { rows, weights, offsets }, {});
}

/** One matMul for each expert that has rows: the work grows with S, not with E. */
function composedGroupedMatmul(rows: tf.Tensor, weights: tf.Tensor, offsets: tf.Tensor): tf.Tensor2D {
  const bounds = checkOffsets("groupedMatmul", offsets.dataSync<"int32">(), rows.shape[0]);
  const multiply = tf.customGrad((...args) => {
    const [x, w, save] = args as [tf.Tensor2D, tf.Tensor3D, tf.GradSaveFunc];
    save([x, w]);
    return {
      value: perExpert(bounds, (e) => tf.matMul(expertRows(x, bounds, e), expertMatrix(w, e)), [rows.shape[0], w.shape[2]]),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => groupedMatmulGradient(dy as tf.Tensor2D, saved as [tf.Tensor2D, tf.Tensor3D], bounds),
    };
  });
  return multiply(rows, weights);
}

/** Gradients to rows and weights; an expert without rows gets zeros. */
function groupedMatmulGradient(dy: tf.Tensor2D, [x, w]: [tf.Tensor2D, tf.Tensor3D], bounds: Int32Array): tf.Tensor[] {
  const [E, I, O] = w.shape;
  const dRows = perExpert(bounds, (e) => tf.matMul(expertRows(dy, bounds, e), expertMatrix(w, e), false, true), [x.shape[0], I]);
  const dWeights: tf.Tensor[] = [];
  for (let e = 0; e < E; e++) {
    const isEmpty = bounds[e] === bounds[e + 1];
    dWeights.push(isEmpty ? tf.zeros([I, O]) : tf.matMul(expertRows(x, bounds, e), expertRows(dy, bounds, e), true, false));
  }
  return [dRows, tf.stack(dWeights)];
}

/** Rows of the experts that have any, one below the other: [S, width]. */
function perExpert(bounds: Int32Array, compute: (e: number) => tf.Tensor2D, shape: [S: number, width: number]): tf.Tensor2D {
  const parts: tf.Tensor2D[] = [];
  for (let e = 0; e + 1 < bounds.length; e++) if (bounds[e + 1] > bounds[e]) parts.push(compute(e));
  return parts.length === 0 ? tf.zeros(shape) : tf.concat(parts, 0);
}

function expertRows(x: tf.Tensor2D, bounds: Int32Array, e: number): tf.Tensor2D {
  return tf.slice(x, [bounds[e], 0], [bounds[e + 1] - bounds[e], x.shape[1]]);
}

function expertMatrix(w: tf.Tensor3D, e: number): tf.Tensor2D {
  const [, I, O] = w.shape;
  return tf.reshape(tf.slice(w, [e, 0, 0], [1, I, O]), [I, O]);
}

registerNativeKernel("GroupedMatmul", ({ inputs: { rows, weights, offsets }, backend, native }) => {
  const [S, I] = rows.shape;
  const [E, , O] = weights.shape;
  const host = backend.hostValues(offsets, "int32");
  if (host) checkOffsets("groupedMatmul", host, S);
  const y = backend.allocate("float32", S * O);
  native.matmulGroups(E, S, I, O, false, backend.ints(offsets), backend.floats(rows), backend.floats(weights), y);
  return backend.activation([S, O], "float32", y);
});

registerNativeKernel("GroupedMatmulGradient", ({ inputs: { rows, weights, offsets, dy }, backend, native }) => {
  const [S, I] = rows.shape;
  const [E, , O] = weights.shape;
  const bounds = backend.ints(offsets);
  const dRows = backend.allocate("float32", S * I);
  const dWeights = backend.allocate("float32", E * I * O);
  native.matmulGroups(E, S, O, I, true, bounds, backend.floats(dy), backend.floats(weights), dRows);
  native.matmulGroupsWeightGradient(E, S, I, O, bounds, backend.floats(rows), backend.floats(dy), dWeights);
  return [backend.output([S, I], "float32", dRows), backend.output([E, I, O], "float32", dWeights)];
});

tf.registerGradient({
  kernelName: "GroupedMatmul",
  inputsToSave: ["rows", "weights", "offsets"],
  gradFunc: (dy, [rows, weights, offsets]) => {
    const [dRows, dWeights] = runKernel<tf.Tensor[]>("GroupedMatmulGradient", { rows, weights, offsets, dy: dy as tf.Tensor }, {});
    return { rows: () => dRows, weights: () => dWeights };
  },
});
