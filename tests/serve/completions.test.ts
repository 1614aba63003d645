import { describe, expect, test } from "vitest";
import { eventsOf, testApp } from "./app.ts";

interface Body {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string | null; readonly moe_experts?: number[][][] }[];
  readonly usage?: object;
}

describe("POST /v1/completions", () => {
  test("answers with text, finish_reason and usage in the shape of OpenAI", async () => {
    const { complete } = testApp();
    const response = await complete({ prompt: "a", max_tokens: 3, temperature: 0 });
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^cmpl-/) as unknown, object: "text_completion", created: expect.any(Number) as unknown, model: "alphabet",
      choices: [{ index: 0, text: "bcd", logprobs: null, finish_reason: "length" }],
      usage: { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 },
    });
  });

  test("gives 16 tokens unless max_tokens is set, as OpenAI does", async () => {
    const { complete } = testApp();
    expect((await complete({ prompt: "0", temperature: 0 })).json<Body>().usage).toMatchObject({ completion_tokens: 16 });
  });

  test("streams one event for each token, usage in the last, then [DONE]", async () => {
    const { complete } = testApp();
    const response = await complete({ prompt: "w", max_tokens: 10, temperature: 0, stream: true });
    expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    const events = eventsOf(response.body);
    expect(events.at(-1)).toBe("[DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Body);
    expect(chunks.map(({ choices }) => choices[0]?.text)).toEqual(["x", "y", "z", "", ""]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, null, "stop"]);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === undefined)).toBe(true);
    expect(chunks.at(-1)?.usage).toEqual({ prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 });
  });

  test("with moe_experts each event names the experts that made its token", async () => {
    const { complete } = testApp();
    const response = await complete({ prompt: "a", max_tokens: 2, temperature: 0, stream: true, moe_experts: true });
    const chunks = eventsOf(response.body).slice(0, -1).map((event) => JSON.parse(event) as Body);
    expect(chunks.map(({ choices }) => choices[0]?.moe_experts)).toEqual([[[[1, 2], [3, 0]]], [[[2, 3], [0, 1]]], []]);
    const whole = (await complete({ prompt: "a", max_tokens: 2, temperature: 0, moe_experts: true })).json<Body>();
    expect(whole.choices[0]?.moe_experts).toEqual([[[1, 2], [3, 0]], [[2, 3], [0, 1]]]);
  });

  test("ends before a stop text, given alone or in a list", async () => {
    const { complete } = testApp();
    for (const stop of ["e", ["X", "e"]]) {
      const { choices } = (await complete({ prompt: "a", max_tokens: 9, temperature: 0, stop })).json<Body>();
      expect(choices[0]).toMatchObject({ text: "bcd", finish_reason: "stop" });
    }
  });

  test("takes fields of OpenAI at the values that change nothing", async () => {
    const { complete } = testApp();
    const neutral = { n: 1, best_of: 1, echo: false, logprobs: null, suffix: null, logit_bias: {}, presence_penalty: 0, frequency_penalty: 0, user: "u", stream_options: { include_usage: true }, seed: 4, stop: null };
    expect((await complete({ prompt: "a", model: "alphabet", ...neutral })).statusCode).toBe(200);
  });

  test.each([
    [{}, "prompt", "E_REQUEST_INVALID"],
    [{ prompt: 3 }, "prompt", "E_REQUEST_INVALID"],
    [{ prompt: "a", max_tokens: 0 }, "max_tokens", "E_REQUEST_INVALID"],
    [{ prompt: "a", max_tokens: "3" }, "max_tokens", "E_REQUEST_INVALID"],
    [{ prompt: "a", temperature: -1 }, "temperature", "E_REQUEST_INVALID"],
    [{ prompt: "a", top_p: 0 }, "top_p", "E_REQUEST_INVALID"],
    [{ prompt: "a", top_k: -1 }, "top_k", "E_REQUEST_INVALID"],
    [{ prompt: "a", n: 2 }, "n", "E_REQUEST_INVALID"],
    [{ prompt: "a", echo: true }, "echo", "E_REQUEST_INVALID"],
    [{ prompt: "a", stop: ["a", "b", "c", "d", "e"] }, "stop", "E_REQUEST_INVALID"],
    [{ prompt: "a", maxTokens: 3 }, "maxTokens", "E_REQUEST_UNKNOWN_FIELD"],
  ])("refuses %j with 400 naming the field %s", async (payload, param, code) => {
    const { complete, metric } = testApp();
    const response = await complete(payload);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toEqual({
      error: {
        message: expect.stringContaining(code) as unknown, type: "invalid_request_error", code, param,
        what: expect.stringContaining(param) as unknown, why: expect.any(String) as unknown, fix: expect.any(String) as unknown,
      },
    });
    expect(await metric('moe_request_failure_total{reason="invalid"}')).toBe(1);
  });

  test("refuses a body that isn't JSON with 400 and a missing content type with 415", async () => {
    const { app } = testApp();
    const send = (headers: Record<string, string>, payload: string) => app.inject({ method: "POST", url: "/v1/completions", headers, payload });
    expect((await send({ "content-type": "application/json" }, "{")).statusCode).toBe(400);
    expect((await send({ "content-type": "text/x-prompt" }, "a")).statusCode).toBe(415);
  });

  test("refuses a prompt longer than the context with 400 before any stream begins", async () => {
    const { complete } = testApp({ model: { contextLength: 4 } });
    const response = await complete({ prompt: "abcde", stream: true });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { code: "E_PROMPT_TOO_LONG", param: "prompt", what: "the prompt has 5 tokens" } });
  });

  test("answers 404 for another model's name and for unknown routes", async () => {
    const { app, complete } = testApp();
    const response = await complete({ prompt: "a", model: "gpt-9" });
    expect(response.statusCode).toBe(404);
    expect(response.json()).toMatchObject({ error: { code: "E_MODEL_NOT_FOUND", param: "model" } });
    const lost = await app.inject("/v2/nothing?secret=1");
    expect(lost.statusCode).toBe(404);
    expect(lost.json()).toMatchObject({ error: { code: "E_ROUTE_NOT_FOUND", what: "GET /v2/nothing isn't served here" } });
  });

  test("a failure while decoding is a 500, or the last event of a stream that has begun, and never tells the prompt", async () => {
    const onFeed = (ids: Int32Array) => { if (ids[0] === "c".charCodeAt(0)) throw new Error("broken weights"); };
    const { complete, metric } = testApp({ model: { onFeed } });
    const whole = await complete({ prompt: "secret a", temperature: 0 });
    expect(whole.statusCode).toBe(500);
    expect(whole.json()).toMatchObject({ error: { type: "server_error", code: "E_DECODE_FAILED" } });
    expect(whole.body).not.toContain("secret");
    const streamed = await complete({ prompt: "secret a", temperature: 0, stream: true });
    expect(streamed.statusCode).toBe(200);
    expect(eventsOf(streamed.body).map((event) => JSON.parse(event) as object).at(-1)).toMatchObject({ error: { code: "E_DECODE_FAILED" } });
    expect(await metric('moe_request_failure_total{reason="decoder"}')).toBe(2);
  });
});

describe("GET /v1/models", () => {
  test("lists the served model under its configured name", async () => {
    const { app } = testApp({ modelName: "my-moe" });
    expect((await app.inject("/v1/models")).json()).toMatchObject({ object: "list", data: [{ id: "my-moe", object: "model", created: 1_700_000_000, moe: { numExperts: 4 } }] });
  });
});
