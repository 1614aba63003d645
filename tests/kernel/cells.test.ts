import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { contentsOf, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

let client: KernelClient;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  client = await startKernel(folder);
});
afterAll(() => client.shutdown());

const run = (code: string): ReturnType<typeof runCell> => runCell(client, code);

describe("results", () => {
  test.each([
    ["6 * 7", "42"],
    ["'text'", "'text'"],
    ["await (async () => 1)()", "1"],
    ["null", "null"],
    ["({ a: [1, 2] })", "{ a: [ 1, 2 ] }"],
    ["-0", "-0"],
    ["10n ** 20n", "100000000000000000000n"],
  ])("the value of the last expression is shown: %s", async (code, shown) => {
    expect((await run(code)).result).toBe(shown);
  });

  test.each(["const quiet = 5", "undefined", "5; const after = 6", "if (true) 7", "function nothing() { return 1 }", "", "// only a comment"])("a cell that does not end in a value shows no result: %s", async (code) => {
    const report = await run(code);
    expect(report.reply.status).toBe("ok");
    expect(report.types).toEqual(["execute_input"]);
  });

  test("values show themselves by Symbol.for(\"Jupyter.display\"), synchronous or not", async () => {
    const method = "[Symbol.for('Jupyter.display')]";
    const data = async (code: string): Promise<unknown> => contentsOf(await run(code), "execute_result")[0]?.data;
    expect(await data(`({ ${method}() { return { 'text/html': '<b>1</b>' } } })`)).toEqual({ "text/html": "<b>1</b>" });
    expect(await data(`({ async ${method}() { return { 'text/html': '<b>2</b>', 'x/y': new Float32Array([1, 2]) } } })`))
      .toEqual({ "text/html": "<b>2</b>", "x/y": [1, 2] });
    expect(await data(`({ ${method}() { return { 'image/png': new Uint8Array([137, 80]) } } })`)).toEqual({ "image/png": "iVA=" });
  });

  test("a display method that throws is the cell's error", async () => {
    expect((await run("({ [Symbol.for('Jupyter.display')]() { throw new RangeError('no picture') } })")).reply).toMatchObject({ status: "error", ename: "RangeError", evalue: "no picture" });
  });
});

describe("declarations over cells", () => {
  test("any name can be declared again as anything", async () => {
    const declarations = [
      "const again = 1", "let again = 'two'", "var again = [3]", "function again() { return 4 }", "class again { five = 5 }",
      "import again from 'node:path'", "enum again { Six = 6 }", "const again = 7", "const { again } = { again: 8 }", "async function again() { return 9 }",
    ];
    for (const code of declarations) expect((await run(code)).reply.status, code).toBe("ok");
    expect((await run("await again()")).result).toBe("9");
  });

  test("names of globals can be declared", async () => {
    await run("const crypto = { own: 1 }; const navigator = 'mine'; const name = 3");
    expect((await run("[crypto.own, navigator, name]")).result).toBe("[ 1, 'mine', 3 ]");
  });

  test("an enum declared again has only its new members", async () => {
    await run("enum Size { Small, Big }");
    await run("enum Size { Medium }");
    expect((await run("Object.keys(Size)")).result).toBe("[ '0', 'Medium' ]");
  });

  test("closures and classes of earlier cells work in later ones", async () => {
    await run("let count = 0; function increase() { count += 1; return count }");
    await run("class Counter<T> { constructor(readonly start: T) {} twice(): T[] { return [this.start, this.start] } }");
    expect((await run("increase(); increase(); [count, new Counter(count).twice()]")).result).toBe("[ 2, [ 2, 2 ] ]");
  });

  test("decorators, enums, namespaces and parameter properties run", async () => {
    await run("const seen: string[] = []; function logged(value: unknown, context: ClassMethodDecoratorContext) { seen.push(String(context.name)) }");
    await run("class Service { constructor(public port: number) {} @logged start() { return this.port } }\nnamespace Tools { export const unit = 'ms' }\nconst enum Level { Low = 3 }");
    expect((await run("[new Service(80).start(), seen, Tools.unit, Level.Low]")).result).toBe("[ 80, [ 'start' ], 'ms', 3 ]");
  });

  test("`using` disposes at the end of its cell", async () => {
    expect((await run("using lock = { [Symbol.dispose]() { console.log('closed') } };\nconsole.log('working')")).stdout).toBe("working\nclosed\n");
  });

  test("what a failing cell declared before its error stays", async () => {
    await run("const before = 1; throw new Error('stop')");
    expect((await run("before")).result).toBe("1");
  });

  test("properties put on globalThis are known to later cells", async () => {
    await run("(globalThis as any).planted = 5");
    expect((await run("planted + 1")).result).toBe("6");
  });

  test("exports in a cell are declarations", async () => {
    await run("export const shared = 4; export default shared; export { shared as other };");
    expect((await run("shared")).result).toBe("4");
  });
});

