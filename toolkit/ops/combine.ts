import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import type { DispatchPlan } from "./dispatch.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Adds up the rows that the experts made for each token: y[n] = Σₖ weights[n, k] · rows[tokenSlot[n, k]].
 *  @param rows [N·K, C] float32 by slot
 *  @param weights [N, K] float32
 *  @returns [N, C]; differentiable in rows and weights
 *  @throws ShapeError */
export function combine(rows: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan): tf.Tensor2D {
  const { N, K, C } = checkShapes("combine", {
    weights: [weights, "N K"], rows: [rows, "N*K C"],
    tokenSlot: [plan.tokenSlot, "N K", "int32"], slotToken: [plan.slotToken, "N*K", "int32"],
  });
  if (!hasNativeKernel("Combine")) return composedCombine(rows, weights, plan, [N, K, C]);
  return runKernel<tf.Tensor2D>("Combine", { rows, weights, tokenSlot: plan.tokenSlot }, {});
}

/** combine out of tfjs ops; both directions are gathers. */
function composedCombine(rows: tf.Tensor, weights: tf.Tensor, plan: DispatchPlan, [N, K, C]: [number, number, number]): tf.Tensor2D {
  const byToken = (slots: tf.Tensor, tokenSlot: tf.Tensor): tf.Tensor3D => tf.reshape(tf.gather(slots, tf.reshape(tokenSlot, [N * K])), [N, K, C]);
  const add = tf.customGrad((...args) => {
    const [y, w, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([y, w, plan.tokenSlot, plan.slotToken]);
    return {
      value: tf.sum(tf.mul(byToken(y, plan.tokenSlot), tf.reshape(w, [N, K, 1])), 1),
      gradFunc: (dy: tf.Tensor, [savedRows, savedWeights, tokenSlot, slotToken]: tf.Tensor[]) => {
        const slotWeight = tf.gather(tf.reshape(savedWeights, [N * K]), slotAssignment(tokenSlot.dataSync<"int32">()));
        return [
          tf.mul(tf.gather(dy, slotToken), tf.reshape(slotWeight, [N * K, 1])),
          tf.sum(tf.mul(byToken(savedRows, tokenSlot), tf.reshape(dy, [N, 1, C])), 2),
        ];
      },
    };
  });
  return add(rows, weights) as tf.Tensor2D;
}

/** The assignment n·K + k that fills each slot: the inverse of tokenSlot, [N·K] int32. */
function slotAssignment(tokenSlot: Int32Array): tf.Tensor1D {
  const assignment = new Int32Array(tokenSlot.length);
  tokenSlot.forEach((slot, i) => { assignment[slot] = i; });
  return tf.tensor1d(assignment, "int32");
}

registerNativeKernel("Combine", ({ inputs: { rows, weights, tokenSlot }, backend, native }) => {
  const [N, K] = weights.shape;
  const C = rows.shape[1];
  const y = backend.allocate("float32", N * C);
  native.combineRows(N, K, C, backend.floats(rows), backend.floats(weights), backend.ints(tokenSlot), y);
  return backend.activation([N, C], "float32", y);
});

registerNativeKernel("CombineGradient", ({ inputs: { rows, weights, tokenSlot, dy }, backend, native }) => {
  const [N, K] = weights.shape;
  const C = rows.shape[1];
  const dRows = backend.allocate("float32", N * K * C);
  const dWeights = backend.allocate("float32", N * K);
  native.combineRowsBackward(N, K, C, backend.floats(rows), backend.floats(weights), backend.ints(tokenSlot), backend.floats(dy), dRows, dWeights);
  return [backend.output([N * K, C], "float32", dRows), backend.output([N, K], "float32", dWeights)];
});

tf.registerGradient({
  kernelName: "Combine",
  inputsToSave: ["rows", "weights", "tokenSlot"],
  gradFunc: (dy, [rows, weights, tokenSlot]) => {
    const [dRows, dWeights] = runKernel<tf.Tensor[]>("CombineGradient", { rows, weights, tokenSlot, dy: dy as tf.Tensor }, {});
    return { rows: () => dRows, weights: () => dWeights };
  },
});
