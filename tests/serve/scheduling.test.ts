import { request, type ClientRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { eventsOf, testApp } from "./app.ts";

const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => { await Promise.all(apps.splice(0).map((app) => app.close())); });

/** Opens a real connection and sends a request. */
async function send(app: ReturnType<typeof testApp>["app"], body: object): Promise<ClientRequest> {
  if (!app.server.listening) {
    apps.push(app);
    await app.listen({ host: "127.0.0.1", port: 0 });
  }
  const { port } = app.server.address() as AddressInfo;
  const client = request({ host: "127.0.0.1", port, path: "/v1/completions", method: "POST", headers: { "content-type": "application/json" } });
  client.on("error", () => { /* a connection that the test cuts */ });
  client.end(JSON.stringify(body));
  return client;
}

/** Makes each feed take as long as that of a real model. */
function slowly(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await isTrue()) return;
    await wait(5);
  }
  throw new Error("didn't happen in 2.5 s");
}

test("requests over the queue's length are refused at once with 503 and Retry-After, and the others are answered", async () => {
  const { complete, metric } = testApp({ maxActive: 1, maxQueue: 2 });
  const responses = await Promise.all(Array.from({ length: 5 }, () => complete({ prompt: "a", max_tokens: 8, temperature: 0 })));
  expect(responses.map(({ statusCode }) => statusCode).sort()).toEqual([200, 200, 200, 503, 503]);
  const refused = responses.find(({ statusCode }) => statusCode === 503);
  expect(refused?.headers["retry-after"]).toBe("1");
  expect(refused?.json()).toMatchObject({ error: { type: "overloaded_error", code: "E_QUEUE_FULL" } });
  expect(await metric('moe_request_failure_total{reason="queue_full"}')).toBe(2);
});

test("a client that leaves during its stream ends the request", async () => {
  const { app, model, metric } = testApp({ model: { contextLength: 100_000, isEndless: true } });
  const client = await send(app, { prompt: "a", max_tokens: 90_000, temperature: 0, stream: true });
  client.on("response", (response) => response.once("data", () => client.destroy()));
  await until(async () => (await metric('moe_request_failure_total{reason="cancelled"}')) === 1);
  await until(() => model.openSessions() === 0);
});

test("a client that leaves during prefill ends the request before its prompt is read to the end", async () => {
  let fedTokens = 0;
  const countSlowly = (ids: Int32Array) => {
    fedTokens += ids.length;
    slowly();
  };
  const { app, model } = testApp({ model: { contextLength: 100_000, onFeed: countSlowly } });
  const client = await send(app, { prompt: "a".repeat(4000), max_tokens: 2 });
  await until(() => fedTokens > 0);
  client.destroy();
  await until(() => model.openSessions() === 0);
  expect(fedTokens).toBeLessThan(4000);
});

test("a client that leaves while it waits gives its place in the queue to another", async () => {
  const { app, scheduler, complete, metric } = testApp({ maxActive: 1, maxQueue: 1, model: { contextLength: 100_000, isEndless: true } });
  const running = await send(app, { prompt: "a", max_tokens: 90_000, temperature: 0, stream: true });
  await until(async () => (await metric("moe_num_requests_running")) === 1);
  const waiting = await send(app, { prompt: "a" });
  await until(async () => (await metric("moe_num_requests_waiting")) === 1);
  waiting.destroy();
  await until(async () => (await metric("moe_num_requests_waiting")) === 0);
  running.destroy();
  expect((await complete({ prompt: "a", max_tokens: 1 })).statusCode).toBe(200);
  expect(scheduler.readiness).toBe("ready");
});

test("while draining the server isn't ready, refuses new requests and finishes those it has", async () => {
  const { app, scheduler, complete } = testApp({ maxActive: 1, model: { onFeed: slowly } });
  const accepted = [complete({ prompt: "a", max_tokens: 20, temperature: 0 }), complete({ prompt: "b", max_tokens: 20, temperature: 0 })];
  await wait(0);
  await until(async () => (await app.inject("/metrics")).body.includes("moe_num_requests_running 1"));
  const drained = scheduler.drain(10_000);
  const ready = await app.inject("/health/ready");
  expect([ready.statusCode, ready.json()]).toEqual([503, { status: "draining" }]);
  expect((await app.inject("/health/live")).statusCode).toBe(200);
  const late = await complete({ prompt: "a" });
  expect(late.statusCode).toBe(503);
  expect(late.json()).toMatchObject({ error: { code: "E_NOT_READY" } });
  await drained;
  expect((await Promise.all(accepted)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
});

test("a stream that outlasts the drain timeout ends with an error event", async () => {
  const { scheduler, complete, metric } = testApp({ model: { contextLength: 1_000_000, isEndless: true } });
  const endless = complete({ prompt: "a", max_tokens: 900_000, temperature: 0, stream: true });
  await until(async () => (await metric("moe_generation_tokens_total"))! > 0);
  const started = performance.now();
  await scheduler.drain(50);
  expect(performance.now() - started).toBeLessThan(2000);
  expect(JSON.parse(eventsOf((await endless).body).at(-1)!)).toMatchObject({ error: { code: "E_SHUTTING_DOWN" } });
});

test("when the decoder breaks its requests fail with a typed 500, waiting ones with 503, and the server isn't ready", async () => {
  const { app, decoder, complete } = testApp({ maxActive: 1, model: { contextLength: 100_000, isEndless: true } });
  const running = complete({ prompt: "a", max_tokens: 50_000, temperature: 0 });
  const waiting = complete({ prompt: "a" });
  await until(async () => (await app.inject("/metrics")).body.includes("moe_num_requests_running 1"));
  decoder.break();
  expect((await running).json()).toMatchObject({ error: { code: "E_DECODER_LOST", type: "server_error" } });
  expect((await waiting).statusCode).toBe(503);
  const ready = await app.inject("/health/ready");
  expect([ready.statusCode, ready.json()]).toEqual([503, { status: "loading" }]);
  expect((await complete({ prompt: "a" })).json()).toMatchObject({ error: { code: "E_NOT_READY" } });
});
