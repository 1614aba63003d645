import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel, type NativeCall } from "../backend/nativeKernel.ts";
import { DataError, ShapeError } from "../errors.ts";
import { Kept, runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Causal scaled dot-product attention with grouped key/value heads. Queries are the last Tq of Tk positions: query i
 *  sees keys firstKey[i] ≤ j ≤ i + (Tk − Tq). Query head h reads key/value head ⌊h · G / Q⌋; scale 1/√D.
 *  @param query [B, Tq, Q, D] float32
 *  @param key [B, Tk, G, D] float32, Tk ≥ Tq, Q a multiple of G
 *  @param value [B, Tk, G, D] float32
 *  @param firstKey the first key that each query sees, for packed documents and sliding windows, [B, Tq] int32,
 *    0 ≤ firstKey[i] ≤ i + (Tk − Tq); all 0 when left out. With a window of keys the time is linear in Tk.
 *  @returns [B, Tq, Q, D]; differentiable in query, key and value
 *  @throws ShapeError E_SHAPE_*, E_SHAPE_HEADS, E_SHAPE_CAUSAL, DataError E_FIRST_KEY
 *  Source: Vaswani et al. 2017, eq. 1, arXiv:1706.03762; grouped heads: Ainslie et al. 2023, arXiv:2305.13245 */
export function attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, firstKey?: tf.Tensor): tf.Tensor4D {
  const shapes = { query: [query, "B Tq Q D"], key: [key, "B Tk G D"], value: [value, "B Tk G D"] } as const;
  const sizes = checkShapes("attention", firstKey ? { ...shapes, firstKey: [firstKey, "B Tq", "int32"] } : shapes);
  const { Tq, Tk, Q, G } = sizes;
  if (G === 0 || Q % G !== 0) {
    throw new ShapeError({
      code: "E_SHAPE_HEADS", what: `attention got ${Q} query heads and ${G} key/value heads`,
      why: "each key/value head serves the same number of query heads", fix: "make numHeads a multiple of numKeyValueHeads",
    });
  }
  if (Tk < Tq) {
    throw new ShapeError({
      code: "E_SHAPE_CAUSAL", what: `attention got ${Tq} queries and ${Tk} keys`,
      why: "the queries are the last positions of the keys", fix: "pass the keys and values of all tokens up to the last query",
    });
  }
  if (!hasNativeKernel("Attention")) {
    const firstKeys = firstKey?.dataSync<"int32">().slice();
    if (firstKeys) checkFirstKeys(firstKeys, Tq, Tk);
    return composedAttention(query, key, value, firstKeys, sizes);
  }
  const attrs: AttentionAttrs = { logSumExp: new Kept() };
  // tfjs can't save an input that may be left out: so it is a kernel of its own that has it.
  if (firstKey) return runKernel<tf.Tensor4D>("AttentionFromKeys", { query, key, value, firstKey }, attrs);
  return runKernel<tf.Tensor4D>("Attention", { query, key, value }, attrs);
}

/** @throws DataError E_FIRST_KEY where a query would see no key */
function checkFirstKeys(firstKeys: Int32Array, Tq: number, Tk: number): void {
  firstKeys.forEach((first, i) => {
    const last = (i % Tq) + Tk - Tq;
    if (first >= 0 && first <= last) return;
    throw new DataError({
      code: "E_FIRST_KEY", what: `attention got firstKey ${first} for query ${i % Tq} of row ${Math.floor(i / Tq)}`,
      why: `this query sees keys from 0 to ${last}, and needs one`, fix: "pass for each query where in its row its document begins",
    });
  });
}

/** attention out of tfjs ops, for backends without the kernel: holds B·Q·Tq·Tk scores. */
function composedAttention(
  query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, firstKeys: Int32Array | undefined, sizes: Record<string, number>,
): tf.Tensor4D {
  const { B, Tq, Tk, Q, G, D } = sizes;
  const R = Q / G;
  return tf.tidy(() => {
    // All queries that share a key/value head become rows of one matrix, so keys and values are never repeated.
    const rows = tf.reshape(tf.transpose(tf.reshape(query, [B, Tq, G, R, D]), [0, 2, 3, 1, 4]), [B * G, R * Tq, D]);
    const keys = tf.reshape(tf.transpose(key, [0, 2, 1, 3]), [B * G, Tk, D]);
    const values = tf.reshape(tf.transpose(value, [0, 2, 1, 3]), [B * G, Tk, D]);
    const scores = tf.mul(tf.matMul(rows, keys, false, true), 1 / Math.sqrt(D));
    const masked = tf.add(tf.reshape(scores, [B, G * R, Tq, Tk]), hiddenScores(firstKeys ? B : 1, Tq, Tk, firstKeys));
    const probabilities = tf.reshape(tf.softmax(masked), [B * G, R * Tq, Tk]);
    const mixed = tf.reshape(tf.matMul(probabilities, values), [B, G, R, Tq, D]);
    return tf.reshape(tf.transpose(mixed, [0, 3, 1, 2, 4]), [B, Tq, Q, D]);
  });
}

