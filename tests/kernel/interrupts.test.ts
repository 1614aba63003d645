import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { pause, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

/** A hang limit and no more: `npm run bench -- kernel` measures how fast an interrupt is. */
const HANG_MS = 2000;
/** A cell that has said that it runs has come to what it is stopped in by then. */
const INTO_THE_WORK_MS = 50;

let client: KernelClient;
const run = (code: string): Promise<CellReport> => runCell(client, code);
beforeAll(async () => {
  client = await startKernel(temporaryFolder());
  await run("import { AsyncLocalStorage, createHook } from 'node:async_hooks'; import { exec, execSync, spawn, spawnSync } from 'node:child_process'; import { Worker } from 'node:worker_threads'");
  await run("const kept = { value: 41 }");
});
afterAll(async () => { await client.shutdown(); });

/** Interrupts a cell that runs. */
async function stopped(code: string): Promise<CellReport> {
  let isRunning = (): void => undefined;
  const started = new Promise<void>((resolve) => { isRunning = resolve; });
  const running = runCell(client, `console.log("running"); ${code}`, { onMessage: ({ header }) => { if (header.msg_type === "stream") isRunning(); } });
  await started;
  await pause(INTO_THE_WORK_MS);
  const startedMs = performance.now();
  await client.interrupt();
  const report = await running;
  expect(report.reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
  expect(performance.now() - startedMs).toBeLessThan(HANG_MS);
  return report;
}

describe("an interrupt", () => {
  test.each([
    ["Atomics.wait", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"],
    ["a regular expression that backtracks", "/^(a+)+$/.test('a'.repeat(50) + 'b')"],
    ["a loop of sorts", "const big = Array.from({ length: 1e6 }, (_, i) => Math.sin(i)); for (;;) big.sort((a, b) => a - b).reverse()"],
    ["a loop that catches everything", "for (;;) { try { for (;;); } catch {} finally {} }"],
    ["an async generator", "async function* numbers() { for (let i = 0; ; i++) yield i }\nfor await (const i of numbers());"],
    ["an async generator with pauses", "async function* slowly() { for (;;) { await new Promise((r) => setTimeout(r, 2)); yield 1 } }\nfor await (const i of slowly());"],
    ["a chain of promises", "const chain = (): Promise<void> => Promise.resolve().then(chain); await chain()"],
    ["a chain of nextTick", "const tick = () => process.nextTick(tick); tick(); await new Promise(() => {})"],
    ["a chain of setImmediate", "const immediate = () => setImmediate(immediate); immediate(); await new Promise(() => {})"],
    ["a chain of queueMicrotask", "const micro = () => queueMicrotask(micro); micro(); await new Promise(() => {})"],
    ["a request that is never answered", "const { createServer } = await import('node:http'); const server = createServer(() => {}).listen(0);\nconst { port } = server.address() as { port: number }; await fetch(`http://127.0.0.1:${port}`)"],
  ])("stops %s and keeps the state", async (_, code) => {
    await stopped(code);
    expect((await run("kept.value + 1")).result).toBe("42");
    expect((await run("await new Promise((r) => setTimeout(() => r('alive'), 1))")).result).toBe("'alive'");
  });

  test.each([
    ["AsyncLocalStorage", "const storage = new AsyncLocalStorage<number>(); await storage.run(7, async () => { await null; for (;;); })"],
    ["AsyncLocalStorage and a timer", "const timed = new AsyncLocalStorage(); await timed.run(7, async () => { await new Promise((r) => setTimeout(r, 1)); for (;;); })"],
    ["createHook", "createHook({ init() {}, before() {}, after() {} }).enable(); await new Promise((r) => setTimeout(r, 1)); for (;;);"],
  ])("stops a busy loop behind an await in a cell that uses %s, and contexts still reach what they should", async (_, code) => {
    await stopped(code);
    await stopped(code);
    const contexts = `const contexts = new AsyncLocalStorage<number>();
      const seen = contexts.run(7, async () => {
        const before = contexts.getStore(); await null; const awaited = contexts.getStore();
        return [before, awaited, await new Promise((r) => setTimeout(() => r(contexts.getStore()), 1))];
      });
      const outside = contexts.getStore();
      [...await seen, outside, kept.value]`;
    expect((await run(contexts)).result).toBe("[ 7, 7, 7, undefined, 41 ]");
  });

  test.each([
    ["execSync", "execSync('sleep 60; sleep 60')"],
    ["spawnSync", "spawnSync('sleep', ['60'], { stdio: 'inherit' })"],
  ])("ends the process that %s waits for, on Linux", async (_, code) => {
    await run("const background = spawn('sleep', ['60'])");
    await stopped(code);
    // A later interrupt of something else leaves processes alone.
    await stopped("for (;;);");
    expect((await run("[background.exitCode, background.signalCode]")).result).toBe("[ null, null ]");
    await run("background.kill()");
  });

  test("ends the child processes and worker threads of the stopped cell, and leaves those of ended cells alone", async () => {
    await run("const older = spawn('sleep', ['60'])");
    await stopped(`const child = spawn('sleep', ['60']); const shell = exec('sleep 60');
      const thread = new Worker('setInterval(() => {}, 10)', { eval: true }); const threadExit = new Promise((r) => thread.on('exit', r)); await new Promise(() => {})`);
    await run("await Promise.all([threadExit, ...[child, shell].map((one) => one.exitCode ?? one.signalCode ?? new Promise((r) => one.on('exit', r)))])");
    expect((await run("[child.signalCode, shell.signalCode, older.exitCode, older.signalCode]")).result).toBe("[ 'SIGINT', 'SIGINT', null, null ]");
    await run("older.kill()");
  });

  test("stops a cell that prints without end, and the kernel's memory stays bounded", async () => {
    const running = run("for (let i = 0; ; i++) console.log('a line that is printed without end', i)");
    await pause(1000);
    await client.interrupt();
    expect((await running).reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
    // A second of output is some hundred MB; a kernel itself takes about 150.
    expect(Number((await run("process.memoryUsage().rss / 1e6")).result)).toBeLessThan(500);
  });
});
