import * as tf from "@tensorflow/tfjs-core";
import { DataError } from "../errors.ts";
import type { RoutedModel } from "./routedModel.ts";

/** One layer's decisions, token by token: what plot/tokenStrip draws. */
export interface LayerTrace {
  readonly layer: number;
  /** chosen experts, best first, [T][K] */
  readonly expertIds: readonly (readonly number[])[];
  /** their combine weights in the same order, [T][K] */
  readonly weights: readonly (readonly number[])[];
}

function rowsOf(values: ArrayLike<number>, rowLength: number): number[][] {
  return Array.from({ length: values.length / rowLength }, (_, row) =>
    Array.from({ length: rowLength }, (_unused, column) => values[row * rowLength + column]));
}

/** Where each token of one text goes, in every layer.
 *  @param ids [T], 1 ≤ T ≤ the model's contextLength
 *  @returns one trace a layer
 *  @throws DataError E_TRACE_LENGTH */
export async function traceTokens(model: RoutedModel, ids: Int32Array): Promise<LayerTrace[]> {
  const { contextLength, moe: { expertsPerToken } } = model.config;
  if (ids.length < 1 || ids.length > contextLength) {
    throw new DataError({
      code: "E_TRACE_LENGTH", what: `traceTokens got ${ids.length} tokens`,
      why: `the model sees 1 to ${contextLength} tokens at once`, fix: `pass a part of the text, e.g. ids.subarray(0, ${contextLength})`,
    });
  }
  const records = tf.tidy(() => {
    const { routing } = model.forward(tf.tensor2d(ids, [1, ids.length], "int32"));
    return routing.map(({ layer, ids: chosen, weights }) => ({ layer, chosen, weights }));
  });
  try {
    return await Promise.all(records.map(async ({ layer, chosen, weights }) => ({
      layer,
      expertIds: rowsOf(await chosen.data(), expertsPerToken),
      weights: rowsOf(await weights.data(), expertsPerToken),
    })));
  } finally {
    tf.dispose(records);
  }
}
