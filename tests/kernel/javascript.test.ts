import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import { languageOf } from "../../kernel/notebookLanguage.ts";
import { DebugClient } from "./debugClient.ts";
import { runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

let client: KernelClient;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  client = await startKernel(folder, "javascript");
});
afterAll(() => client.shutdown());

/** Runs a cell that must succeed. */
async function run(code: string): Promise<CellReport> {
  const report = await runCell(client, code);
  expect(report.reply.evalue, code).toBeUndefined();
  return report;
}

async function completions(code: string): Promise<unknown> {
  return (await client.request("shell", "complete_request", { code, cursor_pos: code.length })).content.matches;
}

describe("the JavaScript kernel", () => {
  test("says so to front ends, with the names that highlighters know", async () => {
    const { content } = await client.request("shell", "kernel_info_request", {});
    expect(content.language_info).toMatchObject({
      name: "javascript", version: process.versions.node, mimetype: "text/javascript", file_extension: ".js", pygments_lexer: "javascript", codemirror_mode: "javascript",
    });
  });

  test("runs code that TypeScript's checker refuses: members set in a constructor, other kinds of value, undeclared names", async () => {
    expect((await run("class Point { constructor(x) { this.x = x; } double() { return 2 * this.x; } }\nconst point = new Point(4);\npoint.double()")).result).toBe("8");
    expect((await run("let total = 3;\ntotal += ' apples';\ntotal")).result).toBe("'3 apples'");
    expect((await run("function Old(n) { this.n = n; }\nOld.prototype.next = function () { return this.n + 1; };\nnew Old(1).next()")).result).toBe("2");
    expect((await run("loose = { a: 1 };\nloose.b = 2;\nObject.keys(loose)")).result).toBe("[ 'a', 'b' ]");
    expect((await run("point.y = loose.b; [point, '5' * 2]")).result).toBe("[ Point { x: 4, y: 2 }, 10 ]");
  });

  test("has what the other kernel has: redeclaration, top-level await, imports, require, names of globals, private members", async () => {
    writeFileSync(join(folder, "units.js"), "/** @param {number} x */\nexport function celsius(x) { return (x - 32) / 1.8; }\nexport default 'units';");
    writeFileSync(join(folder, "old.cjs"), "exports.kind = 'CommonJS';");
    expect((await run("const point = await Promise.resolve('again');\npoint")).result).toBe("'again'");
    expect((await run("import units, { celsius } from './units.js';\nimport { EOL } from 'os';\nconst { kind } = require('./old.cjs');\nconst path = require('path');\n[units, celsius(212), EOL, kind, path.basename('/a/b')]")).result)
      .toBe("[ 'units', 100, '\\n', 'CommonJS', 'b' ]");
    expect((await run("const process = 'mine';\nclass Event { #kind = 'own'; get kind() { return this.#kind; } }\n[process, new Event().kind]")).result).toBe("[ 'mine', 'own' ]");
    expect((await run("[process, new Event().kind, celsius(32), path.sep]")).result).toBe("[ 'mine', 'own', 0, '/' ]");
  });

  test("names the place of syntax errors before anything runs, of types too, and of errors while it runs", async () => {
    expect((await runCell(client, "console.log('first');\nconst broken = ;")).reply).toMatchObject({ ename: "SyntaxError", evalue: expect.stringMatching(/^TS1109: .* at cell-\d+\.js:2:16$/) as string });
    expect((await runCell(client, "let typed: number = 1")).reply.evalue).toMatch(/^TS8010: .* at cell-\d+\.js:1:12$/);
    const report = await runCell(client, "const fail = () => { throw new Error('late'); };\n\nfail()");
    expect((report.reply.traceback as string[]).join("\n")).toMatch(/^Error: late\n[^]*at fail \(cell-\d+\.js:1:28\)\n\s+at cell-\d+\.js:3:1$/);
    expect((await runCell(client, "undeclaredName")).reply).toMatchObject({ ename: "ReferenceError", evalue: "undeclaredName is not defined" });
    const missing = await runCell(client, "'line 1';\nimport gone from 'gone-package'");
    expect((missing.reply.traceback as string[]).join("\n")).toMatch(/^Error: Cannot find package 'gone-package'[^]*at async cell-\d+\.js:2:\d+\n  \{ code: 'ERR_MODULE_NOT_FOUND' \}$/);
  });

  test("checks types where a cell asks for it", async () => {
    expect((await runCell(client, "// @ts-check\nMath.max('a')")).reply.evalue).toMatch(/^TS2345: .* at cell-\d+\.js:2:10$/);
    expect((await runCell(client, "// @ts-check\n/** @type {number} */\nlet n = 'text'")).reply.evalue).toMatch(/^TS2322:/);
    await run("// @ts-check\nclass Checked { constructor(x) { this.x = x; } }\nnew Checked(1).x");
  });

  test("checks types of all cells where tsconfig.json asks for it, by the rules of JavaScript", () => {
    const project = temporaryFolder();
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: { checkJs: true, strict: false } }));
    const compiler = new CellCompiler(project, "javascript");
    expect(compiler.compile("let n = 1;\nn = 'text'")).toMatchObject({ isRunnable: false, diagnostics: [{ code: 2322, line: 2, column: 1 }] });
    expect(compiler.compile("class Free { constructor(x) { this.x = x; } }\nnew Free(1).x")).toMatchObject({ isRunnable: true });
  });

  test("completes members set in a constructor, JSDoc's types, imported names and what only the values know", async () => {
    await run("class Layer { constructor(width) { this.width = width; this.bias = 0; } }\nconst layer = new Layer(4);\n/** @type {Map<string, number>} */\nconst sizes = new Map();\nlet open;\nopen = { learningRate: 1 };");
    expect(await completions("layer.")).toEqual(["bias", "width"]);
    expect(await completions("sizes.has")).toEqual(["has"]);
    expect(await completions("layer.bias.toFi")).toEqual(["toFixed"]);
    expect(await completions("open.lear")).toEqual(["learningRate"]);
    expect(await completions("celsi")).toEqual(["celsius"]);
  });
});

