import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DebugClient, valuesOf } from "./debugClient.ts";
import type { ShownVariable } from "./debugClient.ts";
import { pause, startKernel, temporaryFolder } from "./kernelHarness.ts";

const folder = temporaryFolder();
let debug: DebugClient;

beforeAll(async () => {
  debug = new DebugClient(await startKernel(folder));
  await debug.start();
});
afterAll(() => debug.client.shutdown());
afterEach(() => debug.clear());

/** Runs a cell up to a line.
 *  @returns lets it go on, and its report */
async function stopAt(code: string, line: number): Promise<() => ReturnType<DebugClient["run"]>> {
  await debug.breakAt(code, line);
  const cell = debug.run(code);
  await debug.stopped();
  return async () => {
    await debug.do("continue");
    return cell;
  };
}

async function local(name: string): Promise<ShownVariable> {
  const [scope] = await debug.scopes();
  const found = (await debug.variables(scope?.variablesReference ?? 0)).find((variable) => variable.name === name);
  if (found === undefined) throw new Error(`there is no variable ${name}`);
  return found;
}

describe("values", () => {
  test("are shown in one line and taken apart without running getters", async () => {
    const code = `function look() {
  class Box { #secret = 1; width = 2; get area() { throw new Error("ran") } }
  const box = new Box(), list = [1, "two", null], map = new Map([["a", { b: 1 }]]), nothing = undefined
  const big = 10n, when = new Date(0), floats = Float32Array.of(1.5, 2), failure = new RangeError("far"), arrow = () => 1
  return [box, list, map, nothing, big, when, floats, failure, arrow]
}
look().length`;
    const goOn = await stopAt(code, 5);
    expect(await debug.scope("Locals")).toMatchObject({
      list: "[ 1, 'two', null ]", map: "Map(1) { 'a' => { b: 1 } }", nothing: "undefined", big: "10n", floats: "Float32Array(2) [ 1.5, 2 ]", failure: "RangeError: far",
    });
    expect(valuesOf(await debug.variables((await local("box")).variablesReference))).toEqual({ width: "2", "#secret": "1" });
    expect(await debug.variables((await local("list")).variablesReference)).toMatchObject([
      { name: "0", value: "1", evaluateName: "list[0]" }, { name: "1", value: "'two'" }, { name: "2", value: "null" }, { name: "length", value: "3" },
    ]);
    expect((await local("map")).type).toBe("Map(1)");
    // JupyterLab shows a type in place of the value.
    expect((await local("big")).type).toBeUndefined();
    expect((await goOn()).result).toBe("9");
  });

  test("of large lists come in ranges, or in the part that was asked for", async () => {
    const goOn = await stopAt("function many() {\n  const numbers = Array.from({ length: 25_000 }, (_, i) => i * 2)\n  return numbers\n}\nmany().length", 3);
    const numbers = await local("numbers");
    expect(numbers).toMatchObject({ type: "Array(25000)", indexedVariables: 25_000 });
    const ranges = await debug.variables(numbers.variablesReference);
    expect(ranges.map(({ name }) => name)).toEqual(["[0…9999]", "[10000…19999]", "[20000…24999]"]);
    const inner = await debug.variables(ranges[2]?.variablesReference ?? 0);
    expect(inner).toHaveLength(50);
    const last = await debug.variables(inner.at(-1)?.variablesReference ?? 0);
    expect(last.at(-1)).toMatchObject({ name: "24999", value: "49998", evaluateName: "numbers[24999]" });
    expect((await debug.variables(numbers.variablesReference, { filter: "indexed", start: 500, count: 2 })).map(({ name, value }) => [name, value])).toEqual([["500", "1000"], ["501", "1002"]]);
    await goOn();
    expect(await debug.ask("variables", { variablesReference: numbers.variablesReference })).toMatchObject({ success: false });
  });

  test("of closures and of this have their places", async () => {
    const goOn = await stopAt("class Counter {\n  step = 2\n  by(times: number) {\n    return [1].map((n) => {\n      return n * times * this.step\n    })\n  }\n}\nnew Counter().by(4)", 5);
    expect(await debug.scope("Locals")).toMatchObject({ n: "1", this: "Counter { step: 2 }" });
    expect(await debug.scope("Closure (by)")).toMatchObject({ times: "4" });
    expect((await goOn()).result).toBe("[ 8 ]");
  });

  test("are evaluated in the frame as TypeScript, set, copied and displayed", async () => {
    const goOn = await stopAt(`function work(a: number) {
  let label = "old"
  const shown = { [Symbol.for("Jupyter.display")]() { return { "text/markdown": "**a**" } } }
  const part = { inner: [1, 2] }
  return label + a + part.inner.length + String(shown)
}
work(2).slice(0, 5)`, 5);
    const [frame] = await debug.frames();
    const frameId = frame?.id ?? 0;
    const evaluate = (expression: string, context = "repl"): Promise<Record<string, unknown>> => debug.ask("evaluate", { expression, frameId, context });
    expect(await evaluate("(a as number) + 40")).toMatchObject({ success: true, body: { result: "42", variablesReference: 0 } });
    expect(await evaluate("{ a, label }")).toMatchObject({ body: { result: "{ a: 2, label: 'old' }" } });
    expect(await evaluate("const b: number = 5; b * a")).toMatchObject({ body: { result: "10" } });
    expect(await evaluate("nowhere")).toMatchObject({ success: false, message: expect.stringContaining("ReferenceError: nowhere is not defined") as string });
    expect(await evaluate("a +")).toMatchObject({ success: false, message: expect.stringContaining("SyntaxError") as string });
    expect(await evaluate("input('?')")).toMatchObject({ success: false, message: expect.stringContaining("E_INPUT_REFUSED") as string });
    expect(await evaluate("label = 'changed'", "hover")).toMatchObject({ success: false });
    expect(await debug.do("richInspectVariables", { variableName: "shown", frameId })).toEqual({ data: { "text/markdown": "**a**" }, metadata: {} });
    expect(await debug.do("richInspectVariables", { variableName: "part.inner[1]", frameId })).toEqual({ data: { "text/plain": "2" }, metadata: {} });
    const [locals] = await debug.scopes();
    expect(await debug.do("setVariable", { variablesReference: locals?.variablesReference, name: "label", value: "'new' as string" })).toMatchObject({ value: "'new'" });
    const part = await local("part");
    expect(await debug.do("setVariable", { variablesReference: part.variablesReference, name: "inner", value: "[]" })).toMatchObject({ value: "[]", type: "Array(0)" });
    await debug.do("copyToGlobals", { srcVariableName: "a", dstVariableName: "copied", srcFrameId: frameId });
    expect(await debug.scope("Globals")).toMatchObject({ copied: "2" });
    expect((await goOn()).result).toBe("'new20'");
    expect((await debug.run("copied")).result).toBe("2");
  });
});

