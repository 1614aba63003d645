import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { ShapeError } from "../errors.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

export interface CountChoicesOptions {
  /** [N] float32: what a choice of each token counts; 1 by default */
  readonly tokenMask?: tf.Tensor;
  /** B, rows of N / B tokens that are counted apart; 1 by default */
  readonly batchSize?: number;
}

/** How many choices each expert got: exact up to 2^24 of them. The counts have no gradient.
 *  @param ids chosen experts, [N, K] int32, from 0 to E − 1, or −1 for no choice
 *  @returns [B, E] float32
 *  @throws ShapeError E_SHAPE_*, E_SHAPE_BATCH */
export function countChoices(ids: tf.Tensor, numExperts: number, { tokenMask, batchSize = 1 }: CountChoicesOptions = {}): tf.Tensor2D {
  const { N, K } = checkShapes("countChoices", tokenMask ? { ids: [ids, "N K", "int32"], tokenMask: [tokenMask, "N"] } : { ids: [ids, "N K", "int32"] });
  if (N % batchSize !== 0) {
    throw new ShapeError({ code: "E_SHAPE_BATCH", what: `countChoices got ${N} tokens in ${batchSize} rows`, why: "all rows have as many tokens", fix: "pass the batch size that the tokens come from" });
  }
  const attrs: CountChoicesAttrs = { ids, tokenMask, B: batchSize, E: numExperts };
  if (hasNativeKernel("CountChoices")) return runKernel<tf.Tensor2D>("CountChoices", {}, attrs);
  const counts = new Float32Array(batchSize * numExperts), mask = tokenMask?.dataSync<"float32">();
  ids.dataSync<"int32">().forEach((id, i) => { if (id >= 0) counts[Math.floor(i / (N / batchSize * K)) * numExperts + id] += mask ? mask[Math.floor(i / K)] : 1; });
  return tf.tensor2d(counts, [batchSize, numExperts]);
}

interface CountChoicesAttrs {
  /** Not inputs of the kernel, which has no gradient. */
  readonly ids: tf.Tensor;
  readonly tokenMask: tf.Tensor | undefined;
  readonly B: number;
  readonly E: number;
}

registerNativeKernel<CountChoicesAttrs>("CountChoices", ({ attrs: { ids, tokenMask, B, E }, backend, native }) => {
  const [N, K] = ids.shape;
  const counts = backend.allocate("float32", B * E);
  native.countChoices(B, B === 0 ? 0 : N / B, K, E, backend.ints(ids), tokenMask ? backend.floats(tokenMask) : null, counts);
  return backend.output([B, E], "float32", counts);
});
