import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { contentsOf, runCell, startKernel, startKernelWithHeap } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

describe("a cell that asks for too much", () => {
  let client: KernelClient;
  beforeAll(async () => { client = await startKernelWithHeap(400); });
  afterAll(() => client.shutdown());
  const run = (code: string): Promise<CellReport> => runCell(client, code);

  test.each([
    ["calls itself without end", "function deeper(): number { return 1 + deeper() }\ndeeper()", "RangeError"],
    ["calls itself without end after an await", "async function later(): Promise<number> { return 1 + await later() }\nawait later()", "RangeError"],
    ["asks for a buffer of 8 PiB", "Buffer.alloc(2 ** 53)", "RangeError"],
    ["asks for a typed array larger than the machine", "new Float64Array(2 ** 40)", "RangeError"],
    ["loads something that is no addon", "process.dlopen({ exports: {} } as any, process.execPath)", "Error"],
    ["makes a string that is too long", "'x'.repeat(2 ** 30)", "RangeError"],
  ])("because it %s gets an error, and the kernel goes on", async (_, code, name) => {
    await run("const before = 41");
    expect((await run(code)).reply).toMatchObject({ status: "error", ename: name });
    expect((await run("before + 1")).result).toBe("42");
  });

  test("because it fills the heap is stopped with an error that says so, and the kernel goes on with its variables", async () => {
    await run("let hoard: any[] = []; const kept = { value: 6 }");
    const report = await run("for (;;) hoard.push(new Array(1000).fill(hoard.length))");
    expect(report.reply).toMatchObject({ status: "error", ename: "HeapExhaustedError" });
    expect(contentsOf(report, "error")[0]?.evalue).toMatch(/heap of 0\.\d GiB is full/);
    expect((await run("hoard = []; kept.value * 7")).result).toBe("42");
  });

  test("a `debugger` statement does not stop a cell, also when the heap is large", async () => {
    await run("hoard = []; for (let i = 0; i < 3e6; i++) hoard.push({ x: i })");
    expect((await run("for (const end = Date.now() + 500; Date.now() < end;); debugger; hoard.length")).result).toBe("3000000");
  });
});

describe("a cell that ends the process", () => {
  test.each([
    ["process.exit(3)", { code: 3, signal: null }],
    ["process.abort()", { code: null, signal: "SIGABRT" }],
  ])("by %s: its last output arrives, and the client learns how the kernel ended", async (code, exit) => {
    const client = await startKernel();
    const printed: string[] = [];
    const ended = client.execute(`console.log('last words'); ${code}`, { onMessage: ({ header, content }) => { if (header.msg_type === "stream") printed.push(String(content.text)); } });
    await expect(ended).rejects.toThrow(/E_KERNEL_DIED/);
    expect(await client.process.exited).toMatchObject(exit);
    expect(printed.join("")).toBe("last words\n");
    await client.close();
  });

  test("by a crash in native code: the client learns the signal, also with each later request", async () => {
    const client = await startKernel();
    await expect(client.execute("process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {})")).rejects.toThrow(/signal SIGSEGV/);
    await expect(client.execute("1 + 1")).rejects.toThrow(/signal SIGSEGV/);
    await client.close();
  });
});