describe("errors", () => {
  test.each([
    ["thrown at the top", "const word = 'x'\nthrow new TypeError('bad ' + word)", 2],
    ["after an await", "await null\nthrow new TypeError('bad x')", 2],
    ["in an asynchronous function", "async function fails() {\n  await null\n  throw new TypeError('bad x')\n}\nawait fails()", 3],
    ["of a built-in function", "function parse() {\n  return JSON.parse('{')\n}\nparse()", 2],
  ])("that nobody catches stop the cell: %s", async (_, code, line) => {
    await debug.do("setExceptionBreakpoints", { filters: ["uncaught"] });
    const cell = debug.run(code);
    expect(await debug.stopped()).toMatch(new RegExp(`^exception .*:${line}$`));
    expect((await debug.do("exceptionInfo")).exceptionId).toMatch(/^(Type|Syntax)Error$/);
    await debug.do("continue");
    expect((await cell).reply.status).toBe("error");
  });

  test("that are caught stop only where that is wanted", async () => {
    const code = "async function late() {\n  await null\n  throw new Error('late')\n}\ntry { throw new Error('early') } catch {}\ntry {\n  await late()\n} catch {}\n'end'";
    await debug.do("setExceptionBreakpoints", { filters: ["uncaught"] });
    expect((await debug.run(code)).result).toBe("'end'");
    await debug.do("setExceptionBreakpoints", { filters: ["caught"] });
    const cell = debug.run(code);
    expect(await debug.stopped()).toMatch(/^exception .*:5$/);
    expect(await debug.step("continue")).toBe("exception late:3");
    await debug.do("continue");
    expect((await cell).result).toBe("'end'");
  });
});

