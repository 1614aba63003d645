import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { heartbeatDuring } from "../kernel/heartbeatClient.ts";
import { runCell, startKernel, startKernelWithHeap } from "../kernel/kernelHarness.ts";
import { RawClient } from "../kernel/rawClient.ts";

const TIMEOUT_MS = 300_000;

describe.skipIf(process.env.PEERS !== "1")("a kernel under load", () => {
  let client: KernelClient;
  beforeAll(async () => { client = await startKernel(); });
  afterAll(() => client.shutdown());
  const alive = async (): Promise<void> => { expect((await runCell(client, "6 * 7")).result).toBe("42"); };

  test("a cell of 100 MB runs, and the heartbeat comes back meanwhile", async () => {
    const text = "x".repeat(1e8);
    const { beats } = await heartbeatDuring(client.process.connection, async () => {
      const reply = await client.execute(`/* ${text} */ const sizeOfNothing = 1`);
      expect(reply.content.evalue).toBeUndefined();
    });
    expect(beats).toBeGreaterThan(20);
    expect((await runCell(client, "sizeOfNothing")).result).toBe("1");
  }, TIMEOUT_MS);

  test("an output of 100 MB arrives whole", async () => {
    const report = await runCell(client, "console.log('y'.repeat(1e8)); display({ 'text/plain': 'z'.repeat(1e7) })");
    expect(report.stdout.length).toBe(1e8 + 1);
    expect(report.types).toEqual(["execute_input", "stream", "display_data"]);
    await alive();
  }, TIMEOUT_MS);

  test("50,000 requests sent at once are all answered, in order", async () => {
    const flood = new RawClient(client.process.connection);
    const count = 50_000;
    const sending = (async () => {
      for (let i = 0; i < count; i++) await flood.sockets.shell.send(flood.frames("connect_request", {}, { msg_id: String(i) }));
    })();
    for (let i = 0; i < count; i++) {
      const reply = await flood.receive("shell");
      if (reply.parentHeader.msg_id !== String(i)) expect.fail(`reply ${i} is for ${String(reply.parentHeader.msg_id)}`);
    }
    await sending;
    flood.close();
    await alive();
  }, TIMEOUT_MS);
});

describe.skipIf(process.env.PEERS !== "1")("a full heap", () => {
  let client: KernelClient;
  beforeAll(async () => { client = await startKernelWithHeap(400); });
  afterAll(() => client.shutdown());

  test.each([
    ["a loop that waits", "for (;;) { await null; for (let i = 0; i < 1000; i++) hoard.push({ x: [hoard.length] }) }"],
    ["a loop over timers", "for (;;) { await new Promise((r) => setTimeout(r, 1)); for (let i = 0; i < 100_000; i++) hoard.push({ x: [i] }) }"],
    ["large arrays", "for (;;) hoard.push(new Array(1e6).fill(1.5))"],
    ["JSON", "for (;;) hoard.push(JSON.parse(JSON.stringify({ a: [1, 2, 3, 4, 5] })))"],
    ["strings", "for (let i = 0; ; i++) hoard.push(`line ${i}`.split(''))"],
  ])("from %s stops the cell and not the kernel", async (_, code) => {
    await runCell(client, "let hoard: any[] = []; const kept = { value: 6 }");
    expect((await runCell(client, code)).reply).toMatchObject({ status: "error", ename: "HeapExhaustedError" });
    expect((await runCell(client, "hoard = []; kept.value * 7")).result).toBe("42");
  }, TIMEOUT_MS);
});
