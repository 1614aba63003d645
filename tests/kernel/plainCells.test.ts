import { rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { join } from "node:path";
import vm from "node:vm";
import { afterAll, describe, expect, test } from "vitest";
import { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import type { CompiledCell } from "../../kernel/compile/cellCompiler.ts";
import { temporaryFolder } from "./kernelHarness.ts";

const folder = temporaryFolder();
const compiler = new CellCompiler(folder);
afterAll(() => { rmSync(folder, { recursive: true }); });

function compiled(code: string): CompiledCell {
  const cell = compiler.compile(code);
  if (!cell.isRunnable) throw new Error(cell.diagnostics.map(({ message }) => message).join("\n"));
  return cell;
}

/** The result of a cell without awaits, as the kernel's runtime gets it. */
function resultOf(code: string): unknown {
  let result: unknown = null;
  vm.runInNewContext(compiled(code).javascript, { __moeLabCell: { result: (value: unknown) => { result = value; } } });
  return result;
}

describe("a cell without TypeScript's own syntax", () => {
  test.each([
    ["Math.max(1, 2), 2", 2], ["const a = 1; a // done", 1], ["let s = `a${1}`\ns\n", "a1"], ["[1, 2].map((x) => x * 2).join()", "2,4"], ["'use strict'", "use strict"],
    ["({ a: 1 }).a", 1], [String.raw`/a\/b/.test("a/b")`, true], ["1 + 1;", 2], ["1\n+\n1", 2], ["/* before */ 5 /* after */", 5], ["// only a comment", null],
    ["if (true) 5", null], ["const { a, ...rest } = { a: 1, b: 2 }; rest.b", 2], ["function f(this_ = 1) { return this_ }\nf()", 1], ["for (const x of [1]) x", null],
  ])("has the result of its last expression: %s", (code, result) => {
    expect(resultOf(code)).toBe(result);
  });

  test("may declare its names again in a later cell, as anything", () => {
    expect(compiled("const n = 1, m = 2; let k = 3").javascript).not.toMatch(/\b(const|let)\b/);
    expect(compiled("for (const n of []) { let k; }").javascript).toMatch(/const n.*let k/);
  });

  test.each(["const a = 1;\n  a.toFixed(2) + \"é\" + a;", "let b = 2\r\nb +\r\n  b * 3", "const text = `x\n${1 + 1} y`; text.length"])("keeps its positions: %j", (code) => {
    const { javascript, sourceMap } = compiled(code);
    // Node.js's reader of source maps.
    const map = new SourceMap(JSON.parse(sourceMap) as ConstructorParameters<typeof SourceMap>[0]);
    const lines = code.split(/\r\n|\n/);
    const words = javascript.split(/\r\n|\n/).flatMap((line, number) => [...line.matchAll(/[A-Za-z]\w*/g)].map(({ 0: word, index }) => ({ word, number, index })));
    const own = words.filter(({ word }) => code.includes(word));
    expect(own.length).toBeGreaterThan(2);
    for (const { word, number, index } of own) {
      const entry = map.findEntry(number, index);
      if (!("originalLine" in entry)) throw new Error(`${word} is not mapped`);
      expect(lines[entry.originalLine]?.slice(entry.originalColumn).startsWith(word)).toBe(true);
    }
  });
});

describe("what only TypeScript's emitter can do is left to it", () => {
  test.each([
    ["types", "const n: number = 1; n", /:\s*number/], ["optional parameters", "function f(x?: number) { return x } f(1)", /\?/],
    ["the type of this", "function f(this: unknown) { return 1 } f.call(null)", /this/], ["using", "{ using x = { [Symbol.dispose]() {} }; x; }", /\busing\b/],
    ["as", "(1 as unknown) as string", /\bas\b/], ["enums", "enum Level { low }\nLevel.low", /\benum\b/],
  ])("%s", (_, code, syntax) => {
    expect(compiled(code).javascript).not.toMatch(syntax);
  });

  test("a constant of a declared const enum, which is nothing at run time, is put in", () => {
    writeFileSync(join(folder, "levels.d.ts"), "export declare const enum Level { low = 41 }\n");
    compiler.keep(compiled("import { Level } from \"./levels\""));
    expect(resultOf("Level.low + 1")).toBe(42);
  });

  test("a name that hides a global of Node.js gets its own", () => {
    compiler.keep(compiled("const process = 1"));
    expect(compiled("process + 1").javascript).not.toMatch(/\bprocess \+/);
  });
});
