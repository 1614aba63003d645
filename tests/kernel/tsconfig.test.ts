import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import { temporaryFolder } from "./kernelHarness.ts";

let clock = 1_000_000;

/** Writes a file with a modification time of its own. */
function write(path: string, content: object | string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  clock += 10;
  utimesSync(path, clock, clock);
}

/** A folder with a tsconfig.json of these compilerOptions, or without one. */
function project(compilerOptions?: object): string {
  const folder = temporaryFolder();
  if (compilerOptions !== undefined) write(join(folder, "tsconfig.json"), { compilerOptions });
  return folder;
}

/** TypeScript's numbers of the errors that keep a cell from running. */
function keep(compiler: CellCompiler, code: string): void {
  const compiled = compiler.compile(code);
  if (!compiled.isRunnable) throw new Error(compiled.diagnostics[0]?.message);
  compiler.keep(compiled);
}

function errorCodes(compiler: CellCompiler, code: string): number[] {
  const compiled = compiler.compile(code);
  return compiled.isRunnable ? [] : compiled.diagnostics.map((diagnostic) => diagnostic.code);
}

/** JavaScript of a cell that must be runnable. */
function javascriptOf(compiler: CellCompiler, code: string): string {
  const compiled = compiler.compile(code);
  if (!compiled.isRunnable) throw new Error(compiled.diagnostics.map(({ message }) => message).join("; "));
  return compiled.javascript;
}

// What tsc 6.0.3 reports for the same text with the setting, and without it.
const STRICTNESS: readonly (readonly [string, object, string, number])[] = [
  ["strict", { strict: true }, "function f(a) { return a }", 7006],
  ["noImplicitAny", { strict: false, noImplicitAny: true }, "function f(a) { return a }", 7006],
  ["strictNullChecks", { strict: false, strictNullChecks: true }, "const n: number = null", 2322],
  ["noImplicitReturns", { noImplicitReturns: true }, "function f(b: boolean) { if (b) return 1 }", 7030],
  ["noFallthroughCasesInSwitch", { noFallthroughCasesInSwitch: true }, "switch (process.pid) { case 1: process.pid; case 2: }", 7029],
  ["noUncheckedIndexedAccess", { noUncheckedIndexedAccess: true }, "const list = [1]; const one: number = list[0]", 2322],
  ["noPropertyAccessFromIndexSignature", { noPropertyAccessFromIndexSignature: true }, "const r: Record<string, number> = {}; r.key", 4111],
  ["exactOptionalPropertyTypes", { exactOptionalPropertyTypes: true }, "const o: { a?: number } = { a: undefined }", 2375],
  ["noImplicitOverride", { noImplicitOverride: true }, "class A { go() {} } class B extends A { go() {} }", 4114],
  ["noUnusedParameters", { noUnusedParameters: true }, "function f(unused: number) {}", 6133],
  ["noUnusedLocals", { noUnusedLocals: true }, "function f() { const unused = 1 }", 6133],
  ["allowUnreachableCode", { allowUnreachableCode: false }, "function f() { return 1; f() }", 7027],
  ["erasableSyntaxOnly", { erasableSyntaxOnly: true }, "enum E { A }", 1294],
];

