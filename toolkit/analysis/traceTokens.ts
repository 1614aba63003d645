import * as tf from "@tensorflow/tfjs-core";
import { DataError } from "../errors.ts";
import type { RoutedModel } from "./routedModel.ts";

/** One layer's decisions, token by token: what plot/tokenStrip draws. */
export interface LayerTrace {
  readonly layer: number;
  /** chosen experts of each token, best first; K of them, or fewer where the router says so */
  readonly expertIds: readonly (readonly number[])[];
  /** their combine weights in the same order */
  readonly weights: readonly (readonly number[])[];
}

/** The values of each token's experts, without those of choices that reach none. */
function rowsOf(values: ArrayLike<number>, ids: Int32Array, numTokens: number): number[][] {
  const K = ids.length / numTokens;
  return Array.from({ length: numTokens }, (_, token) =>
    Array.from({ length: K }, (_unused, choice) => token * K + choice).filter((at) => ids[at] >= 0).map((at) => values[at]));
}

/** Where each token of one text goes, in every layer.
 *  @param ids [T], 1 ≤ T ≤ the model's contextLength
 *  @returns one trace a layer
 *  @throws DataError E_TRACE_LENGTH */
export async function traceTokens(model: RoutedModel, ids: Int32Array): Promise<LayerTrace[]> {
  const { contextLength } = model.config;
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
    return await Promise.all(records.map(async ({ layer, chosen, weights }) => {
      const expertIds = await chosen.data<"int32">();
      return { layer, expertIds: rowsOf(expertIds, expertIds, ids.length), weights: rowsOf(await weights.data(), expertIds, ids.length) };
    }));
  } finally {
    tf.dispose(records);
  }
}