describe("errors", () => {
  test("a type error is reported before the cell runs, with code, message, line and column", async () => {
    const report = await run("console.log('must not run')\nconst word: string = 'a'\n  word.lenght");
    const place = /cell-\d+\.ts:3:8/;
    expect(report.reply).toMatchObject({ status: "error", ename: "TypeScriptError" });
    expect(report.reply.evalue).toMatch(/^TS2551: Property 'lenght' does not exist on type 'string'/);
    expect(report.reply.evalue).toMatch(place);
    expect((report.reply.traceback as string[]).join("\n")).toMatch(place);
    expect(report.stdout).toBe("");
    expect(report.types).toEqual(["execute_input", "error"]);
  });

  test("the types of earlier cells are known to later ones", async () => {
    await run("interface Point { x: number; y: number }\nfunction norm(p: Point) { return Math.hypot(p.x, p.y) }\nlet origin: Point = { x: 3, y: 4 }");
    expect((await run("origin = { x: 6, y: 8 }; norm(origin)")).result).toBe("10");
    expect((await run("norm({ x: 1, y: 'a' })")).reply.evalue).toMatch(/^TS2322: .*at cell-\d+\.ts:1:14/);
    expect((await run("norm(1)")).reply.evalue).toMatch(/^TS2345:/);
    expect((await run("const p: Point = { x: 1 }")).reply.evalue).toMatch(/^TS2741:/);
  });

  test("an undefined name, a wrong argument count and an assignment to a constant are errors", async () => {
    expect((await run("nowhere")).reply.evalue).toMatch(/^TS2304:/);
    expect((await run("Math.max.call()")).reply.status).toBe("error");
    await run("const fixed = 1");
    expect((await run("fixed = 2")).reply.evalue).toMatch(/^TS2588:/);
  });

  test.each(["function untyped(a, b) { return a + b }", "const list = []; list.push(1)", "list.push('b')", "const unusedName = 1", "const maybe = new Map<string, string>().get('k'); const n: string = maybe", "process.argv.find((a) => a === 'x')?.length", "let later; later = 5", "interface Result { ok: boolean; error?: string } ; const r: any = { ok: 1 }; r.whatever"])("notebooks are forgiven: %s", async (code) => {
    expect((await run(code)).reply).toMatchObject({ status: "ok" });
  });

  test("syntax errors name their place", async () => {
    const report = await run("const a = 1\nconst b = = 2");
    expect(report.reply.ename).toBe("SyntaxError");
    expect(report.reply.evalue).toMatch(/cell-\d+\.ts:2:11/);
  });

  test("a run-time error has name, message and the positions in the user's TypeScript", async () => {
    await run("interface Unused { a: string }\n\nfunction fail(reason: string): never {\n  throw new RangeError(`bad ${reason}`)\n}");
    const { reply } = await run("type Alias = string\n\nconst why: Alias = 'input'\n  fail(why)");
    expect(reply).toMatchObject({ status: "error", ename: "RangeError", evalue: "bad input" });
    const traceback = (reply.traceback as string[]).join("\n");
    expect(traceback).toMatch(/at fail \(cell-\d+\.ts:4:9\)\n\s+at cell-\d+\.ts:4:3/);
    expect(traceback).toContain("throw new RangeError");
    expect(traceback).not.toMatch(/node:|kernel\/runner/);
  });

  test("positions are exact after an await, in down-levelled code and in error.stack", async () => {
    const { reply } = await run("enum Kind { A }\nawait null\nclass Broken { @((v: any, c: any) => v) go() { throw new Error('deep') } }\nnew Broken().go()");
    expect((reply.traceback as string[]).join("\n")).toMatch(/cell-\d+\.ts:3:54[^]*cell-\d+\.ts:4:14/);
    expect((await run("\n\nnew Error('x').stack!.split('\\n')[1].trim()")).result).toMatch(/cell-\d+\.ts:3:1/);
  });

  test("thrown values that are no errors, rejections and causes are reported", async () => {
    expect((await run("throw { reason: 5 }")).reply).toMatchObject({ ename: "object", evalue: "{ reason: 5 }" });
    expect((await run("await Promise.reject(new TypeError('later'))")).reply).toMatchObject({ ename: "TypeError", evalue: "later" });
    const { reply } = await run("throw new Error('outer', { cause: new Error('inner') })");
    expect((reply.traceback as string[]).join("\n")).toMatch(/Error: outer[^]*Caused by:\nError: inner/);
  });

  test("errors of timers and forgotten promises are shown and the kernel goes on", async () => {
    const report = await run("setTimeout(() => { throw new Error('in timer') }, 1); Promise.reject(new Error('forgotten')); await new Promise((r) => setTimeout(r, 50))");
    expect(report.reply.status).toBe("ok");
    expect(report.stderr).toContain("in timer");
    expect(report.stderr).toContain("forgotten");
  });
});