describe("a main thread that stands", () => {
  test("answers control requests, and an interrupt ends its cell", async () => {
    const code = "let rounds = 0\nfor (;;) {\n  rounds += 1\n}";
    await debug.breakAt(code, 3);
    const cell = debug.run(code);
    await debug.stopped();
    expect((await debug.client.request("control", "kernel_info_request", {})).content.status).toBe("ok");
    await debug.client.interrupt();
    expect((await cell).reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
    expect((await debug.run("rounds")).result).toBe("0");
  });

  test("is not lost to an expression that never ends", async () => {
    const code = "const calm = 1\nconst wild = 2";
    await debug.breakAt(code, 2);
    const cell = debug.run(code);
    await debug.stopped();
    const [frame] = await debug.frames();
    const value = debug.ask("evaluate", { expression: "for (;;) {}", frameId: frame?.id, context: "repl" });
    await pause(200);
    await debug.client.interrupt();
    expect(await value).toMatchObject({ success: false });
    expect((await cell).reply.ename).toBe("KeyboardInterrupt");
    expect((await debug.run("calm")).result).toBe("1");
  });

  test("is reached by an interrupt after an await too, and lets a cell that reads cellSignal end by itself", async () => {
    const waiting = "await null\nlet after = 1\nawait new Promise(() => {})";
    await debug.breakAt(waiting, 2);
    const first = debug.run(waiting);
    await debug.stopped();
    await debug.client.interrupt();
    expect((await first).reply.ename).toBe("KeyboardInterrupt");
    const code = "const signal = cellSignal\nlet step = 0\nstep += 1\nwhile (!signal.aborted) await new Promise((next) => setTimeout(next, 1))\n'saved'";
    await debug.breakAt(code, 3);
    const second = debug.run(code);
    await debug.stopped();
    await debug.client.interrupt();
    expect((await second).result).toBe("'saved'");
  });

  test("was stopped by a pause in a busy cell, or before the next cell when none runs", async () => {
    const busy = debug.run("let spins = 0\nfor (;;) {\n  spins += 1\n}");
    await pause(300);
    await debug.do("pause", { threadId: 1 });
    expect(await debug.stopped()).toMatch(/^pause \(cell-\d+\.ts\):[23]$/);
    await debug.client.interrupt();
    await busy;
    await debug.do("pause", { threadId: 1 });
    const next = debug.run("// a comment\nconst fresh = 1\nfresh");
    expect(await debug.stopped()).toMatch(/^pause \(cell-\d+\.ts\):2$/);
    await debug.do("continue");
    expect((await next).result).toBe("1");
    expect((await debug.run("fresh")).result).toBe("1");
  });

  test("goes on when the debugger disconnects, and nothing stops any more", async () => {
    const code = "function halt() {\n  const n = 1\n  return n\n}\nhalt()";
    await debug.breakAt(code, 2);
    const cell = debug.run(code);
    await debug.stopped();
    await debug.stop();
    expect((await cell).result).toBe("1");
    expect((await debug.run(code)).result).toBe("1");
    expect(await debug.do("debugInfo")).toMatchObject({ isStarted: false, breakpoints: [], stoppedThreads: [] });
    expect(debug.events.at(-1)?.event).toBe("terminated");
    await debug.start();
    expect((await debug.run(code)).result).toBe("1");
  });

  test("ends with a shutdown at once", async () => {
    const other = new DebugClient(await startKernel(folder));
    await other.start();
    await other.breakAt("let a = 1\na = 2", 2);
    other.run("let a = 1\na = 2").catch(() => undefined);
    await other.stopped();
    expect(await other.client.shutdown()).toMatchObject({ code: 0 });
  });
});

describe("files", () => {
  test("a breakpoint in a local module stops, also after the module has changed", async () => {
    const path = join(folder, "shape.ts");
    writeFileSync(path, "export interface Size { w: number }\nexport function area(size: Size): number {\n  const w = size.w;\n  return w * w;\n}\n");
    expect(await debug.breakInFile(path, 3)).toMatchObject([{ verified: true, line: 3 }]);
    const cell = debug.run("import { area } from './shape.ts'\narea({ w: 3 })");
    expect(await debug.stopped()).toBe("breakpoint area:3");
    expect((await debug.frames()).map(({ source, line }) => [source.name, line])).toEqual([["shape.ts", 3], [expect.stringMatching(/^cell-/), 2]]);
    expect((await debug.do("source", { source: { path } })).content).toContain("export interface Size");
    expect((await debug.do<{ modules: { path: string }[] }>("modules")).modules.map((module) => module.path)).toContain(path);
    expect(await debug.step("next")).toBe("step area:4");
    await debug.do("continue");
    expect((await cell).result).toBe("9");
    writeFileSync(path, "export interface Size { w: number }\nexport const two = 2;\nexport function area(size: Size): number {\n  return two * size.w;\n}\n");
    await debug.breakInFile(path, 4);
    const again = debug.run("import { area } from './shape.ts'\narea({ w: 3 })");
    expect(await debug.stopped()).toBe("breakpoint area:4");
    await debug.do("continue");
    expect((await again).result).toBe("6");
  });

  test("the source of a cell is what was dumped, and unknown sources are refused", async () => {
    const path = (await debug.do("dumpCell", { code: "const dumped = 1" })).sourcePath as string;
    expect(await debug.do("source", { source: { path } })).toEqual({ content: "const dumped = 1", mimeType: "text/typescript" });
    for (const unknown of ["/etc/hostname", "node:fs", ""]) expect(await debug.ask("source", { source: { path: unknown } })).toMatchObject({ success: false });
  });
});
