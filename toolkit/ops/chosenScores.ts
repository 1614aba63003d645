import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkRange, checkShapes } from "./shapes.ts";

/** The scores of chosen experts: y[n, k] = scores[n, ids[n, k]], 0 where the id is −1. The work is N·K, not N·K·E.
 *  @param scores [N, E] float32
 *  @param ids [N, K] int32, no id twice in a row but −1
 *  @returns [N, K]; differentiable in scores
 *  @throws ShapeError, DataError E_INDEX_RANGE */
export function chosenScores(scores: tf.Tensor, ids: tf.Tensor): tf.Tensor2D {
  const { E } = checkShapes("chosenScores", { scores: [scores, "N E"], ids: [ids, "N K", "int32"] });
  if (!hasNativeKernel("ChosenScores")) return composedChosenScores(scores, ids);
  const attrs: ChosenScoresAttrs = { E };
  return runKernel<tf.Tensor2D>("ChosenScores", { scores, ids }, attrs);
}

/** chosenScores out of tfjs ops: a gather whose gradient is a scatter. */
function composedChosenScores(scores: tf.Tensor, ids: tf.Tensor): tf.Tensor2D {
  const [N, E] = scores.shape as [number, number], [, K] = ids.shape as [number, number];
  const chosen = ids.dataSync<"int32">();
  checkChosen(chosen, E);
  const place = chosen.map((id, i) => Math.floor(i / K) * E + Math.max(id, 0));
  const isChosen = Float32Array.from(chosen, (id) => (id < 0 ? 0 : 1));
  const gather = tf.customGrad((source, save) => {
    const places = tf.tensor1d(place, "int32"), factors = tf.tensor1d(isChosen);
    (save as tf.GradSaveFunc)([places, factors]);
    return {
      value: tf.reshape(tf.mul(tf.gather(tf.reshape(source as tf.Tensor, [N * E]), places), factors), [N, K]),
      gradFunc: (dy: tf.Tensor, [savedPlaces, savedFactors]: tf.Tensor[]) =>
        tf.reshape(tf.scatterND(tf.reshape(savedPlaces, [N * K, 1]), tf.mul(tf.reshape(dy, [N * K]), savedFactors), [N * E]), [N, E]),
    };
  });
  return gather(scores) as tf.Tensor2D;
}

function checkChosen(ids: Int32Array, E: number): void {
  checkRange("chosenScores", "ids", ids, E, (i) => ids[i] !== -1);
}

interface ChosenScoresAttrs {
  readonly E: number;
}

registerNativeKernel<ChosenScoresAttrs>("ChosenScores", ({ inputs: { scores, ids }, attrs: { E }, backend, native }) => {
  const [N, K] = ids.shape;
  const host = backend.hostValues(ids, "int32");
  if (host) checkChosen(host, E);
  const y = backend.allocate("float32", N * K);
  native.chosenScores(N, E, K, backend.floats(scores), backend.ints(ids), y);
  return backend.output([N, K], "float32", y);
});

registerNativeKernel<ChosenScoresAttrs>("ChosenScoresGradient", ({ inputs: { ids, dy }, attrs: { E }, backend, native }) => {
  const [N, K] = ids.shape;
  const dScores = backend.allocate("float32", N * E);
  native.chosenScoresBackward(N, E, K, backend.ints(ids), backend.floats(dy), dScores);
  return backend.output([N, E], "float32", dScores);
});

tf.registerGradient({
  kernelName: "ChosenScores",
  inputsToSave: ["ids"],
  gradFunc: (dy, [ids], attrs) => ({ scores: () => runKernel("ChosenScoresGradient", { ids, dy: dy as tf.Tensor }, attrs) }),
});
