import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { generate, overlap } from "../../toolkit/generate/generate.ts";
import { openSession } from "../../toolkit/generate/session.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import type { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";

let model: Transformer, tokenizer: Tokenizer;
beforeAll(async () => {
  await chooseBackend();
  tokenizer = trainTokenizer("the whale and the sea and the ship and the whale again ".repeat(20), { vocabSize: 280 });
  model = new Transformer(transformerConfig({ vocabSize: 280, numLayers: 2, width: 16, numHeads: 2, contextLength: 24, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } }), { seed: 3 });
  for (const weight of model.parameters().values()) if (weight.rank > 1) weight.assign(tf.mul(weight, 30));
});

async function textOf(settings: Parameters<typeof generate>[3], prompt: string | Int32Array = "the whale"): Promise<{ text: string; ids: number[] }> {
  let text = "";
  const ids: number[] = [];
  for await (const piece of generate(model, tokenizer, prompt, settings)) { text += piece.text; ids.push(piece.id); }
  return { text, ids };
}

describe("generating text", () => {
  test("the same seed gives the same text, another seed another", async () => {
    const first = await textOf({ maxTokens: 12, temperature: 1, seed: 5 });
    expect(await textOf({ maxTokens: 12, temperature: 1, seed: 5 })).toEqual(first);
    expect((await textOf({ maxTokens: 12, temperature: 1, seed: 6 })).ids).not.toEqual(first.ids);
  });

  test("greedy decoding with the cache takes the best token of a whole forward pass at every place", async () => {
    const { ids } = await textOf({ maxTokens: 8, temperature: 0 });
    const sequence = [...tokenizer.encode("the whale")];
    for (const id of ids) {
      const { logits } = model.forward(tf.tensor2d(sequence, [1, sequence.length], "int32"));
      const best = tf.argMax(tf.slice(logits, [sequence.length - 1, 0], [1, tokenizer.vocabSize]), 1).dataSync()[0];
      expect(id).toBe(best);
      sequence.push(id);
    }
  });

  test("ends when the context is full", async () => {
    const { ids } = await textOf({ maxTokens: 1000, temperature: 1 });
    expect(ids.length).toBeLessThanOrEqual(24);
  });

  test("a prompt that doesn't fit is refused", async () => {
    await expect(textOf({ maxTokens: 1 }, "xyzzy ".repeat(30))).rejects.toMatchObject({ code: "E_CONTEXT_FULL" });
  });

  test("stops before the stop text", async () => {
    const { text } = await textOf({ maxTokens: 12, temperature: 1, seed: 5 });
    const stop = text.slice(4, 7);
    expect((await textOf({ maxTokens: 12, temperature: 1, seed: 5, stop })).text).toBe(text.slice(0, text.indexOf(stop)));
  });

  test("ends with a stop token and leaves its text out", async () => {
    const { ids } = await textOf({ maxTokens: 12, temperature: 1, seed: 5 });
    const at = ids.findIndex((id, i) => i > 2 && !ids.slice(0, i).includes(id));
    const stopped = await textOf({ maxTokens: 12, temperature: 1, seed: 5, stopTokens: [ids[at]] });
    expect(stopped).toEqual({ ids: ids.slice(0, at + 1), text: tokenizer.decode(Int32Array.from(ids.slice(0, at))) });
  });

  test("goes on from token ids as from their text", async () => {
    const settings = { maxTokens: 6, temperature: 1, seed: 5 };
    expect(await textOf(settings, tokenizer.encode("the whale"))).toEqual(await textOf(settings, "the whale"));
  });

  test("leaves no tensors behind", async () => {
    const before = tf.memory().numTensors;
    await textOf({ maxTokens: 4 });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("a decode session", () => {
  test("counts K assignments for each token and layer", () => {
    const session = openSession(model);
    session.feed(Int32Array.of(1, 2, 3));
    session.feed(Int32Array.of(4));
    expect(session.position).toBe(4);
    expect(session.expertCounts.map((counts) => counts.reduce((a, b) => a + b))).toEqual([8, 8]);
    session.dispose();
  });

  test("counts nothing in a dense layer and names no experts there", () => {
    const halfDense = new Transformer(transformerConfig({ ...model.config, firstDenseLayers: 1 }), { seed: 3 });
    const session = openSession(halfDense);
    session.feed(Int32Array.of(1, 2, 3));
    expect(session.expertCounts.map((counts) => counts.reduce((a, b) => a + b))).toEqual([0, 6]);
    expect(session.lastExpertIds.map((ids) => ids.length)).toEqual([0, 2]);
    session.dispose();
    halfDense.dispose();
  });

  test.each([[[-1]], [[280]], [[]]])("refuses token ids %j", (ids) => {
    const session = openSession(model);
    expect(() => session.feed(Int32Array.from(ids))).toThrow(/E_TOKEN_RANGE|E_NO_TOKENS/);
    session.dispose();
  });
});

test("overlap finds the longest end of a text that begins the stop text", () => {
  expect(overlap("abc\n", "\n\n")).toBe(1);
  expect(overlap("ababa", "abac")).toBe(3);
  expect(overlap("abc", "xyz")).toBe(0);
});