describe("imports", () => {
  test("built-in, CommonJS, ESM, JSON and self-made packages with subpath exports are imported", async () => {
    const inPackage = (name: string, files: Record<string, string>): void => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(join(folder, "node_modules", name, path, ".."), { recursive: true });
        writeFileSync(join(folder, "node_modules", name, path), text);
      }
    };
    inPackage("old-style", { "package.json": JSON.stringify({ name: "old-style", main: "main.js" }), "main.js": "module.exports = { add: (a, b) => a + b, default: 1 }; const k = 'hidden'; module.exports[k] = 9" });
    inPackage("new-style", {
      "package.json": JSON.stringify({ name: "new-style", type: "module", exports: { ".": { types: "./index.d.ts", import: "./index.js" }, "./deep": "./lib/deep.js" } }),
      "index.js": "export default 'main'; export const version = await Promise.resolve(3)", "index.d.ts": "declare const main: string; export default main; export const version: number; export interface Options { a: number }",
      "lib/deep.js": "export const deep = 'subpath'",
    });
    writeFileSync(join(folder, "data.json"), JSON.stringify({ answer: 42 }));
    const report = await run([
      "import { join as glue, type ParsedPath } from 'node:path'", "import * as fs from 'fs'", "import { add, hidden } from 'old-style'",
      "import main, { version, Options } from 'new-style'", "import { deep } from 'new-style/deep'", "import data from './data.json'", "import type { Stats } from 'node:fs'",
      "const o: Options = { a: 1 };", "[glue('a', 'b'), typeof fs.statSync, add(1, 2), hidden, main, version, deep, data.answer, o.a]",
    ].join("\n"));
    expect(report.reply.evalue).toBeUndefined();
    expect(report.result?.replaceAll(/\s+/g, " ")).toContain("'a/b', 'function', 3, 9, 'main', 3, 'subpath', 42, 1");
    expect((await run("version + 1")).result).toBe("4");
    expect((await run("version.length")).reply.evalue).toMatch(/^TS2339:/);
    expect((await run("const again: Options = { a: 'x' }")).reply.evalue).toMatch(/^TS2322:/);
    expect((await run("(await import('new-style')).default")).result).toBe("'main'");
    expect((await run("require('old-style').add(2, 3)")).result).toBe("5");
  });

  test("a local TypeScript file is imported and loaded again when it or its imports change", async () => {
    const write = (name: string, text: string, time: number): void => {
      writeFileSync(join(folder, name), text);
      utimesSync(join(folder, name), time, time);
    };
    write("unit.ts", "export const factor: number = 2", 1000);
    write("scale.ts", "import { factor } from './unit.ts';\nenum Mode { Fast }\nexport let calls = 0;\nexport function scale(x: number): number { calls += 1; return x * factor + Mode.Fast }", 1000);
    expect((await run("import { scale } from './scale.ts'\nscale(4)")).result).toBe("8");
    expect((await run("import * as same from './scale.ts'\nsame.calls")).result).toBe("1");
    expect((await run("scale('4')")).reply.evalue).toMatch(/^TS2345:/);
    write("unit.ts", "export const factor: number = 3", 2000);
    expect((await run("import { scale } from './scale.ts'\nscale(4)")).result).toBe("12");
    write("unit.ts", "export function boom(): never {\n  throw new Error('inside')\n}", 3000);
    const { reply } = await run("import { boom } from './unit.ts'\nboom()");
    expect((reply.traceback as string[]).join("\n")).toMatch(/unit\.ts:2:9[^]*cell-\d+\.ts:2:1/);
  });

  test("a missing module, a missing name and a wrong dynamic import are errors of the cell", async () => {
    expect((await run("import nothing from 'not-there'")).reply.evalue).toMatch(/^TS2307:.*cell-\d+\.ts:1:21/);
    expect((await run("import { nothing } from 'node:path'")).reply.evalue).toMatch(/^TS2305:/);
    expect((await run("await import('./absent.js')")).reply).toMatchObject({ status: "error", ename: "Error" });
  });

  test("import.meta, require, __dirname speak of the notebook's folder", async () => {
    expect((await run("[import.meta.dirname === process.cwd(), __dirname === process.cwd(), import.meta.url.startsWith('file:')]")).result).toBe("[ true, true, true ]");
  });
});