describe("settings that apply to cells", () => {
  const shared = project({});
  const sharedCompiler = new CellCompiler(shared);
  const withSettings = (compilerOptions: object): CellCompiler => {
    write(join(shared, "tsconfig.json"), { compilerOptions });
    return sharedCompiler;
  };

  test.each(STRICTNESS)("%s is honoured", (_name, options, code, expected) => {
    expect(errorCodes(withSettings(options), code)).toEqual([expected]);
  });

  test("one program answers for all of them at once, and for none without a tsconfig.json", () => {
    const compiler = new CellCompiler(project());
    for (const [name, , code] of STRICTNESS) {
      // Null for a number is a mistake in any notebook that TypeScript checks.
      expect(errorCodes(compiler, code), name).toEqual([]);
    }
  });

  test("an empty tsconfig.json means TypeScript's own defaults", () => {
    // TypeScript 6.0 made strict the default: devblogs.microsoft.com/typescript/announcing-typescript-6-0
    expect(errorCodes(withSettings({}), "function f(a) { return a }")).toEqual([7006]);
  });

  test("names declared at a cell's top level are never unused", () => {
    const compiler = withSettings({ noUnusedLocals: true });
    expect(errorCodes(compiler, "import { join, sep } from 'node:path'\nconst a = 1, { b } = { b: 2 }\ntype T = number\nfunction f() {}\nclass C {}")).toEqual([]);
  });

  test("settings about files, emit and module systems are ignored", () => {
    const compiler = withSettings({
      module: "commonjs", moduleResolution: "node10", target: "es5", outDir: "out", rootDir: "src", noEmit: true, composite: true, declaration: true,
      isolatedModules: true, verbatimModuleSyntax: true, importHelpers: true, removeComments: true, sourceMap: false, noLib: true, types: [],
    });
    expect(errorCodes(compiler, "import { Stats, statSync } from 'node:fs'\nimport path = require('node:path')\nconst s: Stats | undefined = statSync('.')\nawait Promise.resolve(process.pid + path.sep)")).toEqual([]);
    expect(compiler.takeProblems()).toEqual([]);
  });

  test("lib and types say what is known", () => {
    expect(errorCodes(withSettings({}), "document.title")).toEqual([2584]);
    expect(errorCodes(withSettings({ lib: ["es2023", "dom"] }), "document.title")).toEqual([]);
  });
});

describe("decorators and JSX", () => {
  const decorated = "function noted(target: object, key: string) { console.log(target, key) }\nclass A { @noted method() {} }";

  test("experimentalDecorators chooses the older decorators", () => {
    const folder = project({ experimentalDecorators: true });
    const compiler = new CellCompiler(folder);
    expect(javascriptOf(compiler, decorated)).toContain("__decorate(");
    // A standard decorator gets a context object, not a name. Source: tc39.es/proposal-decorators
    write(join(folder, "tsconfig.json"), {});
    expect(errorCodes(compiler, decorated)).toEqual([1241]);
  });

  test("JSX is compiled as jsx and jsxImportSource say", () => {
    const folder = project({ jsx: "react-jsx", jsxImportSource: "tiny" });
    write(join(folder, "node_modules/tiny/package.json"), { name: "tiny", exports: { "./jsx-runtime": { types: "./jsx.d.ts", default: "./jsx.js" } } });
    write(join(folder, "node_modules/tiny/jsx.d.ts"), "export namespace JSX { interface IntrinsicElements { b: { id?: number; children?: string } } interface Element { tag: string } }\nexport function jsx(tag: string, props: object): JSX.Element");
    const compiler = new CellCompiler(folder);
    expect(javascriptOf(compiler, "const bold = <b id={1}>text</b>; bold.tag")).toMatch(/await __moeLabCell\.import\("tiny\/jsx-runtime", void 0, \["jsx"\]\)/);
    expect(errorCodes(compiler, "<b id='x' />")).toEqual([2322]);
    keep(compiler, "const kept = <b/>");
    expect(errorCodes(compiler, "kept.missing")).toEqual([2339]);
    expect(errorCodes(compiler, "const cast = <string>('a' as unknown); const same = <T,>(t: T) => t")).toEqual([]);
  });

  test("the classic runtime calls the factory in scope", () => {
    const compiler = new CellCompiler(project({ strict: false, jsx: "react", jsxFactory: "h" }));
    expect(javascriptOf(compiler, "const h = (...all: unknown[]) => all; <b/>")).toContain("h(\"b\", null)");
  });

  test("without a setting, the runtime is the first of react and preact that is installed, and else JSX is an error", () => {
    const folder = project();
    const compiler = new CellCompiler(folder);
    expect(errorCodes(compiler, "<b/>")).toContain(2875);
    write(join(folder, "node_modules/preact/package.json"), { name: "preact", exports: { "./jsx-runtime": "./jsx.js" } });
    write(join(folder, "node_modules/preact/jsx.js"), "");
    expect(javascriptOf(compiler, "<b/>")).toContain("\"preact/jsx-runtime\"");
  });
});

