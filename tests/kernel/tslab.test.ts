import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { contentsOf, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

let client: KernelClient;
let folder: string;

/** A package in the notebook's node_modules. */
function install(name: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, "node_modules", name, path, ".."), { recursive: true });
    writeFileSync(join(folder, "node_modules", name, path), text);
  }
}

beforeAll(async () => {
  folder = temporaryFolder();
  client = await startKernel(folder);
});
afterAll(() => client.shutdown());

/** Runs a cell that must succeed. */
async function run(code: string): Promise<CellReport> {
  const report = await runCell(client, code);
  expect(report.reply.evalue, code).toBeUndefined();
  return report;
}

const bundles = (report: CellReport): unknown[] => contentsOf(report, "display_data").map(({ data }) => data);

describe("the module tslab", () => {
  test("each method shows one MIME type, as tslab 1.0.22 does", async () => {
    const report = await run([
      "import * as tslab from 'tslab'", "tslab.display.html('<b>1</b>')", "tslab.display.javascript('1')", "tslab.display.markdown('# 1')", "tslab.display.latex('$x$')",
      "tslab.display.svg('<svg/>')", "tslab.display.text('1')", "tslab.display.raw('application/json', '[1]')",
      ...["png", "jpeg", "gif", "pdf"].map((name) => `tslab.display.${name}(new Uint8Array([1, 2, 3]))`), "await tslab.display.png(Buffer.from([4]))",
    ].join(";\n"));
    expect(bundles(report)).toEqual([
      { "text/html": "<b>1</b>" }, { "text/javascript": "1" }, { "text/markdown": "# 1" }, { "text/latex": "$x$" }, { "image/svg+xml": "<svg/>" }, { "text/plain": "1" },
      { "application/json": [1] }, { "image/png": "AQID" }, { "image/jpeg": "AQID" }, { "image/gif": "AQID" }, { "application/pdf": "AQID" }, { "image/png": "BA==" },
    ]);
    expect(report.types).not.toContain("execute_result");
  });

  test("newDisplay replaces its own output with each call, in later cells too", async () => {
    const first = await run("const own = tslab.newDisplay();\nown.text('0 %');\nown.html('<b>50 %</b>');\ntslab.newDisplay().text('other')");
    expect(first.types).toEqual(["execute_input", "display_data", "update_display_data", "display_data"]);
    const second = await run("own.text('100 %')");
    const ids = [...contentsOf(first, "display_data"), ...contentsOf(first, "update_display_data"), ...contentsOf(second, "update_display_data")]
      .map(({ transient }) => (transient as { display_id: string }).display_id);
    expect(ids).toEqual([ids[0], ids[1], ids[0], ids[0]]);
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("named imports, require and dynamic imports find it, and its types are checked", async () => {
    await run("import { display as show, newDisplay, versions, type Display } from 'tslab'\nconst shown: Display = newDisplay()");
    const report = await run("const { versions: byRequire } = require('tslab'); [versions.node, byRequire.tslab, (await import('tslab')).versions === versions, typeof versions.typescript]");
    expect(report.result).toBe(`[ '${process.version}', '1.0.22', true, 'string' ]`);
    expect((await runCell(client, "show.html(5)")).reply.evalue).toMatch(/^TS2345:/);
    expect((await runCell(client, "show.picture('')")).reply.evalue).toMatch(/^TS2339:/);
  });

  test("it is the kernel's own where a package of the name is installed, and in modules and packages that use it", async () => {
    install("tslab", { "package.json": JSON.stringify({ name: "tslab", main: "index.js" }), "index.js": "throw new Error('the installed one')", "index.d.ts": "export const other: 1" });
    install("draws", { "package.json": JSON.stringify({ name: "draws", main: "index.js", types: "index.d.ts" }), "index.js": "exports.draw = () => require('tslab').display.html('<i>package</i>')", "index.d.ts": "export function draw(): void" });
    writeFileSync(join(folder, "drawing.ts"), "import * as tslab from 'tslab';\nexport const draw = (text: string) => { tslab.display.html(text) }");
    const report = await run("import * as again from 'tslab'\nimport { draw } from './drawing'\nimport * as draws from 'draws'\nagain.display.html('<i>cell</i>'); draw('<i>module</i>'); draws.draw()");
    expect(bundles(report)).toEqual([{ "text/html": "<i>cell</i>" }, { "text/html": "<i>module</i>" }, { "text/html": "<i>package</i>" }]);
  });

  test("importing its display leaves a display function to libraries", async () => {
    expect(bundles(await run("import { display } from 'tslab'\ndisplay.html('<u>x</u>');\n(globalThis as any).display({ 'text/plain': 'library' })"))).toEqual([{ "text/html": "<u>x</u>" }, { "text/plain": "library" }]);
  });
});

describe("habits of notebooks made for tslab", () => {
  test("output comes in the order it was made, and a promise that is not awaited is shown pending", async () => {
    const report = await run("console.log('a'); tslab.display.text('b'); console.error('c'); console.log('d');\nnew Promise(() => {})");
    expect(report.messages.filter(({ header }) => header.msg_type !== "execute_input").map(({ content }) => content.text ?? (content.data as Record<string, unknown>)["text/plain"]))
      .toEqual(["a\n", "b", "c\n", "d\n", "Promise { <pending> }"]);
  });

  test("names are declared again, blocks have their own, and await stands at the top level or in a block", async () => {
    await run("let sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));\nconst start = Date.now();\nawait sleep(5)");
    await run("const start = 'again';\n{\n  let display = tslab.newDisplay();\n  for (let i = 0; i < 2; i++) { await sleep(1); display.text(`${i}`) }\n}");
    expect((await run("start")).result).toBe("'again'");
  });

  test("a cell with @module is a module that other cells import, again after a change, and is not run itself", async () => {
    const scale = (factor: number): string => `/** @module scaling */\nconsole.log('loaded');\nexport const scale = (x: number): number => ${factor} * x;`;
    expect((await run(scale(2))).types).toEqual(["execute_input"]);
    const first = await run("import { scale } from './scaling'\nscale(4)");
    expect([first.result, first.stdout]).toEqual(["8", "loaded\n"]);
    await run("/**\n * Doubles twice.\n * @module doubling\n */\nimport { scale } from './scaling';\nexport const twice = (x: number): number => scale(scale(x));");
    expect((await run("import { twice } from './doubling'\ntwice(1)")).result).toBe("4");
    expect((await runCell(client, "twice('1')")).reply.evalue).toMatch(/^TS2345:/);
    await run(scale(3));
    expect((await run("import { twice } from './doubling'\ntwice(1)")).result).toBe("9");
  });

  test("a syntax error in a module cell is told at once, and a cell for the browser is not run", async () => {
    expect((await runCell(client, "/** @module broken */\nexport const a = = 1")).reply).toMatchObject({ status: "error", ename: "SyntaxError", evalue: expect.stringMatching(/cell-\d+\.ts:2:18/) as string });
    expect((await run("/** @browser */\nconsole.log(1); throw new Error('in the kernel')")).types).toEqual(["execute_input"]);
    expect((await run("/** About this cell: see module scaling. */\n'runs'")).result).toBe("'runs'");
  });

  test("exports has what cells declared, and what is put into it", async () => {
    await run("let counted = 3; enum Kind { A } function process(x: number) { return -x }");
    const report = await run("exports.counted += 1; exports.added = 'kept'; [counted, exports.added, exports.Kind.A, exports.process(1), Object.keys(exports).includes('process')]");
    expect(report.result).toBe("[ 4, 'kept', 0, -1, true ]");
  });

  test("a default import of a CommonJS package is its module.exports, or its own default when it was compiled from an ES module", async () => {
    install("plain-cjs", { "package.json": "{\"name\":\"plain-cjs\"}", "index.js": "const api = {}; for (const name of ['add']) api[name] = (a, b) => a + b; module.exports = api", "index.d.ts": "declare const api: { add(a: number, b: number): number }; export = api" });
    install("compiled-cjs", {
      "package.json": "{\"name\":\"compiled-cjs\"}", "index.js": "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = class Image { size = 3 }; exports['kind'] = 'c'",
      "index.d.ts": "export default class Image { size: number } export const kind: string",
    });
    const report = await run("import plain from 'plain-cjs'\nimport * as space from 'plain-cjs'\nimport Image, { kind } from 'compiled-cjs'\nimport * as compiled from 'compiled-cjs'\n"
      + "[plain.add(1, 2), space.add(3, 4), new Image().size, kind, new compiled.default().size, require('plain-cjs') === plain]");
    expect(report.result).toBe("[ 3, 7, 3, 'c', 3, true ]");
  });
});
