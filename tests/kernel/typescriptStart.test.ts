import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { CachedModule } from "../../kernel/compile/codeCache.ts";
import type { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import { buildKernel, repositoryFolder, temporaryFolder } from "./kernelHarness.ts";

describe("types of Node.js, of which a kernel starts with the core only,", () => {
  let compiler: CellCompiler;
  beforeAll(async () => {
    buildKernel();
    compiler = new (await import("../../kernel/compile/cellCompiler.ts")).CellCompiler(repositoryFolder);
  });
  const codesOf = (code: string): number[] => {
    const compiled = compiler.compile(code);
    return compiled.isRunnable ? [] : compiled.diagnostics.map((diagnostic) => diagnostic.code);
  };

  test("are complete where the core is not: options declared in another module are checked", () => {
    // The type of depth stands in node:util, which the core does not have; console does.
    expect(codesOf("console.log(1); setTimeout(() => {}, 1); process.env.HOME; new URL('a:b'); Buffer.from('a'); performance.now()")).toEqual([]);
    expect(codesOf("console.dir({}, { depth: 'deep' })")).toEqual([2322]);
  });

  test("come without losing what earlier cells declared, nor names of Node.js that they took", () => {
    const declared = compiler.compile("const steps = 100; const structuredClone = 'mine'");
    if (!declared.isRunnable) throw new Error(declared.diagnostics[0]?.message);
    compiler.keep(declared);
    // createHash is in no core file, so all types come with this cell.
    expect(codesOf("import { createHash } from 'node:crypto'; const hash: number = createHash('md5')")).toEqual([2322]);
    expect(codesOf("steps.toFixed(1) + structuredClone.toUpperCase()")).toEqual([]);
    expect(codesOf("steps.toUpperCase(); structuredClone(1)")).toEqual([2339, 2349]);
  });

  test.each([
    ["fetch('http://localhost').then((response) => response.text())", []],
    ["import { createHash } from 'node:crypto'; createHash(5)", [2345]],
    ["const columns: string = process.stdout.columns", [2322]],
    ["import { readFileSync } from 'fs'; const text: number = readFileSync('a', 'utf8')", [2322]],
    ["new TextEncoder().encode('a').length; new Blob(['a']).size; new AbortController().signal.aborted", []],
  ])("know %s", (code, codes) => {
    expect(codesOf(code)).toEqual(codes);
  });
});

describe("a cell that is put into the program of the one before", () => {
  let compiler: CellCompiler;
  let folder = "";
  beforeAll(async () => {
    folder = temporaryFolder();
    compiler = new (await import("../../kernel/compile/cellCompiler.ts")).CellCompiler(folder);
  });
  /** Compiles cells as if each ran, and tells the errors of the last. */
  const codesOf = (...cells: string[]): number[] => cells.map((code) => {
    const compiled = compiler.compile(code);
    if (compiled.isRunnable) compiler.keep(compiled);
    return compiled.isRunnable ? [] : compiled.diagnostics.map((diagnostic) => diagnostic.code);
  }).at(-1) ?? [];

  test("is checked and compiled like any other", () => {
    expect(codesOf("1 + 1", "2 + 2", "const trainingSteps = 100", "trainingSteps + 1", "const wrong: string = trainingSteps")).toEqual([2322]);
    expect(codesOf("let trainingSteps = 'many'", "trainingSteps.length", "trainingSteps.toExponential()")).toEqual([2339]);
    const compiled = compiler.compile("console.log(trainingSteps as string)");
    expect(compiled.isRunnable && compiled.javascript).toContain("console.log(trainingSteps)");
  });

  test("gets the same suggestions however many cells were wrong before", () => {
    for (let i = 0; i < 15; i++) expect(codesOf(`trainingStep + ${i}`)).toEqual([2552]);
  });

  test("is right after a hundred others, with imports and without", () => {
    for (let i = 0; i < 110; i++) expect(codesOf(`trainingSteps + ${i}`)).toEqual([]);
    expect(codesOf("import { sep } from 'node:path'", "sep.length", "sep.size")).toEqual([2339]);
    expect(codesOf("declare global { interface Array<T> { last(): T } }", "[1].last().toFixed()", "[1].last().toUpperCase()")).toEqual([2339]);
  });

  test("knows a local module that was edited meanwhile", () => {
    const path = join(folder, "sizes.ts");
    writeFileSync(path, "export const size = 5;");
    expect(codesOf("import { size } from './sizes.ts'", "size.toFixed(1)", "size.toFixed(2)")).toEqual([]);
    writeFileSync(path, "export const size = 'large';");
    utimesSync(path, new Date(), new Date(Date.now() + 5000));
    expect(codesOf("size.toExponential(3)")).toEqual([2339]);
    expect(codesOf("size.toUpperCase()")).toEqual([]);
  });
});

describe("compiled code kept for the next start", () => {
  const modulePath = (): string => {
    const path = join(temporaryFolder(), "module.cjs");
    writeFileSync(path, "exports.add = (a, b) => a + b; exports.folder = __dirname; exports.sep = require('node:path').sep; exports.word = 'größer'");
    return path;
  };
  const cacheOf = (folder: string): string => join(folder, readdirSync(folder)[0]);

  test("is written for this user only, and the module is the same with it", () => {
    const path = modulePath(), folder = join(temporaryFolder(), "cache");
    const first = new CachedModule(path, folder);
    expect(first.load()).toMatchObject({ folder: join(path, ".."), sep: join("/"), word: "größer" });
    first.save();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(cacheOf(folder)).mode & 0o777).toBe(0o600);
    const { add } = new CachedModule(path, folder).load() as { add: (a: number, b: number) => number };
    expect(add(1, 2)).toBe(3);
  });

  test("that is damaged is not used, and written anew", () => {
    const path = modulePath(), folder = join(temporaryFolder(), "cache");
    const first = new CachedModule(path, folder);
    first.load();
    first.save();
    const whole = readFileSync(cacheOf(folder));
    for (const damaged of [Buffer.alloc(0), whole.subarray(0, 40), Buffer.concat([whole.subarray(0, -1), Buffer.from([whole[whole.length - 1] ^ 1])])]) {
      writeFileSync(cacheOf(folder), damaged);
      const next = new CachedModule(path, folder);
      expect(next.load()).toMatchObject({ word: "größer" });
      next.save();
      expect(readFileSync(cacheOf(folder)).length).toBeGreaterThan(40);
      expect(readFileSync(cacheOf(folder)).equals(damaged)).toBe(false);
    }
  });

  test("is left out where the folder can't be written", () => {
    const path = modulePath(), folder = join(temporaryFolder(), "file");
    writeFileSync(folder, "not a folder");
    const module = new CachedModule(path, folder);
    expect(module.load()).toMatchObject({ word: "größer" });
    expect(() => { module.save(); }).not.toThrow();
    mkdirSync(`${folder}-none`);
    new CachedModule(path, null).load();
    expect(readdirSync(`${folder}-none`)).toEqual([]);
  });
});

test("no file of the kernel loads TypeScript by its package's name, which takes 0.6 s", () => {
  const folder = join(repositoryFolder, "kernel");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const slow = sources.filter((name) => /^import (?!type ).*from "typescript"/m.test(readFileSync(join(folder, name), "utf8")));
  expect(slow).toEqual([]);
});
