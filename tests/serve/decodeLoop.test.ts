import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { DecodeLoop } from "../../serve/decodeLoop.ts";
import type { DecodeEvent, DecodeJob, DecodeReport } from "../../serve/decodeMessages.ts";
import { RequestError } from "../../toolkit/errors.ts";
import { fakeModel, type FakeSettings } from "./fakeModel.ts";

const job: DecodeJob = { prompt: "a", maxTokens: 3, temperature: 0, topK: 0, topP: 1, seed: 0, stop: [], wantsExpertIds: false };

function start(settings: FakeSettings = {}, maxActive = 4) {
  const model = fakeModel(settings);
  const reports: DecodeReport[] = [];
  const loop = new DecodeLoop(model, { maxActive, prefillChunkTokens: 4 }, (report) => reports.push(report));
  const events = (): DecodeEvent[] => reports.flatMap((report) => (report.kind === "iteration" ? report.events : []));
  const ended = (id: number) => events().find((event) => event.id === id && (event.kind === "finished" || event.kind === "failed"));
  const end = async (id: number) => {
    for (let turn = 0; turn < 1000; turn++) {
      const event = ended(id);
      if (event !== undefined) return event;
      await nextTurn();
    }
    throw new Error(`sequence ${id} didn't end in 1000 turns`);
  };
  const textOf = (id: number) => events().map((event) => (event.id === id && (event.kind === "token" || event.kind === "finished") ? event.text : "")).join("");
  return { model, loop, reports, events, end, textOf };
}

test("a sequence starts, gives one event for each token, and finishes", async () => {
  const { loop, events, end, model } = start();
  loop.receive({ kind: "submit", id: 7, job });
  await end(7);
  expect(events()).toEqual([
    { kind: "started", id: 7, promptTokens: 1 },
    { kind: "token", id: 7, tokenId: 98, text: "b" },
    { kind: "token", id: 7, tokenId: 99, text: "c" },
    { kind: "token", id: 7, tokenId: 100, text: "d" },
    { kind: "finished", id: 7, reason: "length", text: "" },
  ]);
  expect(model.openSessions()).toBe(0);
});

test("the end-of-text token ends a completion with reason stop and counts as a token without text", async () => {
  const { loop, end, events, textOf } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "x", maxTokens: 50 } });
  expect(await end(1)).toMatchObject({ kind: "finished", reason: "stop" });
  expect(textOf(1)).toBe("yz");
  expect(events().filter((event) => event.kind === "token")).toHaveLength(3);
});

test("a stop text ends a completion and isn't part of it", async () => {
  const { loop, end, textOf } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, maxTokens: 50, stop: ["ef"] } });
  expect(await end(1)).toMatchObject({ reason: "stop" });
  expect(textOf(1)).toBe("bcd");
});

test("text held back for a stop text is given out when the completion ends at its length", async () => {
  const { loop, end, textOf } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, stop: ["dX"] } });
  expect(await end(1)).toMatchObject({ reason: "length", text: "d" });
  expect(textOf(1)).toBe("bcd");
});

test("bytes of an unfinished character wait, and come out as U+FFFD at the end", async () => {
  const { loop, end, events } = start();
  // "ÿ" is C3 BF in UTF-8; the bytes after it are C0 and C1, which are no UTF-8, and C2, which starts a character.
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "\u00ff" } });
  expect(await end(1)).toMatchObject({ text: "\ufffd" });
  expect(events().filter((event) => event.kind === "token").map(({ text }) => text)).toEqual(["\ufffd", "\ufffd", ""]);
});

test("active sequences take turns token by token", async () => {
  const order: number[] = [];
  const { loop, end } = start({ onFeed: (_ids, session) => order.push(session) });
  loop.receive({ kind: "submit", id: 1, job });
  loop.receive({ kind: "submit", id: 2, job });
  await Promise.all([end(1), end(2)]);
  expect(order).toEqual([0, 1, 0, 1, 0, 1]);
});

