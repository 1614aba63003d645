import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { magicNames } from "../../kernel/magics/magicTable.ts";
import { parseMagic } from "../../kernel/magics/parseMagic.ts";
import { duration } from "../../kernel/magics/timing.ts";
import { contentsOf, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

let client: KernelClient;

beforeAll(async () => { client = await startKernel(temporaryFolder()); });
afterAll(() => client.shutdown());

const run = (code: string): ReturnType<typeof runCell> => runCell(client, code);
const TIMES = /^wall [\d.e+]+ (ms|s), CPU [\d.e+]+ (ms|s) \(user [\d.e+]+ (ms|s), system [\d.e+]+ (ms|s)\)\n$/;

describe("what is a magic", () => {
  test.each(["%time", "%%html", "\n  \n%who", "  %who x", "%nonsense"])("a first line that is not blank and begins with a name behind %%: %j", (code) => {
    expect(parseMagic(code)).not.toBeNull();
  });

  test.each(["", "1\n%time", "const a = 7\n% 4", "% 4", "%", "%%", "'%time'", "// %time\n1", "x %time", "%time%"])("nothing else: %j", (code) => {
    expect(parseMagic(code)).toBeNull();
  });

  test("code of a magic keeps its line and columns", () => {
    const code = "\n %time f(x)\r\nnext()";
    const call = parseMagic(code);
    expect(call).toMatchObject({ name: "%time", argument: "f(x)", body: "next()" });
    expect(call?.argumentCode.split(/\r?\n/)).toEqual(["", "       f(x)"]);
    expect(call?.bodyCode.split(/\r?\n/)).toEqual(["", "           ", "next()"]);
  });

  test("the remainder operator works at the start of a line", async () => {
    expect((await run("const seven = 7\n% 4\nseven")).result).toBe("3");
  });
});

describe("magics", () => {
  test("%time runs its line, shows its result and time, and then the lines below", async () => {
    const report = await run("%time await new Promise((done) => { setTimeout(() => { done('late') }, 40) })\nconsole.log('below'); const after = 1");
    expect(report.result).toBe("'late'");
    const [times = "", below] = report.stdout.split(/(?<=\)\n)/);
    expect(times).toMatch(TIMES);
    // A timer may fire a millisecond early.
    expect(/^wall ([\d.]+)/.exec(times)?.[1]).toSatisfy((text: string) => Number(text) >= 39 || times.includes("wall 1"));
    expect(below).toBe("below\n");
    expect((await run("after")).result).toBe("1");
  });

  test("%%time takes the whole cell, and names declared in it stay", async () => {
    const report = await run("%%time\nconst timed = 5\ntimed * 2");
    expect(report.result).toBe("10");
    expect(report.stdout).toMatch(TIMES);
    expect((await run("timed")).result).toBe("5");
  });

  test("errors below a magic have the cell's positions", async () => {
    expect((await run("%time nowhere\n1")).reply.evalue).toMatch(/^TS2304: .*at cell-\d+\.ts:1:7/);
    const { reply, stdout } = await run("\n%%time\n\n  throw new Error('third')");
    expect((reply.traceback as string[]).join("\n")).toMatch(/cell-\d+\.ts:4:9/);
    expect(stdout).toMatch(TIMES);
  });

  test("what stands below a failing %time is not run", async () => {
    const report = await run("%time throw new Error('no')\nconsole.log('must not run')");
    expect(report.reply).toMatchObject({ status: "error", evalue: "no" });
    expect(report.stdout).not.toContain("must not run");
  });

  test("%%html and %%markdown show the rest of the cell as it is", async () => {
    const html = "<b onclick=\"f('%time')\">\n  € 𝒳</b>\n";
    expect(contentsOf(await run(`%%html\n${html}`), "display_data")).toEqual([{ data: { "text/html": html, "text/plain": html }, metadata: {}, transient: {} }]);
    expect(contentsOf(await run("\n%%markdown\r\n# Title"), "display_data")[0]?.data).toEqual({ "text/markdown": "# Title", "text/plain": "# Title" });
  });

  test("%who lists names with their types, the newest last", async () => {
    await run("%reset");
    await run("const first = [1, 2]; function half(x: number) { return x / 2 }\ninterface Point { x: number }\nclass Box<T> { constructor(readonly value: T) {} }");
    await run("let Event = 'of mine'; import { join } from 'node:path'");
    expect((await run("%who")).stdout).toBe([
      "first  number[]", "half   (x: number) => number", "Point  type", "Box    typeof Box", "Event  string", "join   (...paths: string[]) => string",
    ].map((line) => `${line}\n`).join(""));
    expect((await run("%who half")).stdout).toBe("half  (x: number) => number\n");
  });

  test("%reset forgets all names, or those given, and gives built-in ones back", async () => {
    await run("const kept = 1; const lost = new Array(10).fill(0); (globalThis as any).structuredClone = 'broken'");
    expect((await run("%reset lost")).stdout).toMatch(/^Forgotten: 1 name\. Not undone: .*modules/);
    expect((await run("lost")).reply.evalue).toMatch(/^TS2304:/);
    expect((await run("kept")).result).toBe("1");
    await run("%reset");
    expect((await run("kept")).reply.evalue).toMatch(/^TS2304:/);
    expect((await run("(globalThis as any).lost")).types).toEqual(["execute_input"]);
    expect((await run("[typeof structuredClone, typeof display]")).result).toBe("[ 'function', 'function' ]");
    expect((await run("%who")).stdout).toBe("no cell has declared a name\n");
    expect((await run("const lost = 'again'; lost")).result).toBe("'again'");
    expect((await run("lost.length")).result).toBe("5");
  });

  test("several magics may stand above one another", async () => {
    const report = await run("%reset\n%time const one = 1\n%who\none");
    expect(report.stdout).toMatch(/^Forgotten[^\n]*\nwall [^\n]*\none {2}1\n$/);
    expect(report.result).toBe("1");
  });

  test("%help and %lsmagic list all of them", async () => {
    const { stdout } = await run("%help");
    for (const name of magicNames()) expect(stdout).toContain(name);
    expect((await run("%lsmagic")).stdout).toBe(stdout);
    expect(magicNames()).toEqual(expect.arrayContaining(["%time", "%%time", "%who", "%reset", "%%html", "%help"]));
  });

  test("an unknown magic or name is an error that tells what there is", async () => {
    const { reply } = await run("%timeit 1");
    expect(reply).toMatchObject({ status: "error", ename: "MagicError" });
    for (const name of magicNames()) expect(reply.evalue).toContain(name);
    expect((reply.traceback as string[]).join("\n")).toMatch(/1 \| %timeit 1\n +\| ~{7}\n +at cell-\d+\.ts:1:1/);
    expect((await run("%reset nosuch")).reply).toMatchObject({ status: "error", ename: "MagicError" });
  });

  test("a silent magic shows nothing", async () => {
    expect((await runCell(client, "%%html\n<b>1</b>", { silent: true })).types).toEqual([]);
    expect((await runCell(client, "%help", { silent: true })).types).toEqual([]);
  });

  test.each([[0.01234, "0.0123 ms"], [12.345, "12.3 ms"], [999, "999 ms"], [1530, "1.53 s"], [59_990, "59.99 s"], [61_400, "1 min 1 s"], [3_599_900, "60 min 0 s"]])("%d ms reads %s", (milliseconds, text) => {
    expect(duration(milliseconds)).toBe(text);
  });
});