describe("where the settings come from", () => {
  test("the nearest file upward counts, with what it extends, and not those further up", () => {
    const outer = project({ noImplicitReturns: true });
    write(join(outer, "base/shared.json"), { compilerOptions: { strict: false, noUncheckedIndexedAccess: true } });
    write(join(outer, "inner/tsconfig.json"), "// comments and trailing commas are allowed\n{ \"extends\": \"../base/shared\", \"compilerOptions\": { \"noImplicitOverride\": true, } }");
    mkdirSync(join(outer, "inner/notebooks"));
    const compiler = new CellCompiler(join(outer, "inner/notebooks"));
    expect(errorCodes(compiler, "const list = [1]; list[0].toFixed(); function f(b: boolean, a) { if (b) return a }")).toEqual([]);
    expect(compiler.options).toMatchObject({ strict: false, noUncheckedIndexedAccess: true, noImplicitOverride: true });
    expect(compiler.options.noImplicitReturns).toBeUndefined();
  });

  test("a change is picked up by the next cell, also in an extended file, and what earlier cells declared stays", () => {
    const folder = project();
    const compiler = new CellCompiler(folder);
    const cell = "function f(a) { return a + shared }";
    keep(compiler, "const shared: number = 1; const Promise = 2");
    expect(errorCodes(compiler, cell)).toEqual([]);
    write(join(folder, "base.json"), { compilerOptions: { strict: false } });
    write(join(folder, "tsconfig.json"), { extends: "./base.json" });
    expect(errorCodes(compiler, cell)).toEqual([]);
    write(join(folder, "base.json"), { compilerOptions: { noImplicitAny: true, strict: false } });
    expect(errorCodes(compiler, cell)).toEqual([7006]);
    expect(errorCodes(compiler, "const text: string = shared")).toEqual([2322]);
    expect(errorCodes(compiler, "const two: string = Promise")).toEqual([2322]);
    rmSync(join(folder, "tsconfig.json"));
    expect(errorCodes(compiler, cell)).toEqual([]);
  });

  test("a broken file is told once with its place, and what can be read of it applies", () => {
    const folder = project();
    write(join(folder, "tsconfig.json"), "{\n  \"compilerOptions\": { \"strct\": true, \"noImplicitAny\": true, \"strict\": false }\n");
    const compiler = new CellCompiler(folder);
    const problems = compiler.takeProblems();
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^tsconfig\.json:3:1 - error TS1005: '}' expected/);
    expect(problems[1]).toMatch(/^tsconfig\.json:2:24 - error TS5025: Unknown compiler option 'strct'/);
    expect(compiler.takeProblems()).toEqual([]);
    expect(errorCodes(compiler, "function f(a) { return a }")).toEqual([7006]);
    write(join(folder, "tsconfig.json"), { extends: "./absent.json" });
    expect(errorCodes(compiler, "1")).toEqual([]);
    expect(compiler.takeProblems().join()).toMatch(/absent\.json/);
    write(join(folder, "node_modules/@shared/base/tsconfig.json"), { compilerOptions: { noImplicitOverride: true } });
    write(join(folder, "tsconfig.json"), { extends: ["@shared/base/tsconfig.json"] });
    expect(errorCodes(compiler, "class A { go() {} } class B extends A { go() {} }")).toEqual([4114]);
    expect(compiler.takeProblems()).toEqual([]);
    write(join(folder, "tsconfig.json"), "null");
    expect(errorCodes(compiler, "1")).toEqual([]);
  });
});