test("a long prompt is fed in chunks between which other sequences go on", async () => {
  const feeds: [number, number][] = [];
  const { loop, end } = start({ onFeed: (ids, session) => feeds.push([session, ids.length]) });
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "0123456789", maxTokens: 1 } });
  loop.receive({ kind: "submit", id: 2, job });
  await Promise.all([end(1), end(2)]);
  expect(feeds).toEqual([[0, 4], [1, 1], [0, 4], [1, 1], [0, 2], [1, 1]]);
});

test("a cancellation during prefill ends the sequence before its next chunk", async () => {
  const fed: number[] = [];
  const { loop, events, model } = start({ onFeed: (ids) => fed.push(ids.length) });
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "0123456789012345" } });
  await nextTurn();
  const fedBefore = fed.length;
  loop.receive({ kind: "cancel", id: 1 });
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  expect(fed.length).toBe(fedBefore);
  expect(fedBefore).toBeLessThan(4);
  expect(model.openSessions()).toBe(0);
  expect(events().filter((event) => event.kind !== "started")).toEqual([]);
});

test("a prompt that fills the context still gives one token, and one that is longer is refused", async () => {
  const { loop, end } = start({ contextLength: 6 });
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "abcdef", maxTokens: 9 } });
  loop.receive({ kind: "submit", id: 2, job: { ...job, prompt: "abcdefg" } });
  expect(await end(1)).toMatchObject({ kind: "finished", reason: "length" });
  expect(await end(2)).toMatchObject({ kind: "failed", error: { code: "E_PROMPT_TOO_LONG", status: 400, param: "prompt" } });
});

test("an empty prompt starts from the end-of-text token", async () => {
  const { loop, end, textOf } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "" } });
  await end(1);
  expect(textOf(1)).toBe("abc");
});

test("an empty prompt is refused where the tokenizer has no end-of-text token", async () => {
  const { loop, end } = start({ endOfText: undefined });
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "" } });
  expect(await end(1)).toMatchObject({ kind: "failed", error: { code: "E_PROMPT_EMPTY", status: 400 } });
});

test("a sequence that fails doesn't disturb the others", async () => {
  const broken = new RequestError({ code: "E_TEST", what: "w", why: "y", fix: "f" });
  const { loop, end, textOf, model } = start({ onFeed: (ids, session) => { if (session === 0 && ids[0] === 98) throw broken; } });
  loop.receive({ kind: "submit", id: 1, job });
  loop.receive({ kind: "submit", id: 2, job });
  expect(await end(1)).toMatchObject({ kind: "failed", error: { code: "E_TEST", status: 500 } });
  expect(await end(2)).toMatchObject({ kind: "finished" });
  expect(textOf(2)).toBe("bcd");
  expect(model.openSessions()).toBe(0);
});

test("expert counts are those of all fed tokens, of sequences that run and that have ended", async () => {
  const { loop, end, reports } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, prompt: "abcd", maxTokens: 1 } });
  await end(1);
  loop.receive({ kind: "countExperts", requestId: 5 });
  // bytes 97…100 are 1, 2, 3, 0 modulo 4: each of the 4 experts gets 2 of the 4 · 2 assignments in each layer
  expect(reports.at(-1)).toEqual({ kind: "expertCounts", requestId: 5, counts: [Float64Array.of(2, 2, 2, 2), Float64Array.of(2, 2, 2, 2)] });
});

test("with expert ids asked for, each token tells the experts that made it", async () => {
  const { loop, end, events } = start();
  loop.receive({ kind: "submit", id: 1, job: { ...job, maxTokens: 2, wantsExpertIds: true } });
  await end(1);
  // "a" is 97, 97 % 4 = 1: experts 1, 2 in layer 0 and 3, 0 in layer 1; "b" is one further
  expect(events().filter((event) => event.kind === "token").map(({ expertIds }) => expertIds)).toEqual([[[1, 2], [3, 0]], [[2, 3], [0, 1]]]);
});