/** Added to a score to hide a key: so low that exp gives 0, and finite, so that no backend makes NaN of it. */
const hiddenScore = -1e30;

/** [rows, 1, Tq, Tk], 0 where a query sees a key. */
function hiddenScores(rows: number, Tq: number, Tk: number, firstKeys?: Int32Array): tf.Tensor4D {
  const mask = new Float32Array(rows * Tq * Tk);
  for (let query = 0; query < rows * Tq; query++) {
    mask.fill(hiddenScore, query * Tk, query * Tk + (firstKeys?.[query] ?? 0));
    mask.fill(hiddenScore, query * Tk + (query % Tq) + (Tk - Tq) + 1, (query + 1) * Tk);
  }
  return tf.tensor4d(mask, [rows, 1, Tq, Tk]);
}

interface AttentionAttrs {
  /** of each query's scaled scores, [B, Q, Tq] */
  readonly logSumExp: Kept;
}

type SixSizes = [B: number, Tq: number, Tk: number, Q: number, G: number, D: number];

function sizesOf(query: tf.TensorInfo, key: tf.TensorInfo): SixSizes {
  const [B, Tq, Q, D] = query.shape;
  return [B, Tq, key.shape[1], Q, key.shape[2], D];
}

type Call = NativeCall<AttentionAttrs, Record<string, tf.TensorInfo> & { firstKey?: tf.TensorInfo }>;

function forward({ inputs: { query, key, value, firstKey }, attrs, backend, native }: Call): tf.TensorInfo {
  const sizes = sizesOf(query, key);
  const [B, Tq, Tk, Q, , D] = sizes;
  const host = firstKey && backend.hostValues(firstKey, "int32");
  if (host) checkFirstKeys(host, Tq, Tk);
  const y = backend.allocate("float32", B * Tq * Q * D);
  const logSumExp = backend.allocate("float32", B * Q * Tq);
  native.attentionForward(...sizes, backend.floats(query), backend.floats(key), backend.floats(value), y, logSumExp, firstKey && backend.ints(firstKey));
  attrs.logSumExp.keep(backend, logSumExp);
  return backend.activation(query.shape, "float32", y);
}

function backward({ inputs: { query, key, value, y, dy, firstKey }, attrs, backend, native }: Call): tf.TensorInfo[] {
  const sizes = sizesOf(query, key);
  const [B, Tq, Tk, Q, G, D] = sizes;
  const inputs = [backend.floats(query), backend.floats(key), backend.floats(value)] as const;
  const firstKeys = firstKey && backend.ints(firstKey);
  const dQuery = backend.allocate("float32", B * Tq * Q * D);
  const dKey = backend.allocate("float32", B * Tk * G * D);
  const dValue = backend.allocate("float32", B * Tk * G * D);
  let logSumExp = attrs.logSumExp.take();
  if (!logSumExp) {
    logSumExp = backend.allocate("float32", B * Q * Tq);
    native.attentionForward(...sizes, ...inputs, dQuery, logSumExp, firstKeys);
  }
  native.attentionBackward(...sizes, ...inputs, backend.floats(y), logSumExp, backend.floats(dy), dQuery, dKey, dValue, firstKeys);
  backend.release(logSumExp);
  return [backend.output(query.shape, "float32", dQuery), backend.output(key.shape, "float32", dKey), backend.output(value.shape, "float32", dValue)];
}

for (const [kernelName, optional] of [["Attention", []], ["AttentionFromKeys", ["firstKey"]]] as const) {
  registerNativeKernel(kernelName, forward);
  tf.registerGradient({
    kernelName,
    inputsToSave: ["query", "key", "value", ...optional],
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) => {
      const [query, key, value] = saved, y = saved[saved.length - 1];
      const inputs = { query, key, value, y, dy: dy as tf.Tensor };
      const [dQuery, dKey, dValue] = runKernel<tf.Tensor[]>("AttentionGradient", optional.length > 0 ? { ...inputs, firstKey: saved[3] } : inputs, attrs);
      return { query: () => dQuery, key: () => dKey, value: () => dValue };
    },
  });
}
registerNativeKernel("AttentionGradient", backward);
