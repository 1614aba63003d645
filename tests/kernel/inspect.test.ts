import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import { CellLanguage } from "../../kernel/language/cellLanguage.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import { runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

const folder = temporaryFolder();
let language: CellLanguage;

beforeAll(() => {
  writeFileSync(join(folder, "tools.ts"), "/** Halves a number. */\nexport function half(value: number): number {\n  return value / 2;\n}\n");
  const compiler = new CellCompiler(folder);
  language = new CellLanguage(compiler);
  for (const code of [
    "/** How a model learns. */\ninterface Recipe {\n  /** Size of a step. */\n  learningRate: number;\n}\nlet recipe: Recipe = { learningRate: 1 };",
    "/** Trains.\n *  @param steps how long\n *  @returns the loss */\nfunction train(recipe: Recipe, steps: number): number {\n  return steps;\n}",
    "/** Twice as much. */\nconst twice = (value: number) => value * 2;",
    "import { half } from './tools.ts';",
  ]) {
    const compiled = compiler.compile(code);
    if (!compiled.isRunnable) throw new Error(`${code}: ${compiled.diagnostics[0]?.message ?? ""}`);
    compiler.keep(compiled);
  }
});

const described = async (codeWithBar: string, detailLevel: 0 | 1 = 0): Promise<string | undefined> =>
  (await language.inspect(codeWithBar.replace("|", ""), codeWithBar.indexOf("|"), detailLevel))?.text;

describe("type and documentation", () => {
  test.each([
    ["in the middle of a name", "rec|ipe", "let recipe: Recipe"],
    ["behind a name", "recipe|", "let recipe: Recipe"],
    ["on a member", "recipe.learn|ingRate", "(property) Recipe.learningRate: number\n\nSize of a step."],
    ["on a function of an earlier cell", "tra|in", "function train(recipe: Recipe, steps: number): number\n\nTrains.\n\n@param steps how long\n@returns the loss"],
    ["on a constant of an earlier cell", "twice|", "const twice: (value: number) => number\n\nTwice as much."],
    ["on the name of a type alone", "Rec|ipe", "interface Recipe\n\nHow a model learns."],
    ["on an import specifier", "import { ha|lf } from './tools.ts'", "function half(value: number): number\n\nHalves a number."],
    ["behind a question mark", "?twi|ce", "const twice: (value: number) => number\n\nTwice as much."],
  ])("is told %s: %s", async (_, code, text) => {
    expect(await described(code)).toBe(text);
  });

  test.each([
    ["behind the parenthesis", "train(|"],
    ["behind a comma", "train(recipe, |)"],
    ["behind a literal", "train(recipe, 10|)"],
    ["in a nested expression's gap", "train({ learningRate: 1 },| 5)"],
  ])("of a function is told in its argument list %s: %s", async (_, code) => {
    expect(await described(code)).toBe("train(recipe: Recipe, steps: number): number\n\nTrains.\n\n@returns the loss".replace("\n\n@returns", (await described(code))?.includes("@param") === true ? "\n\n@param steps how long\n@returns" : "\n\n@returns"));
  });

  test.each(["", "|", "const| a = 1", "if| (recipe) {}", "nowhere|", "'te|xt'", "return|", "1 + |2", "// recipe|"])("is not found for %j", async (code) => {
    expect(await described(code)).toBeUndefined();
  });

  test("is given as Markdown too, with the type as code", async () => {
    expect((await language.inspect("twice", 2, 0))?.markdown).toBe("```typescript\nconst twice: (value: number) => number\n```\n\nTwice as much.");
  });
});

describe("detail level 1", () => {
  test("adds the text of the declaration: of an earlier cell, of this one, and of a file with its line", async () => {
    expect(await described("train|", 1)).toContain("\n\nSource (an earlier cell):\nfunction train(recipe: Recipe, steps: number): number {\n  return steps;\n}");
    expect(await described("twice|", 1)).toContain("\n\nSource (an earlier cell):\nconst twice = (value: number) => value * 2;");
    expect(await described("const here = 5; her|e", 1)).toContain("\n\nSource (this cell):\nconst here = 5;");
    expect(await described("half|", 1)).toContain("\n\nSource (tools.ts:2):\nexport function half(value: number): number {\n  return value / 2;\n}");
    expect(await described("half(|", 1)).toContain("\n\nSource (tools.ts:2):\nexport function half");
  });
});

