import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { slotRows, type DispatchPlan } from "./dispatch.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Adds up the rows that the experts made for each token: y[n] = Σₖ weights[n, k] · rows[tokenSlot[n, k]], where a choice
 *  without a slot adds nothing.
 *  @param rows [S, C] float32 by slot
 *  @param weights [N, K] float32
 *  @returns [N, C]; differentiable in rows and weights
 *  @throws ShapeError */
export function combine(rows: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan): tf.Tensor2D {
  checkShapes("combine", {
    weights: [weights, "N K"], rows: [rows, "S C"],
    tokenSlot: [plan.tokenSlot, "N K", "int32"], slotToken: [plan.slotToken, "S", "int32"],
  });
  if (!hasNativeKernel("Combine")) return composedCombine(rows, weights, plan);
  return runKernel<tf.Tensor2D>("Combine", { rows, weights, tokenSlot: plan.tokenSlot }, {});
}

/** combine out of tfjs ops; both directions are gathers. */
function composedCombine(rows: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan): tf.Tensor2D {
  const [N, K] = plan.tokenSlot.shape, [S, C] = rows.shape;
  const add = tf.customGrad((...args) => {
    const [y, w, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([y, w, plan.tokenSlot, plan.slotToken]);
    return {
      value: tf.sum(tf.mul(slotRows(y, plan.tokenSlot), tf.reshape(w, [N, K, 1])), 1),
      gradFunc: (dy: tf.Tensor, [savedRows, savedWeights, tokenSlot, slotToken]: tf.Tensor[]) => {
        const slotWeight = tf.gather(tf.reshape(savedWeights, [N * K]), slotAssignment(tokenSlot.dataSync<"int32">(), S));
        return [
          tf.mul(tf.gather(dy, slotToken), tf.reshape(slotWeight, [S, 1])),
          tf.sum(tf.mul(slotRows(savedRows, tokenSlot as tf.Tensor2D), tf.reshape(dy, [N, 1, C])), 2),
        ];
      },
    };
  });
  return add(rows, weights) as tf.Tensor2D;
}

/** The assignment n·K + k that fills each slot: the inverse of tokenSlot, [S] int32. */
function slotAssignment(tokenSlot: Int32Array, S: number): tf.Tensor1D {
  const assignment = new Int32Array(S);
  tokenSlot.forEach((slot, i) => { if (slot >= 0) assignment[slot] = i; });
  return tf.tensor1d(assignment, "int32");
}

registerNativeKernel("Combine", ({ inputs: { rows, weights, tokenSlot }, backend, native }) => {
  const [N, K] = weights.shape;
  const [S, C] = rows.shape;
  const y = backend.allocate("float32", N * C);
  native.combineRows(N, K, S, C, backend.floats(rows), backend.floats(weights), backend.ints(tokenSlot), y);
  return backend.activation([N, C], "float32", y);
});

registerNativeKernel("CombineGradient", ({ inputs: { rows, weights, tokenSlot, dy }, backend, native }) => {
  const [N, K] = weights.shape;
  const [S, C] = rows.shape;
  const dRows = backend.allocate("float32", S * C);
  const dWeights = backend.allocate("float32", N * K);
  native.combineRowsBackward(N, K, S, C, backend.floats(rows), backend.floats(weights), backend.ints(tokenSlot), backend.floats(dy), dRows, dWeights);
  return [backend.output([S, C], "float32", dRows), backend.output([N, K], "float32", dWeights)];
});

tf.registerGradient({
  kernelName: "Combine",
  inputsToSave: ["rows", "weights", "tokenSlot"],
  gradFunc: (dy, [rows, weights, tokenSlot]) => {
    const [dRows, dWeights] = runKernel<tf.Tensor[]>("CombineGradient", { rows, weights, tokenSlot, dy: dy as tf.Tensor }, {});
    return { rows: () => dRows, weights: () => dWeights };
  },
});
