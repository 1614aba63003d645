import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DebugClient, valuesOf } from "./debugClient.ts";
import type { ShownVariable } from "./debugClient.ts";
import { startKernel, temporaryFolder } from "./kernelHarness.ts";

const folder = temporaryFolder();
let debug: DebugClient;

beforeAll(async () => { debug = new DebugClient(await startKernel(folder)); });
afterAll(() => debug.client.shutdown());

const LENGTH = `interface Point { x: number; y: number }

function length(point: Point): number {
  const square = point.x ** 2 + point.y ** 2;
  return Math.sqrt(square);
}

let total = 0;
for (const x of [3, 6]) {
  const point: Point = { x, y: 4 };
  total += length(point);
}
total`;

describe("without a started debugger", () => {
  test("kernel_info names it, and debugInfo tells how to name the source of a cell", async () => {
    const info = (await debug.client.request("shell", "kernel_info_request", {})).content;
    expect(info).toMatchObject({ debugger: true, supported_features: ["debugger", "kernel subshells"] });
    const { tmpFilePrefix, ...rest } = await debug.do("debugInfo");
    expect(rest).toMatchObject({ isStarted: false, hashMethod: "Murmur2", tmpFileSuffix: ".ts", breakpoints: [], stoppedThreads: [], richRendering: true, copyToGlobals: true });
    expect(rest.hashSeed).toBe(0xc70f6907);
    // From JupyterLab's own hash.ts with this seed.
    const hashes: [string, number][] = [
      ["", 3990065800], ["a", 2167009006], ["ab", 2805137849], ["abc", 3350977461], ["const a = 1\na", 41269110], ["let é = '😀'", 2228439456], ["x".repeat(1001), 2469510316],
    ];
    for (const [code, hash] of hashes) expect(await debug.do("dumpCell", { code })).toEqual({ sourcePath: `${String(tmpFilePrefix)}${hash}.ts` });
  });

  test("the variables of the notebook can be looked at, also as they display themselves", async () => {
    await debug.run("const seen = 3; let hits = 0; const page = { get hidden() { hits += 1; return 1 }, [Symbol.for('Jupyter.display')]() { return { 'text/html': '<b>page</b>' } } }");
    const { variables } = await debug.do<{ variables: ShownVariable[] }>("inspectVariables");
    expect(valuesOf(variables)).toMatchObject({ seen: "3", hits: "0" });
    expect(Object.keys(valuesOf(variables))).not.toContain("console");
    expect(await debug.do("richInspectVariables", { variableName: "page" })).toEqual({ data: { "text/html": "<b>page</b>" }, metadata: {} });
    expect(await debug.do("richInspectVariables", { variableName: "seen" })).toEqual({ data: { "text/plain": "3" }, metadata: {} });
    const parts = await debug.variables(variables.find(({ name }) => name === "page")?.variablesReference ?? 0);
    expect(valuesOf(parts).hidden).toBe("[Getter]");
    expect((await debug.run("hits")).result).toBe("0");
  });

  test("requests that need it fail with a reason, and so do unknown ones", async () => {
    for (const command of ["stackTrace", "continue", "setBreakpoints", "dance"]) {
      expect(await debug.ask(command)).toMatchObject({ type: "response", command, success: false, message: expect.any(String) as string });
    }
  });
});