describe("completeness", () => {
  test.each([
    "", "1", "const a = 1", "if (a) b()", "if (a) {} else {}", "`a\nb`", "// comment", "@dec class A {}", "a < b", "<T>(x: T) => x", "<b>text</b>", "<img />",
    "%time f()", "%who", "%%time\nf()", "%%html\n<p>(\n", "?Math", "Math.max?", "await f()", "import a from 'a'", "declare const a: number", "function f(): void;\nfunction f() {}", "let later",
  ])("%j is complete", (code) => {
    expect(language.completeness(code)).toEqual({ status: "complete" });
  });

  test.each(["a b c", "const = 5", "}", "1 +* 2", "'open", "\"open\nmore", "x = /open", "foo)", "const = 5; function f() {", "class { }}"])("%j is invalid", (code) => {
    expect(language.completeness(code)).toEqual({ status: "invalid" });
  });

  test.each([
    ["function f() {", "  "],
    ["function f() {\n  if (a) {", "    "],
    ["function f() {\n  if (a) {\n    b()", "    "],
    ["function f() {\n  a()\n", "  "],
    ["function f()", ""],
    ["const a =", "  "],
    ["const a = 1 +\n  2 +", "  "],
    ["f(a,", "  "],
    ["f(\n  a,", "  "],
    ["[1, {", "  "],
    ["(a) =>", "  "],
    ["if (a)", "  "],
    ["if (a) {} else", "  "],
    ["for (const a of b)", "  "],
    ["while (a)", "  "],
    ["do {} while", ""],
    ["switch (a) {\n  case 1:", "    "],
    ["interface A {\n  b: string", "  "],
    ["@decorated", ""],
    ["class A {\n  @decorated()", "  "],
    ["`open", ""],
    ["  `open ${f(", "    "],
    ["/* open", " "],
    ["  /**\n   * open", "   "],
    ["a.b()\n  .then(", "    "],
    ["a.", "  "],
    ["a ? b :", "  "],
    ["x = a /", "  "],
    ["<div>", "  "],
    ["<div>\n  <b>x</b>", "  "],
    ["import {", "  "],
    ["const { a }", ""],
    ["try {}", ""],
    ["'goes on\\", ""],
    ["%time f(", "  "],
    ["%%time\nf(", "  "],
    ["%%html\n<p>(", ""],
  ])("%j is incomplete, and its next line starts with %j", (code, indent) => {
    expect(language.completeness(code)).toEqual({ status: "incomplete", indent });
  });
});

describe("values of a running kernel", () => {
  let client: KernelClient;
  beforeAll(async () => {
    client = await startKernel(folder);
    await runCell(client, `const settings = { rate: 0.1, layers: [1, 2, 3], name: 'small', map: new Map([[1, 2]]), get lazy() { return 1 } };
      const weights = new Float32Array(100); const untyped: any = 'text'; let count = 41; const made = new Date(0); class Model { size = 5 } const model = new Model(); function run() {}
      const failed = new TypeError('wrong'); const long = 'x'.repeat(1000);`);
  });
  afterAll(() => client.shutdown());

  const inspected = async (code: string, cursor = code.length): Promise<JsonObject> =>
    (await client.request("shell", "inspect_request", { code, cursor_pos: cursor, detail_level: 0 })).content;
  const value = async (code: string): Promise<string | undefined> =>
    /^Value: (.*)$/m.exec(String(((await inspected(code)).data as JsonObject)["text/plain"]))?.[1];

  test("are shown shortly, as they are now", async () => {
    expect(await value("settings")).toBe("{ rate: 0.1, layers: [1, 2, 3], name: \"small\", map: Map(1), lazy: [getter] }");
    expect(await value("settings.layers")).toBe("[1, 2, 3]");
    expect(await value("weights")).toBe("Float32Array(100) [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, … 90 more]");
    expect(await value("untyped")).toBe("\"text\"");
    expect(await value("made")).toBe("1970-01-01T00:00:00.000Z");
    expect(await value("model")).toBe("Model { size: 5 }");
    expect(await value("failed")).toBe("TypeError: wrong");
    expect((await value("long"))?.length).toBeLessThan(120);
    expect(await value("run")).toBeUndefined();
    await runCell(client, "count += 1");
    expect(await value("count")).toBe("42");
  });

  test("are not those of another name that is spelled the same", async () => {
    expect(((await inspected("function f(count: string) { count }", 29)).data as JsonObject)["text/plain"]).toBe("(parameter) count: string");
  });

  // Source: jupyter-client.readthedocs.io/en/stable/messaging.html#payloads-deprecated
  test.each(["?settings.rate", "settings.rate?", "settings.rate ?"])("%j opens the pager with type and value", async (code) => {
    const { reply } = await runCell(client, code);
    expect(reply).toMatchObject({ status: "ok", payload: [{ source: "page", data: { "text/plain": "(property) rate: number\n\nValue: 0.1" }, start: 0 }] });
  });

  test("a name that nothing is known of is not found", async () => {
    expect(await inspected("nowhere")).toEqual({ status: "ok", found: false, data: {}, metadata: {} });
  });
});