test("a breakpoint in a JavaScript cell stops where it stands", async () => {
  const debug = new DebugClient(client);
  const code = "class Meter {\n  constructor(unit) {\n    this.unit = unit;\n  }\n}\nnew Meter('km').unit";
  await debug.start();
  try {
    expect(await debug.breakAt(code, 3)).toEqual([3]);
    const report = debug.run(code);
    expect(await debug.stopped()).toBe("breakpoint Meter:3");
    expect(await debug.scope("Locals")).toMatchObject({ unit: "'km'" });
    await debug.do("continue", { threadId: 1 });
    expect((await report).result).toBe("'km'");
  } finally {
    await debug.clear();
    await debug.stop();
  }
});

// Expected: tslab 1.0.22's own JavaScript kernel, given the same cells.
describe("habits of notebooks made for tslab's JavaScript kernel", () => {
  test("the module tslab shows values, and a cell with @module is a module", async () => {
    const report = await run("import * as tslab from 'tslab';\nconst { display } = require('tslab');\ntslab.display.html('<b>1</b>');\ndisplay.text('2');");
    expect(report.messages.filter(({ header }) => header.msg_type === "display_data").map(({ content }) => content.data)).toEqual([{ "text/html": "<b>1</b>" }, { "text/plain": "2" }]);
    await run("/** @module shapes */\nexport class Square { constructor(side) { this.side = side; } get area() { return this.side ** 2; } }");
    expect((await run("import { Square } from './shapes';\nnew Square(3).area")).result).toBe("9");
    expect(await completions("new Square(3).ar")).toEqual(["area"]);
  });

  test("exports has what cells declared, and what is put into it", async () => {
    await run("let counted = 3;\nconst helper = () => 7;");
    expect((await run("[exports.counted, exports.helper(), 'counted' in exports, exports.nothing, typeof module]")).result).toBe("[ 3, 7, true, undefined, 'undefined' ]");
    await run("exports.counted = 9;\nexports.added = () => 'kept';");
    expect((await run("[counted, exports.added(), Object.keys(exports).includes('added'), Object.keys(exports).includes('display')]")).result).toBe("[ 9, 'kept', true, false ]");
    expect((await runCell(client, "added()")).reply.evalue).toBe("added is not defined");
  });
});

describe("the language of a notebook", () => {
  test.each([
    ["tslab's JavaScript", { kernelspec: { name: "jslab", display_name: "JavaScript", language: "javascript" }, language_info: { name: "javascript" } }, "javascript"],
    ["a kernelspec without a language", { kernelspec: { name: "jslab", display_name: "JavaScript" } }, "javascript"],
    ["what ran it last, where nothing else is said", { language_info: { name: "javascript" } }, "javascript"],
    ["tslab's TypeScript", { kernelspec: { name: "tslab", display_name: "TypeScript", language: "typescript" }, language_info: { name: "typescript" } }, "typescript"],
    ["nothing", {}, "typescript"],
    ["another language", { kernelspec: { name: "python3", display_name: "Python 3", language: "python" } }, "typescript"],
  ])("is what its metadata say: %s", (_, metadata, language) => {
    expect(languageOf(metadata)).toBe(language);
  });

  test("decides how it is run without Jupyter, with parameters, and the executed notebook names the kernel", async () => {
    const path = join(folder, "in.ipynb");
    writeNotebook(path, { metadata: { kernelspec: { name: "jslab", display_name: "JavaScript", language: "javascript" } }, cells: [
      createCodeCell("let steps = 2;", { tags: ["parameters"] }),
      createCodeCell("class Run { constructor(n) { this.n = n; } }\nsteps += ' steps';\nnew Run(steps).n"),
    ] });
    const outputPath = join(folder, "out.ipynb");
    expect((await runNotebook({ inputPath: path, outputPath, parameters: { steps: 5 } })).failedCell).toBeUndefined();
    const { metadata, cells } = readNotebook(outputPath);
    expect(metadata).toMatchObject({ kernelspec: { name: "moe-lab-js", language: "javascript" }, language_info: { name: "javascript", file_extension: ".js" } });
    expect(cells.at(-1)?.outputs).toMatchObject([{ data: { "text/plain": "'5 steps'" } }]);
  });
});