describe("with a debugger", () => {
  beforeAll(async () => {
    expect((await debug.start()).exceptionBreakpointFilters).toHaveLength(2);
    await debug.next("initialized");
  });
  afterEach(() => debug.clear());

  test("a breakpoint moves to the next line that has code", async () => {
    // Lines of the interface and of the function's head have none.
    expect(await debug.breakAt(LENGTH, 1, 3, 5, 7, 10)).toEqual([4, 4, 5, 8, 10]);
    const path = (await debug.do("dumpCell", { code: LENGTH })).sourcePath as string;
    expect(await debug.breakInFile(path, 14)).toMatchObject([{ verified: false }]);
    const set = await debug.breakInFile(path, 5, 10);
    expect(set).toMatchObject([{ verified: true, line: 5, source: { path } }, { verified: true, line: 10 }]);
    expect((await debug.do("debugInfo")).breakpoints).toEqual([{ source: path, breakpoints: [{ line: 5 }, { line: 10 }] }]);
  });

  test("a cell stops at its lines, shows frames and variables, steps and goes on", async () => {
    await debug.breakAt(LENGTH, 4);
    const cell = debug.run(LENGTH);
    expect(await debug.stopped()).toBe("breakpoint length:4");
    const frames = await debug.frames();
    expect(frames.map(({ name, line }) => `${name}:${line}`)).toEqual(["length:4", expect.stringMatching(/^\(cell-\d+\.ts\):11$/)]);
    expect(frames[1]?.source.path).toBe((await debug.do("dumpCell", { code: LENGTH })).sourcePath);
    expect((await debug.scopes()).map(({ name }) => name)).toEqual(["Locals", "Globals"]);
    expect(await debug.scope("Locals")).toEqual({ point: "{ x: 3, y: 4 }", square: "undefined" });
    expect(await debug.scope("Globals")).toMatchObject({ total: "0" });
    expect(await debug.step("next")).toBe("step length:5");
    expect(await debug.scope("Locals")).toEqual({ point: "{ x: 3, y: 4 }", square: "25" });
    expect(await debug.do("debugInfo")).toMatchObject({ isStarted: true, stoppedThreads: [1] });
    expect(await debug.step("continue")).toBe("breakpoint length:4");
    expect(await debug.scope("Globals")).toMatchObject({ total: "5" });
    await debug.do("continue");
    expect(await debug.next("continued")).toEqual({ threadId: 1, allThreadsContinued: true });
    expect((await cell).result).toBe(String(5 + Math.sqrt(52)));
    expect(await debug.ask("stackTrace")).toMatchObject({ success: false });
  });

  test("the top level of a cell shows the notebook's variables among its own", async () => {
    const code = "let first = 'one'\nfor (let index = 0; index < 1; index++) {\n  first += index\n}";
    await debug.breakAt(code, 3);
    const cell = debug.run(code);
    expect(await debug.stopped()).toMatch(/^breakpoint \(cell-\d+\.ts\):3$/);
    expect(await debug.scope("Locals")).toMatchObject({ index: "0", first: "'one'" });
    await debug.do("continue");
    await cell;
  });

  test("every execution of a text stops, and so does a function of an earlier cell", async () => {
    const code = "function twice(n: number) {\n  return 2 * n\n}\ntwice(1)";
    await debug.run(code);
    await debug.breakAt(code, 2);
    const later = debug.run("twice(4)");
    expect(await debug.stopped()).toBe("breakpoint twice:2");
    expect((await debug.frames()).map(({ name }) => name)).toEqual(["twice", expect.stringMatching(/^\(cell-/)]);
    await debug.do("continue");
    expect((await later).result).toBe("8");
    for (let i = 0; i < 2; i++) {
      const again = debug.run(code);
      expect(await debug.stopped()).toBe("breakpoint twice:2");
      await debug.do("continue");
      expect((await again).result).toBe("2");
    }
  });

  test("conditions are TypeScript, and a log point prints and goes on", async () => {
    const code = "for (let i = 0; i < 5; i++) {\n  const square = i * i\n  String(square)\n}\n'end'";
    await debug.breakAt(code, { line: 3, condition: "(square as number) === 9" });
    const cell = debug.run(code);
    await debug.stopped();
    expect(await debug.scope("Locals")).toMatchObject({ i: "3", square: "9" });
    await debug.do("continue");
    await cell;
    await debug.breakAt(code, { line: 3, logMessage: "square of {i as number} is {square}", condition: "i > 2" });
    expect((await debug.run(code)).stdout).toBe("square of 3 is 9\nsquare of 4 is 16\n");
    expect(await debug.do("setBreakpoints", { source: { path: (await debug.do("dumpCell", { code })).sourcePath }, breakpoints: [{ line: 3, condition: "i >" }] }))
      .toMatchObject({ breakpoints: [{ verified: false, message: expect.stringContaining("SyntaxError") as string }] });
  });

  test("a timer's callback stops after its cell has ended, and its interrupt keeps the kernel", async () => {
    const code = "setTimeout(() => {\n  const late = 5\n  String(late)\n}, 50)\nundefined";
    await debug.breakAt(code, 3);
    await debug.run(code);
    expect(await debug.stopped()).toBe("breakpoint (anonymous):3");
    expect(await debug.scope("Locals")).toEqual({ late: "5" });
    await debug.client.interrupt();
    await debug.next("continued");
    expect((await debug.run("1 + 1")).result).toBe("2");
  });

  test("steps go over an await, into and out of functions, and past the end of the cell", async () => {
    const code = "async function inner(n: number) {\n  await null\n  return n + 1\n}\nlet one = 1\none = await inner(one)\none";
    await debug.breakAt(code, 5);
    const cell = debug.run(code);
    expect(await debug.stopped()).toMatch(/:5$/);
    expect(await debug.step("next")).toMatch(/^step \(cell-\d+\.ts\):6$/);
    expect(await debug.step("stepIn")).toBe("step inner:2");
    expect(await debug.step("next")).toBe("step inner:3");
    expect(await debug.step("stepOut")).toMatch(/^step \(cell-\d+\.ts\):7$/);
    await debug.do("next");
    expect((await cell).result).toBe("2");
    // What is left of a step does not stop the next cell.
    expect((await debug.run("one + 1")).result).toBe("3");
  });

  test("steps pass over code that the compiler added, and into callbacks", async () => {
    const decorated = `function logged(value: any, _context: any) {
  return value
}
class Adder {
  @logged
  add(n: number) {
    using scope = { [Symbol.dispose]() {} }
    return n + 1
  }
}
[1, 2].map((n) => {
  return new Adder().add(n)
})`;
    await debug.breakAt(decorated, 2, 8, 11);
    const cell = debug.run(decorated);
    expect(await debug.stopped()).toBe("breakpoint logged:2");
    expect(await debug.step("stepOut")).toMatch(/^breakpoint \(cell-\d+\.ts\):11$/);
    expect(await debug.step("stepIn")).toBe("step (anonymous):12");
    expect(await debug.step("continue")).toBe("breakpoint add:8");
    expect(await debug.scope("Locals")).toMatchObject({ n: "1" });
    expect(await debug.step("continue")).toBe("breakpoint add:8");
    expect(await debug.scope("Locals")).toMatchObject({ n: "2" });
    await debug.do("continue");
    expect((await cell).result).toBe("[ 2, 3 ]");
  });
});
