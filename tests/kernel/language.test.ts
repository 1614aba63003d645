import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { excerpt } from "../../kernel/runner/excerpt.ts";
import { runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

let client: KernelClient;
let folder: string;
let clock = 1_000_000;

/** Writes a file of the notebook's folder, each time with a later modification time. */
function write(path: string, content: object | string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  clock += 10;
  utimesSync(file, clock, clock);
}

beforeAll(async () => {
  folder = temporaryFolder();
  write("node_modules/only-import/package.json", { name: "only-import", exports: { import: "./main.mjs" } });
  write("node_modules/only-import/main.mjs", "export const which = 'import'");
  write("node_modules/only-require/package.json", { name: "only-require", exports: { require: "./main.cjs" } });
  write("node_modules/only-require/main.cjs", "exports.which = 'require'");
  write("node_modules/awaiting/package.json", { name: "awaiting", type: "module", exports: { ".": "./main.js", "./sub": "./lib/sub.js" } });
  write("node_modules/awaiting/main.js", "export const value = await Promise.resolve(5); export default value + 1");
  write("node_modules/awaiting/lib/sub.js", "export const sub = 'path'");
  write("node_modules/preact/package.json", { name: "preact", type: "module", exports: { "./jsx-runtime": "./jsx.js" } });
  write("node_modules/preact/jsx.js", "export const jsx = (type, props) => ({ type, props }); export const jsxs = jsx; export const Fragment = 'fragment'");
  client = await startKernel(folder);
});
afterAll(() => client.shutdown());

const run = (code: string): ReturnType<typeof runCell> => runCell(client, code);

/** The result of the last of some cells; each must end well. */
async function result(...cells: string[]): Promise<string | undefined> {
  let shown: string | undefined;
  for (const code of cells) {
    const report = await run(code);
    expect(report.reply.evalue, code).toBeUndefined();
    shown = report.result;
  }
  return shown;
}

async function traceback(code: string): Promise<string> {
  const { reply } = await run(code);
  expect(reply.status).toBe("error");
  return (reply.traceback as string[]).join("\n");
}

describe("TypeScript in cells", () => {
  test.each([
    ["enum Unit { Ms = 1, S }; [Unit.S, Unit[2]]", "[ 2, 'S' ]"],
    ["const enum Flag { A = 5, B = A * 2 }; Flag.B", "10"],
    ["namespace Outer { export const a = 1; export namespace Inner { export const b = 2 } }; Outer.Inner.b", "2"],
    ["function merged() { return merged.extra } namespace merged { export let extra = 7 }; merged()", "7"],
    ["class Both { } namespace Both { export const extra = 8 }; Both.extra", "8"],
    ["import Alias = Outer.Inner; Alias.b", "2"],
    ["class Hidden { #x = 1; static has(o: object) { return #x in o } get x() { return this.#x } }; [new Hidden().x, Hidden.has({})]", "[ 1, false ]"],
    ["function* three() { yield 1; yield* [2, 3] }; [...three()]", "[ 1, 2, 3 ]"],
    ["function over(a: string): string; function over(a: number): number; function over(a: unknown) { return a }; over(5)", "5"],
    ["const { a: renamed, ...others } = { a: 1, b: 2 }; const [one, , three3 = 9, ...tail] = [1, 2, undefined, 4]; [renamed, others, one, three3, tail]", "[ 1, { b: 2 }, 1, 9, [ 4 ] ]"],
    ["let [renamed, one] = ['a', 'b']; renamed + one", "'ab'"],
    ["class Twice { @((_v: unknown, _c: ClassFieldDecoratorContext) => (x: number) => x * 2) value = 4; accessor other = 1 }; new Twice().value", "8"],
    ["const generic = <T,>(value: T): T[] => [value]; generic(<number>3)", "[ 3 ]"],
  ])("%s", async (code, shown) => {
    expect(await result(code)).toBe(shown);
  });

  test.each([
    ["if (await Promise.resolve(true)) console.log('yes')", "yes\n"],
    ["for (let i = await Promise.resolve(0); i < await Promise.resolve(2); i++) console.log(i)", "0\n1\n"],
    ["async function* two() { yield 1; yield 2 }; for await (const v of two()) console.log(v)", "1\n2\n"],
    ["outer: for (const a of [1, 2]) { for (const b of [1, 2]) { if (await (b === 2)) continue outer; console.log(a, b) } }", "1 1\n2 1\n"],
    ["try { await Promise.reject(new Error('x')) } catch { console.log(`caught ${await 'it'}`) } finally { await null; console.log('end') }", "caught it\nend\n"],
    ["const { q = await Promise.resolve(5) } = {} as { q?: number }; class Sub extends (await Array) {}; console.log(q, new Sub().length)", "5 0\n"],
    ["{ using a = { [Symbol.dispose]() { console.log('closed') } }; console.log('open') }", "open\nclosed\n"],
    ["await using b = { async [Symbol.asyncDispose]() { await null; console.log('closed later') } }; console.log('open')", "open\nclosed later\n"],
  ])("await and disposal in every position: %s", async (code, output) => {
    const report = await run(code);
    expect(report.reply.evalue).toBeUndefined();
    expect(report.stdout).toBe(output);
  });

  test("JSX is compiled for the runtime that is installed", async () => {
    expect((await result("const Item = ({ n }: { n: number }) => <li>{n}</li>; const list = <ul id='u'><Item n={1}/></ul>; [list.type, list.props.id, list.props.children.props]"))).toBe("[ 'ul', 'u', { n: 1 } ]");
    expect(await result("(<><b/>text</>).type")).toBe("'fragment'");
  });

  test("a mistake in JSX is told as one", async () => {
    expect((await run("const open = <div><b></div>")).reply.evalue).toMatch(/^TS17008: JSX element 'b' has no corresponding closing tag/);
  });

  test("a name is declared again with another meaning, also as a type", async () => {
    expect(await result("class Thing { a = 1 }", "type Thing = string; const thing: Thing = 'x'; thing", "interface Thing { b: number }", "const thing2: Thing = { b: 3 }; thing2.b")).toBe("3");
    expect((await run("const wrong: Thing = { a: 1 }")).reply.evalue).toMatch(/^TS2353:/);
    expect(await result("function sign(a: number) { return a }", "function sign(a: string) { return a + '!' }; sign('s')")).toBe("'s!'");
  });

  test("cells that only declare types, or only export, leave names for later cells", async () => {
    expect(await result("type Size = { w: number }; export interface Area extends Size { h: number }", "export type { Size }; export default function area(a: Area) { return a.w * a.h }", "area({ w: 2, h: 3 })")).toBe("6");
    expect(await result("export { join } from 'node:path'; export default class { }")).toBeUndefined();
    expect(await result("export default 6 * 7")).toBe("42");
  });

  test("a name of a global is the cells' own, and packages and the kernel keep theirs", async () => {
    await result("function process(batch: number[]) { return batch.length }\nconst JSON = 'mine', Promise = 2; class Map { kind = 'own' }; const console = { log: () => 'quiet' }");
    expect(await result("const shorthand = { process, JSON }; const { Map: M2 } = { Map }; [process([1, 2]), JSON, Promise, new M2().kind, console.log(), shorthand.process([1]), shorthand.JSON]")).toBe("[ 2, 'mine', 2, 'own', 'quiet', 1, 'mine' ]");
    expect(await result("[typeof globalThis.process.pid, globalThis.JSON.stringify([1]), await (async () => 1)()]")).toBe("[ 'number', '[1]', 1 ]");
    expect(await result("declare const performance: { now(): number; mine?: 1 }; typeof performance.now()")).toBe("'number'");
    expect(await result("typeof performance.mine")).toBe("'undefined'");
    expect((await run("process('text')")).reply.evalue).toMatch(/^TS2345:/);
    expect(await traceback("function Error2() { process(null as any) }\nError2()")).toMatch(/TypeError.*\n[^]*at Error2 \(cell-\d+\.ts:1:21\)/);
    expect(await result("%reset", "[process.pid > 0, new Map([[1, 2]]).size]")).toBe("[ true, 1 ]");
  });
});

describe("modules", () => {
  test.each([
    ["import path from 'node:path'; path.sep", "'/'"],
    ["import def, * as all from 'node:path'; [def.sep, all.sep]", "[ '/', '/' ]"],
    ["import { 'sep' as quoted, type ParsedPath } from 'node:path'; const p: ParsedPath | null = null; quoted", "'/'"],
    ["import 'node:path'; import type { Stats } from 'node:fs'; let stats: Stats | undefined; typeof stats", "'undefined'"],
    ["import fs = require('node:fs'); typeof fs.statSync", "'function'"],
    ["export import again = require('node:path'); again.sep", "'/'"],
    ["import plus, { value } from 'awaiting'; import { sub } from 'awaiting/sub'; [plus, value, sub]", "[ 6, 5, 'path' ]"],
    ["import { which } from 'only-import'; which", "'import'"],
    ["import { which } from 'only-require'; which", "'require'"],
    ["require('only-require').which", "'require'"],
    ["(await import('only-require')).which", "'require'"],
    ["[import.meta.resolve('awaiting/sub'), import.meta.resolve('fs'), import.meta.resolve('only-import')].map((url) => url.split('/').slice(-2).join('/'))", "[ 'lib/sub.js', 'node:fs', 'only-import/main.mjs' ]"],
    ["[import.meta.filename.startsWith(import.meta.dirname), import.meta.url.startsWith('file:')]", "[ true, true ]"],
  ])("%s", async (code, shown) => {
    expect(await result(code)).toBe(shown);
  });

  test("JSON is imported with and without attributes, and required, and read again when it changes", async () => {
    const all = "import plain from './data.json'; import data from './data.json' with { type: 'json' }; [plain.n, data.n, (await import('./data.json', { with: { type: 'json' } })).default.n, require('./data.json').n]";
    write("data.json", { n: 1 });
    expect(await result(all)).toBe("[ 1, 1, 1, 1 ]");
    write("data.json", { n: 2 });
    expect(await result(all)).toBe("[ 2, 2, 2, 2 ]");
  });

  test("import.meta.resolve finds local files, and throws where there is no package", async () => {
    write("near.ts", "");
    expect(await result("[import.meta.resolve('./near'), import.meta.resolve('./near.js')].every((url) => url === new URL('near.ts', import.meta.url).href)")).toBe("true");
    expect((await run("import.meta.resolve('not-there')")).reply.evalue).toMatch(/Cannot find package 'not-there'/);
  });

  test.each([
    ["a.ts", "export const x: number = N", "import { x } from './a.ts'; x"],
    ["b.ts", "export const x: number = N", "import { x } from './b'; x"],
    ["c.mts", "export const x: number = N", "import { x } from './c.mjs'; x"],
    ["d.cts", "const x: number = N\nexport = { x }", "import d from './d.cts'; d.x"],
    ["e.cts", "export const x: number = N", "import e = require('./e.cts'); e.x"],
    ["f.ts", "export const x: number = N", "require('./f').x"],
    ["g.js", "export const x = N", "import { x } from './g.js'; x"],
    ["h.mjs", "export const x = N", "import { x } from './h.mjs'; x"],
    ["i.cjs", "exports.x = N", "import { x } from './i.cjs'; x"],
    ["j.cjs", "exports.x = N", "require('./j.cjs').x"],
    ["k.tsx", "export const view = <b>{N}</b>; export const x: number = view.props.children", "import { x } from './k'; x"],
    ["l.ts", "import fs = require('node:fs'); export const x = typeof fs.statSync === 'function' ? N : 0", "import { x } from './l.ts'; x"],
  ])("a local %s is loaded, and again when it changes", async (name, text, cell) => {
    write(name, text.replace("N", "1"));
    expect(await result(cell)).toBe("1");
    write(name, text.replace("N", "22"));
    expect(await result(cell)).toBe("22");
  });

  test("a module imported on two ways is one, and both ways are loaded again when it changes", async () => {
    write("dia/base.ts", "export const state = { loads: 0 }; export const version = 1");
    write("dia/left.ts", "import { state } from './base.js'; state.loads++; export { state as leftState } from './base.ts'");
    write("dia/right.mts", "import { state } from './base'; state.loads++; export const rightState = state");
    const cell = "import { leftState } from './dia/left.ts'; import { rightState } from './dia/right.mts'; import { state, version } from './dia/base.ts'; [leftState === rightState, rightState === state, state.loads, version]";
    expect(await result(cell)).toBe("[ true, true, 2, 1 ]");
    expect(await result(cell)).toBe("[ true, true, 2, 1 ]");
    write("dia/base.ts", "export const state = { loads: 10 }; export const version = 2");
    expect(await result(cell)).toBe("[ true, true, 12, 2 ]");
  });

  test("a local TypeScript file imports JSON as TypeScript has it, without attributes", async () => {
    write("reads.ts", "import data from './inner.json'; export const n: number = data.n");
    write("inner.json", { n: 4, text: "\u2028'" });
    expect(await result("import { n } from './reads.ts'; n")).toBe("4");
  });

  test("what a required TypeScript file requires is loaded again when it changes", async () => {
    write("deep/leaf.ts", "export const unit: string = 'ms'");
    write("deep/top.cts", "import { unit } from './leaf.js'\nimport { sep } from 'node:path'\nexport const label = (n: number): string => `${n}${sep}${unit}`");
    expect(await result("require('./deep/top.cts').label(3)")).toBe("'3/ms'");
    write("deep/leaf.ts", "export const unit: string = 's'");
    expect(await result("require('./deep/top.cts').label(3)")).toBe("'3/s'");
  });

  test("the folder of imports stays the notebook's when a cell changes the working directory, or removes it", async () => {
    write("stay.mjs", "export const here = true");
    await result("import { mkdtempSync, rmdirSync } from 'node:fs'; const gone = mkdtempSync('/tmp/gone-'); process.chdir(gone); rmdirSync(gone)");
    expect(await result("import { here } from './stay.mjs'; [here, require('./stay.mjs').here]")).toBe("[ true, true ]");
    expect((await run("nowhere")).reply.evalue).toMatch(/^TS2304:/);
    await result("process.chdir(__dirname)");
  });
});

describe("positions of errors", () => {
  test("through functions of earlier cells, local modules and awaits", async () => {
    write("errors.ts", "interface Unused { a: string }\n// ✨\nexport function boom(x: string): never {\n  const o = { x };\n  throw new RangeError(`boom ${o.x}`);\n}\nexport async function later(): Promise<void> {\n  await null;\n  boom('later');\n}");
    await result("type T = string\n\nasync function outer(run: () => Promise<void>) {\n  await run()\n}");
    const text = await traceback("import { later } from './errors.ts'\nawait outer(later)");
    expect(text).toMatch(/^RangeError: boom later\n {2}5 \| {3}throw new RangeError\(`boom \$\{o\.x\}`\);\n +\| {9}~\n/);
    expect(text).toMatch(/at boom \(.*errors\.ts:5:9\)\n +at (async )?later \(.*errors\.ts:9:3\)\n +at async outer \(cell-\d+\.ts:4:3\)\n +at async cell-\d+\.ts:2:1/);
    expect(text).not.toMatch(/moe-lab=|node:internal|kernel\/runner/);
  });

  test("of a nameless function in a cell's last expression, named as Node.js names it", async () => {
    await result("function call(work: (values: { x: number }) => unknown, values: { x: number }) {\n  work(values)\n}");
    expect(await traceback("const tools = { call }\ntools.call(({ x }) => {\n  throw new Error(`x is ${x}`)\n}, { x: 3 })")).toMatch(/\n +at tools\.call\.x \(cell-\d+\.ts:3:9\)\n/);
  });

  test("in files that were required, and in syntax errors of modules", async () => {
    write("required.cts", "enum E { A }\nexport function fail(): never {\n  throw new Error('in file')\n}");
    expect(await traceback("require('./required.cts').fail()")).toMatch(/at (Object\.)?fail \(.*required\.cts:3:9\)\n +at cell-\d+\.ts:1:27/);
    write("broken.ts", "export const ok = 1\nexport const = 2\n");
    expect(await traceback("import { ok } from './broken.ts'")).toMatch(/SyntaxError: Variable declaration expected\. at .*broken\.ts:2:14\n {2}2 \| export const = 2\n +\| {14}~/);
    expect(await traceback("require('./broken.ts')")).toMatch(/broken\.ts:2:14/);
  });

  test("of causes and of the errors in an AggregateError", async () => {
    const text = await traceback("function make(n: number) { return new Error(`e${n}`) }\nthrow new AggregateError([make(1), make(2)], 'all', { cause: { code: 5 } })");
    expect(text).toMatch(/AggregateError: all[^]*:2:7[^]*Caused by:\n\{ code: 5 \}[^]*Contains:\nError: e1[^]*:2:27[^]*Contains:\nError: e2[^]*:2:36/);
    expect(await traceback("const e = Object.assign(new Error('file'), { code: 'ENOENT' }); throw e")).toContain("{ code: 'ENOENT' }");
  });

  test("a loop of causes and a thousand errors end", async () => {
    expect(await traceback("const loop: any = new Error('loop'); loop.cause = loop; throw loop")).toMatch(/^Error: loop/);
    expect(await traceback("throw new AggregateError(Array.from({ length: 1000 }, (_, i) => new Error(`n${i}`)))")).toContain("… 991 more errors");
  });

  test.each([["\r\n"], ["\n"], ["\r"]])("with line ends %j", async (end) => {
    expect((await run(["const a = 1", "", "  nowhere", ""].join(end))).reply.evalue).toMatch(/cell-\d+\.ts:3:3$/);
    expect(await traceback(["const b = 1", "", "  throw new Error('x')", ""].join(end))).toMatch(/3 \| {3}throw new Error\('x'\)\n[^]*cell-\d+\.ts:3:9/);
  });

  test("columns count UTF-16 units, as editors and V8 do, and a byte order mark is none", async () => {
    // "const s = '😀𝒳'; " is 10 + 1 + 4 + 3 = 18 units long.
    expect((await run("const s = '😀𝒳'; nowhere")).reply.evalue).toMatch(/:1:19$/);
    expect(await traceback("const s = '😀𝒳'; throw new Error('x')")).toMatch(/cell-\d+\.ts:1:25/);
    expect((await run("\uFEFFnowhere")).reply.evalue).toMatch(/:1:1$/);
  });

  test("the underline stands below the place, whatever the width of the characters before it", () => {
    // An emoji and a Chinese character take two columns, a letter outside the basic plane one, a combining mark none.
    expect(excerpt("'😀' x", 1, 6, 1).split("\n")[1]).toBe("    |      ~");
    expect(excerpt("'𝒳' x", 1, 6, 1).split("\n")[1]).toBe("    |     ~");
    expect(excerpt("'漢' x", 1, 5, 1).split("\n")[1]).toBe("    |      ~");
    expect(excerpt("\te\u0301 x", 1, 5, 1).split("\n")[1]).toBe("    | \t  ~");
    expect(excerpt("漢字", 12, 1, 2).split("\n")[1]).toBe("     | ~~~~");
  });

  test("a line of a million characters is shown around the place", async () => {
    const { reply } = await run(`const long = '${"y".repeat(1_000_000)}'; nowhere`);
    expect(reply.evalue).toMatch(/:1:1000018$/);
    expect((reply.traceback as string[]).join("\n").length).toBeLessThan(1000);
    expect((reply.traceback as string[]).join("\n")).toMatch(/…y+'; nowhere\n +\| +~{7}$/);
  });

  test("a cell of 2,000 declarations runs, and its positions are right", async () => {
    const lines = Array.from({ length: 2000 }, (_, i) => `const v${i}: number = ${i};`);
    expect(await traceback([...lines, "throw new Error(String(v1999))"].join("\n"))).toMatch(/Error: 1999[^]*cell-\d+\.ts:2001:7/);
  });
});

describe("code that the compiler can't get through", () => {
  test.each([["parentheses", "(".repeat(20_000) + "1" + ")".repeat(20_000)], ["arrays", "[".repeat(20_000) + "]".repeat(20_000)], ["a sum", "0" + "+1".repeat(20_000)]])("20,000 levels of %s are an error, and the kernel goes on", async (_name, code) => {
    expect((await run(code)).reply).toMatchObject({ status: "error", ename: expect.stringMatching(/^(CompilerError|RangeError)$/) as string });
    expect((await run("6 * 7")).result).toBe("42");
  });
});

describe("tsconfig.json near the notebook", () => {
  test("a broken one is told once on stderr, and the cell runs", async () => {
    write("tsconfig.json", "{ \"compilerOptions\": { \"strict\": true ");
    const broken = await run("6 * 7");
    expect(broken.result).toBe("42");
    expect(broken.stderr).toMatch(/^Warning: tsconfig\.json:1:\d+ - error TS1005: '}' expected/);
    expect((await run("6 * 7")).stderr).toBe("");
  });

  test("strictness, decorators and paths are followed from the next cell on, in cells and in local modules", async () => {
    write("tsconfig.json", { compilerOptions: { strict: true, experimentalDecorators: true, paths: { "@lib/*": ["./source/lib/*"], "unit": ["./source/unit.ts"] } } });
    expect((await run("function untyped(a) { return a }")).reply.evalue).toMatch(/^TS7006:/);
    write("decorated.ts", "const seen: string[] = [];\nfunction note(_target: object, key: string): void { seen.push(key) }\nclass A { @note go(): void { seen.push('run') } }\nnew A().go();\nexport { seen }");
    expect(await result("import { seen } from './decorated.ts'; seen")).toBe("[ 'go', 'run' ]");
    write("source/unit.ts", "export const unit: string = 'ms'");
    write("source/lib/label.ts", "import { unit } from 'unit'; export const label = (n: number): string => n + unit");
    const cell = "import { label } from '@lib/label'; import again = require('@lib/label.ts'); [label(1), again.label(2), (await import('unit')).unit]";
    expect(await result(cell)).toBe("[ '1ms', '2ms', 'ms' ]");
    write("source/unit.ts", "export const unit: string = 's'");
    expect(await result(cell)).toBe("[ '1s', '2s', 's' ]");
    expect((await run("label('x')")).reply.evalue).toMatch(/^TS2345:/);
    expect((await run("import absent from '@lib/absent'")).reply.evalue).toMatch(/^TS2307:/);
    rmSync(join(folder, "tsconfig.json"));
    expect((await run("function untyped(a) { return a }")).reply.status).toBe("ok");
  });
});

describe("type errors", () => {
  test("several are shown at once, each with file, line, column, message, line and underline, as tsc does", async () => {
    const { reply } = await run("const a: number = 'x'\nconst b: string = 5\nnowhere");
    expect(reply.evalue).toMatch(/\(and 2 more\)$/);
    const lines = (reply.traceback as string[]).join("\n").replaceAll(/cell-\d+/g, "cell").split("\n");
    expect(lines).toEqual([
      "cell.ts:1:7 - error TS2322: Type 'string' is not assignable to type 'number'.", "  1 | const a: number = 'x'", "    |       ~",
      "cell.ts:2:7 - error TS2322: Type 'number' is not assignable to type 'string'.", "  2 | const b: string = 5", "    |       ~",
      "cell.ts:3:1 - error TS2304: Cannot find name 'nowhere'.", "  3 | nowhere", "    | ~~~~~~~",
    ]);
  });

  test("a hundred errors are not all listed", async () => {
    const { reply } = await run("nowhere\n".repeat(100));
    expect((reply.traceback as string[]).at(-1)).toBe("… 80 more errors");
  });

  test("@ts-ignore, @ts-expect-error and @ts-nocheck are heeded", async () => {
    expect(await result("// @ts-ignore\nconst n1: number = 'x'; n1")).toBe("'x'");
    expect(await result("// @ts-expect-error\nconst n2: number = 'x'; n2")).toBe("'x'");
    expect((await run("// @ts-expect-error\nconst n3: number = 3")).reply.evalue).toMatch(/^TS2578:.*:1:1$/);
    expect(await result("// A note.\n// @ts-nocheck\nconst n4: number = 'x'; const crypto = 1; typeof nowhere + n4")).toBe("'undefinedx'");
    expect((await run("const n5 = 1\n// @ts-nocheck\nconst n6: number = 'x'")).reply.evalue).toMatch(/^TS2322:/);
    expect((await run("// @ts-nocheck\nconst = 1")).reply.ename).toBe("SyntaxError");
  });
});
