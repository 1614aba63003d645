import * as tf from "@tensorflow/tfjs-core";
import { RequestError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import type { KeyValueCache } from "../nn/attention.ts";

/** One sequence being decoded, with its keys and values kept. */
export interface DecodeSession {
  /** tokens fed so far */
  readonly position: number;
  /** assignments to each expert over all fed tokens, [L][E]; zeros in a dense layer */
  readonly expertCounts: readonly Float64Array[];
  /** experts of the last fed token, best first, [L][at most K]; none in a dense layer */
  readonly lastExpertIds: readonly Int32Array[];
  /** Runs the tokens through the model on the calling thread.
   *  @param ids at least one, 0 ≤ id < V
   *  @returns scores of the next token, [V]; the caller may keep and change it
   *  @throws RequestError E_CONTEXT_FULL when position + ids.length > contextLength, E_NO_TOKENS, E_TOKEN_RANGE */
  feed(ids: Int32Array): Float32Array;
  dispose(): void;
}

function checkTokens(ids: Int32Array, position: number, model: Transformer): void {
  const { contextLength, vocabSize } = model.config;
  if (ids.length === 0) {
    throw new RequestError({ code: "E_NO_TOKENS", what: "no tokens were fed", why: "the model predicts from at least one token", fix: "give a prompt that isn't empty" });
  }
  if (position + ids.length > contextLength) {
    throw new RequestError({
      code: "E_CONTEXT_FULL", what: `${position + ids.length} tokens don't fit a context of ${contextLength}`,
      why: "the model was trained for at most contextLength tokens", fix: "shorten the prompt or ask for fewer tokens",
    });
  }
  const bad = ids.find((id) => id < 0 || id >= vocabSize);
  if (bad !== undefined) {
    throw new RequestError({ code: "E_TOKEN_RANGE", what: `token id ${bad} is not in a vocabulary of ${vocabSize}`, why: "the model has no embedding for it", fix: "use the tokenizer that the model was trained with" });
  }
}

/** Opens a sequence on the model's backend. Sessions of one model are independent of each other. */
export function openSession(model: Transformer): DecodeSession {
  const { numLayers: L, vocabSize: V } = model.config;
  const { numExperts: E } = model.config.moe;
  const cache: KeyValueCache[] = Array.from({ length: L }, () => ({}));
  const expertCounts = Array.from({ length: L }, () => new Float64Array(E));
  const lastExpertIds = Array.from({ length: L }, () => new Int32Array(0));
  let position = 0;

  const feed = (ids: Int32Array): Float32Array => {
    checkTokens(ids, position, model);
    const scores = tf.tidy(() => {
      const { logits, routing } = model.forward(tf.tensor2d(ids, [1, ids.length], "int32"), { cache });
      for (const record of routing) {
        const chosen = record.ids.dataSync<"int32">();
        for (const expert of chosen) if (expert >= 0) expertCounts[record.layer][expert] += 1;
        lastExpertIds[record.layer] = chosen.slice(-record.ids.shape[1]).filter((expert) => expert >= 0);
      }
      return Float32Array.from(tf.slice(logits, [ids.length - 1, 0], [1, V]).dataSync<"float32">());
    });
    position += ids.length;
    return scores;
  };
  const dispose = (): void => {
    for (const entry of cache) {
      entry.key?.dispose();
      entry.value?.dispose();
    }
    cache.length = 0;
  };
  return { get position() { return position; }, expertCounts, lastExpertIds, feed, dispose };
}
