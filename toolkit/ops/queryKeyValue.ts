import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** The three projections of attention in one call, which packs and shares out the work once: x·query, x·key, x·value.
 *  @param x [N, C] float32
 *  @param query [C, Q] float32 @param key [C, G] float32 @param value [C, H] float32
 *  @returns [N, Q], [N, G] and [N, H]; differentiable in all inputs
 *  @throws ShapeError */
export function queryKeyValue(x: tf.Tensor, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor): [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D] {
  checkShapes("queryKeyValue", { x: [x, "N C"], query: [query, "C Q"], key: [key, "C G"], value: [value, "C H"] });
  if (hasNativeKernel("QueryKeyValue")) return runKernel<[tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]>("QueryKeyValue", { x, query, key, value }, {});
  return [tf.matMul(x, query), tf.matMul(x, key), tf.matMul(x, value)];
}

registerNativeKernel("QueryKeyValue", ({ inputs: { x, query, key, value }, backend, native }) => {
  const [N, C] = x.shape;
  const weights = [query, key, value], columns = weights.map(({ shape }) => shape[1]);
  const outputs = columns.map((count) => backend.allocate("float32", N * count));
  const [a, b, c] = weights.map((weight) => backend.floats(weight));
  native.queryKeyValueForward(N, C, columns[0], columns[1], columns[2], backend.floats(x), a, b, c, outputs[0], outputs[1], outputs[2]);
  return outputs.map((values, i) => backend.activation([N, columns[i]], "float32", values));
});

registerNativeKernel("QueryKeyValueGradient", ({ inputs: { x, query, key, value, dQuery, dKey, dValue }, backend, native }) => {
  const [N, C] = x.shape;
  const weights = [query, key, value], columns = weights.map(({ shape }) => shape[1]);
  const dx = backend.allocate("float32", N * C);
  const dWeights = columns.map((count) => backend.allocate("float32", C * count));
  const [a, b, c] = weights.map((weight) => backend.floats(weight));
  native.queryKeyValueBackward(N, C, columns[0], columns[1], columns[2], backend.floats(x), a, b, c, backend.floats(dQuery), backend.floats(dKey),
    backend.floats(dValue), dx, dWeights[0], dWeights[1], dWeights[2]);
  return [backend.output([N, C], "float32", dx), ...dWeights.map((values, i) => backend.output([C, columns[i]], "float32", values))];
});

tf.registerGradient({
  kernelName: "QueryKeyValue",
  inputsToSave: ["x", "query", "key", "value"],
  gradFunc: (dy, [x, query, key, value]) => {
    const [dQuery, dKey, dValue] = dy as tf.Tensor[];
    const [dx, ...dWeights] = runKernel<tf.Tensor[]>("QueryKeyValueGradient", { x, query, key, value, dQuery, dKey, dValue }, {});
    return { x: () => dx, query: () => dWeights[0], key: () => dWeights[1], value: () => dWeights[2] };
  },
});
