import { expect, test } from "vitest";
import { testApp } from "./app.ts";

test("the counters tell what was decoded", async () => {
  const { complete, metric } = testApp();
  await complete({ prompt: "abcd", max_tokens: 3, temperature: 0 });
  await complete({ prompt: "y", max_tokens: 9, temperature: 0 });
  expect(await metric("moe_prompt_tokens_total")).toBe(5);
  expect(await metric("moe_generation_tokens_total")).toBe(3 + 2); // "y" → "z", end of text
  expect(await metric('moe_request_success_total{finished_reason="length"}')).toBe(1);
  expect(await metric('moe_request_success_total{finished_reason="stop"}')).toBe(1);
  expect(await metric("moe_time_to_first_token_seconds_count")).toBe(2);
  expect(await metric("moe_inter_token_latency_seconds_count")).toBe(2 + 1);
  expect(await metric("moe_request_prompt_tokens_sum")).toBe(5);
  expect(await metric("moe_request_generation_tokens_sum")).toBe(5);
  // fed: 4 + 2 tokens of the first (its last isn't fed), 1 + 1 of the second
  expect(await metric("moe_iteration_tokens_total_sum")).toBe(8);
  expect(await metric("moe_num_requests_running")).toBe(0);
  expect(await metric("moe_kv_cache_usage_ratio")).toBe(0);
});

test("expert tokens are counted by layer and expert, once, however often they are scraped", async () => {
  const { complete, metric } = testApp();
  await complete({ prompt: "aaa", max_tokens: 1, temperature: 0 });
  await metric("anything");
  await complete({ prompt: "a", max_tokens: 1, temperature: 0 });
  // "a" goes to experts 1 and 2 of layer 0 and to 3 and 0 of layer 1
  const tokens = async (layer: number) => await Promise.all([0, 1, 2, 3].map((expert) => metric(`moe_expert_tokens_total{layer="${layer}",expert="${expert}"}`)));
  expect(await tokens(0)).toEqual([0, 4, 4, 0]);
  expect(await tokens(1)).toEqual([4, 0, 0, 4]);
  // loads 0, 4, 4, 0: mean 2, standard deviation 2
  expect(await metric('moe_expert_load_cv{layer="0"}')).toBe(1);
});

test("the first scrape holds the load variation of its own counts", async () => {
  const { complete, metric } = testApp();
  await complete({ prompt: "aaa", max_tokens: 1, temperature: 0 });
  expect(await metric('moe_expert_load_cv{layer="1"}')).toBe(1);
});

test("expert metrics are absent unless asked for", async () => {
  const { app, complete } = testApp({ expertMetrics: false });
  await complete({ prompt: "a" });
  expect((await app.inject("/metrics")).body).not.toContain("moe_expert");
});

test("the process's own metrics are there too", async () => {
  const { app } = testApp();
  const { body, headers } = await app.inject("/metrics");
  expect(headers["content-type"]).toContain("text/plain");
  expect(body).toContain("process_cpu_seconds_total");
  expect(body).toContain("nodejs_eventloop_lag_seconds");
});
