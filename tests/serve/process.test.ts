import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { streamCompletion } from "../../serve/client.ts";
import { startServer, type RunningServer, type StartServerSettings } from "../../serve/process.ts";
import { readBundle } from "../../toolkit/export/bundle.ts";
import { compiledEntry } from "../../toolkit/export/packageRoot.ts";
import { generate } from "../../toolkit/generate/generate.ts";
import { tinyExperts, tinyExpertsPerToken, tinyLayers, writeTinyBundle } from "./tinyBundle.ts";

let bundleDir = "";
let folder = "";
beforeAll(async () => { ({ bundleDir, folder } = await writeTinyBundle()); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: RunningServer[] = [];
async function serve(settings: StartServerSettings = {}, bundle = bundleDir): Promise<RunningServer> {
  const server = await startServer(bundle, settings);
  servers.push(server);
  return server;
}
afterEach(async () => { await Promise.all(servers.splice(0).map((server) => server.stop())); });

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH: there is no such process
  }
};

test("a served bundle writes the text that generate writes for the same prompt and seed", async () => {
  const { url } = await serve();
  const { model, tokenizer } = readBundle(bundleDir);
  const settings = { maxTokens: 30, temperature: 0.8, seed: 7 };
  let expected = "";
  for await (const piece of generate(model, tokenizer, "true places", settings)) expected += piece.text;
  let served = "";
  const reasons: (string | undefined)[] = [];
  for await (const piece of streamCompletion(url, { prompt: "true places", ...settings })) {
    served += piece.text;
    reasons.push(piece.finishReason);
  }
  expect(served).toBe(expected);
  expect(reasons.at(-1)).toBe("length");
  expect(reasons.length).toBe(30 + 1);
});

test("a model with more rows than its tokenizer has tokens is served", async () => {
  const roomy = await writeTinyBundle(2000);
  const { url } = await serve({}, roomy.bundleDir);
  let pieces = 0;
  for await (const piece of streamCompletion(url, { prompt: "map", maxTokens: 40, temperature: 5, seed: 1 })) pieces += piece.text.length >= 0 ? 1 : 0;
  expect(pieces).toBe(40 + 1);
  rmSync(roomy.folder, { recursive: true });
});

test("sequences that are decoded side by side don't change each other's text", async () => {
  const { url } = await serve({ maxActive: 4 });
  const complete = async (seed: number): Promise<string> => {
    let text = "";
    for await (const piece of streamCompletion(url, { prompt: "It is not ".repeat(seed), maxTokens: 20, seed })) text += piece.text;
    return text;
  };
  const seeds = [1, 2, 3, 4, 5, 6];
  const alone: string[] = [];
  for (const seed of seeds) alone.push(await complete(seed));
  expect(await Promise.all(seeds.map(complete))).toEqual(alone);
});

test("expert counters hold expertsPerToken assignments for each token and layer", async () => {
  const { url } = await serve({ expertMetrics: true });
  const response = await fetch(`${url}/v1/completions`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ prompt: "in any map", max_tokens: 8, moe_experts: true }) });
  const body = await response.json() as { usage: { prompt_tokens: number; completion_tokens: number }; choices: { moe_experts: number[][][] }[] };
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const counts = [...metrics.matchAll(/^moe_expert_tokens_total\{layer="(\d+)",expert="(\d+)"\} (\d+)$/gm)];
  expect(counts).toHaveLength(tinyLayers * tinyExperts);
  const total = counts.reduce((sum, [, , , tokens]) => sum + Number(tokens), 0);
  // The last generated token isn't fed.
  const fed = body.usage.prompt_tokens + body.usage.completion_tokens - 1;
  expect(total).toBe(fed * tinyLayers * tinyExpertsPerToken);
  const shown = body.choices[0]?.moe_experts ?? [];
  expect(shown).toHaveLength(body.usage.completion_tokens);
  expect(shown.every((layers) => layers.length === tinyLayers && layers.every((ids) => new Set(ids).size === tinyExpertsPerToken))).toBe(true);
});

