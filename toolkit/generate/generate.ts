import { setImmediate as nextTurn } from "node:timers/promises";
import { RequestError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import { checkCount } from "../moe/config.ts";
import { RandomSource } from "../random.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { checkSampling, defaultSampling, sampleToken, type SamplingSettings } from "./sampler.ts";
import { openSession } from "./session.ts";

export interface GenerateSettings extends Partial<SamplingSettings> {
  /** most tokens to write */
  readonly maxTokens: number;
  /** the same seed, prompt and weights give the same text */
  readonly seed?: number;
  /** stops before this text */
  readonly stop?: string;
  /** ends with one of these, whose text is left out; the end-of-text token by default. For chats: [template.endOfTurn]. */
  readonly stopTokens?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface GeneratedPiece {
  /** whole characters that this token completed; may be empty */
  readonly text: string;
  readonly id: number;
  /** experts that the token before this one went to, best first, [L][K] */
  readonly expertIds: readonly Int32Array[];
}

/** Continues a prompt, a text or token ids, token by token; ends at maxTokens, at a stop token, at `stop`, or when the context is full.
 *  @throws RequestError E_CONTEXT_FULL when the prompt alone doesn't fit, ConfigError E_SAMPLING, E_CONFIG_COUNT */
export async function* generate(model: Transformer, tokenizer: Tokenizer, prompt: string | Int32Array, settings: GenerateSettings): AsyncGenerator<GeneratedPiece> {
  const sampling = checkSampling({ ...defaultSampling, ...settings });
  checkCount("maxTokens", settings.maxTokens);
  const random = new RandomSource(settings.seed ?? 0), stopTokens = new Set(settings.stopTokens ?? [tokenizer.endOfText]);
  const session = openSession(model);
  const decoder = tokenizer.decodeStream();
  let held = "";
  try {
    let logits = session.feed(typeof prompt === "string" ? promptIds(tokenizer, prompt) : prompt);
    for (let count = 1; count <= settings.maxTokens; count++) {
      settings.signal?.throwIfAborted();
      // A model may have more rows than the tokenizer has tokens; those stand for no text.
      const id = sampleToken(logits.subarray(0, tokenizer.vocabSize), sampling, () => random.next());
      const isEnd = stopTokens.has(id);
      const isLast = isEnd || count === settings.maxTokens || session.position === model.config.contextLength;
      held += (isEnd ? "" : decoder.push(id)) + (isLast ? decoder.end() : "");
      const stopAt = settings.stop ? held.indexOf(settings.stop) : -1;
      if (stopAt >= 0) { yield { text: held.slice(0, stopAt), id, expertIds: session.lastExpertIds.map((ids) => ids.slice()) }; return; }
      // What could be the beginning of the stop text waits for the next token.
      const keep = isLast || !settings.stop ? 0 : overlap(held, settings.stop);
      yield { text: held.slice(0, held.length - keep), id, expertIds: session.lastExpertIds.map((ids) => ids.slice()) };
      held = held.slice(held.length - keep);
      if (isLast) return;
      logits = session.feed(Int32Array.of(id));
      await nextTurn(); // lets a notebook show the piece and notice an interrupt
    }
  } finally {
    session.dispose();
  }
}

/** Token ids to start from: those of the prompt, or the end-of-text token, which stands before every text, when it is empty.
 *  @throws RequestError E_EMPTY_PROMPT when it is empty and the tokenizer has no end-of-text token */
export function promptIds(tokenizer: Tokenizer, prompt: string): Int32Array {
  if (prompt !== "") return tokenizer.encode(prompt);
  if (tokenizer.endOfText >= 0) return Int32Array.of(tokenizer.endOfText);
  throw new RequestError({ code: "E_EMPTY_PROMPT", what: "the prompt is empty", why: "this tokenizer has no end-of-text token to start from", fix: "give a prompt" });
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
export function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
