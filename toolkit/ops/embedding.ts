import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkRange, checkShapes } from "./shapes.ts";

/** Looks up a row for each id: y[n] = table[ids[n]]. The gradient adds up the rows of equal ids.
 *  @param table [V, C] float32
 *  @param ids [N] int32, from 0 to V − 1
 *  @returns [N, C]; differentiable in table
 *  @throws ShapeError, DataError E_INDEX_RANGE */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor2D {
  checkShapes("embedding", { table: [table, "V C"], ids: [ids, "N", "int32"] });
  if (!hasNativeKernel("Embedding")) return composedEmbedding(table, ids);
  const attrs: EmbeddingAttrs = { V: table.shape[0] };
  return runKernel<tf.Tensor2D>("Embedding", { table, ids }, attrs);
}

/** embedding out of tfjs ops, for backends without the kernel; its gradient is one scatter. */
function composedEmbedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor2D {
  const [V, C] = table.shape;
  const [N] = ids.shape;
  checkRange("embedding", "ids", ids.dataSync<"int32">(), V);
  const lookUp = tf.customGrad((...args) => {
    const [rows, save] = args as [tf.Tensor, tf.GradSaveFunc];
    save([ids]);
    return {
      value: tf.gather(rows, ids),
      gradFunc: (dy: tf.Tensor, [savedIds]: tf.Tensor[]) => tf.scatterND(tf.reshape(savedIds, [N, 1]), dy, [V, C]),
    };
  });
  return lookUp(table) as tf.Tensor2D;
}

interface EmbeddingAttrs {
  /** Rows of the table, which its gradient has too. */
  readonly V: number;
}

registerNativeKernel<EmbeddingAttrs>("Embedding", ({ inputs: { table, ids }, backend, native }) => {
  const [V, C] = table.shape;
  const [N] = ids.shape;
  const host = backend.hostValues(ids, "int32");
  if (host) checkRange("embedding", "ids", host, V);
  const y = backend.allocate("float32", N * C);
  native.gatherRows(V, N, C, backend.floats(table), backend.ints(ids), y);
  return backend.activation([N, C], "float32", y);
});

registerNativeKernel<EmbeddingAttrs>("EmbeddingGradient", ({ inputs: { ids, dy }, attrs: { V }, backend, native }) => {
  const [N, C] = dy.shape;
  const dTable = backend.allocate("float32", V * C);
  native.gatherRowsBackward(V, N, C, backend.ints(ids), backend.floats(dy), dTable);
  return backend.output([V, C], "float32", dTable);
});

tf.registerGradient({
  kernelName: "Embedding",
  inputsToSave: ["ids"],
  gradFunc: (dy, [ids], attrs) => ({ table: () => runKernel("EmbeddingGradient", { ids, dy: dy as tf.Tensor }, attrs) }),
});