test("leaving a stream early ends the request on the server", async () => {
  const { url } = await serve();
  for await (const piece of streamCompletion(url, { prompt: "never", maxTokens: 500 })) {
    expect(piece.text).toBeTypeOf("string");
    break;
  }
  for (let tries = 0; tries < 100; tries++) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    if (metrics.includes("moe_num_requests_running 0")) return;
    await wait(10);
  }
  throw new Error("the request still runs");
});

test("an error of the server reaches the client with its code and fix", async () => {
  const { url } = await serve();
  const tooLong = async () => { for await (const piece of streamCompletion(url, { prompt: "map ".repeat(2000) })) void piece; };
  await expect(tooLong()).rejects.toMatchObject({ name: "RequestError", code: "E_PROMPT_TOO_LONG" });
  const unreachable = async () => { for await (const piece of streamCompletion("http://127.0.0.1:9", { prompt: "a" })) void piece; };
  await expect(unreachable()).rejects.toMatchObject({ name: "ServerError", code: "E_SERVER_UNREACHABLE" });
});

test("a port in use is a typed error that names the port", async () => {
  const { url } = await serve();
  const port = Number(new URL(url).port);
  const second = startServer(bundleDir, { port });
  await expect(second).rejects.toMatchObject({ name: "ServerError", code: "E_PORT_IN_USE" });
  await expect(second).rejects.toThrow(`port ${port}`);
});

test("a damaged bundle and a missing one are typed errors that name the file", async () => {
  const damaged = join(folder, "damaged");
  cpSync(bundleDir, damaged, { recursive: true });
  writeFileSync(join(damaged, "config.json"), "{}");
  await expect(startServer(damaged)).rejects.toMatchObject({ code: "E_FOLDER_CORRUPT", what: expect.stringContaining("damaged") as unknown });
  await expect(startServer(join(folder, "nowhere"))).rejects.toMatchObject({ code: "E_FOLDER_CORRUPT" });
});

test("stop lets a stream finish and ends the process with exit code 0", async () => {
  const server = await serve();
  const stream = streamCompletion(server.url, { prompt: "true", maxTokens: 200, temperature: 1 });
  await stream.next();
  const stopped = server.stop();
  const pieces: (string | undefined)[] = [];
  for await (const piece of stream) pieces.push(piece.finishReason);
  expect(pieces.at(-1)).toMatch(/^(length|stop)$/);
  expect(await stopped).toBe(0);
  expect(isAlive(server.pid)).toBe(false);
});

test("a server that is killed breaks its streams with a typed error", async () => {
  const server = await serve();
  const stream = streamCompletion(server.url, { prompt: "true", maxTokens: 500 });
  await stream.next();
  process.kill(server.pid, "SIGKILL");
  const rest = async () => { for await (const piece of stream) void piece; };
  await expect(rest()).rejects.toMatchObject({ name: "ServerError", code: "E_STREAM_BROKEN" });
});

test("a server ends when the process that started it is killed", async () => {
  const parent = spawn(process.execPath, ["--input-type=module", "-e", `
    import { startServer } from ${JSON.stringify(compiledEntry("serve/index.js"))};
    console.log((await startServer(${JSON.stringify(bundleDir)})).pid);`], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: parent.stdout }), "line") as [string];
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  for (let tries = 0; tries < 200 && isAlive(pid); tries++) await wait(25);
  expect(isAlive(pid)).toBe(false);
});

test("the process prints one line of JSON when it listens, and wrong settings end it with code 2", async () => {
  const child = spawn(process.execPath, [compiledEntry("serve/main.js"), bundleDir, "--port", "0", "--log-level", "silent"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => { output += text; });
  await once(child.stdout, "data");
  expect(JSON.parse(output)).toEqual({ event: "listening", url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as unknown, pid: child.pid });
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(output.trim().split("\n")).toHaveLength(1);

  const wrong = spawn(process.execPath, [compiledEntry("serve/main.js"), bundleDir, "--port", "none"], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  wrong.stderr.setEncoding("utf8").on("data", (text: string) => { complaint += text; });
  expect(await once(wrong, "close")).toEqual([2, null]);
  expect(complaint).toContain("E_CONFIG_SETTING");
});
