import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { CellCompiler } from "../../kernel/compile/cellCompiler.ts";
import { CellLanguage } from "../../kernel/language/cellLanguage.ts";
import type { Completion } from "../../kernel/language/completion.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { pause, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

const folder = temporaryFolder();
let language: CellLanguage;
let keep: (code: string) => void;

beforeAll(() => {
  const compiler = new CellCompiler(folder);
  language = new CellLanguage(compiler, { magics: ["%time", "%who", "%%html"] });
  keep = (code) => {
    const compiled = compiler.compile(code);
    if (!compiled.isRunnable) throw new Error(`${code}: ${compiled.diagnostics[0]?.message ?? ""}`);
    compiler.keep(compiled);
  };
});

/** What is offered at the bar in the code. */
const offered = async (codeWithBar: string): Promise<{ replaced: string; entries: readonly Completion[]; texts: string[] }> => {
  const cursor = codeWithBar.indexOf("|");
  const code = codeWithBar.replace("|", "");
  const { start, end, entries } = await language.complete(code, cursor);
  return { replaced: code.slice(start, end), entries, texts: entries.map(({ text }) => text) };
};
const texts = async (codeWithBar: string): Promise<string[]> => (await offered(codeWithBar)).texts;

describe("types", () => {
  beforeAll(() => {
    keep("interface Recipe { learningRate: number; mode: 'fast' | 'slow' }\nlet recipe: Recipe = { learningRate: 1, mode: 'fast' }\n"
      + "function train(recipe: Recipe, optimizer: 'adam' | 'sgd'): number { return 1 }\nconst twice = (value: number) => value * 2\nclass Trainer { steps = 1 }\nlet maybe: Recipe | undefined");
  });

  test.each([
    ["members of a value", "recipe.|", ["learningRate", "mode"]],
    ["members that begin as typed", "recipe.le|", ["learningRate"]],
    ["members typed in another case", "recipe.LEARN|", ["learningRate"]],
    ["members of what may be undefined, by dot and by question mark", "maybe.m|", ["mode"]],
    ["members behind ?.", "maybe?.m|", ["mode"]],
    ["values of a union of strings", "recipe.mode = '|'", ["fast", "slow"]],
    ["values of an argument's union of strings, the string being open", "train(recipe, '|", ["adam", "sgd"]],
    ["keys inside brackets", "recipe['|']", ["learningRate", "mode"]],
    ["names of a binding pattern", "const { le| } = recipe", ["learningRate"]],
    ["private members", "class A { #secret = 1; read() { return this.#s| } }", ["#secret"]],
    ["members inside a template literal", "`${recipe.l|", ["learningRate"]],
    ["exports of a module", "import { basen| } from 'node:path'", ["basename"]],
    ["members in code with an error behind", "recipe.m|\nconst = {{", ["mode"]],
    ["members of a name that holds an emoji's neighbour", "'😀'; recipe.m|", ["mode"]],
  ])("offers %s: %s", async (_, code, wanted) => {
    expect(await texts(code)).toEqual(wanted);
  });

  test("keys of an object literal come from the type that is wanted, and first", async () => {
    expect((await texts("train({ |")).slice(0, 2)).toEqual(["learningRate", "mode"]);
    expect((await texts("const half: Partial<Recipe> = { le|")).slice(0, 1)).toEqual(["learningRate"]);
  });

  test("names of the notebook come before those of libraries, and those before names with an underscore", async () => {
    const names = await texts("const x = |");
    expect(Math.max(names.indexOf("recipe"), names.indexOf("train"))).toBeLessThan(names.indexOf("Array"));
    expect(names.indexOf("Array")).toBeLessThan(names.indexOf("__dirname"));
    expect(names.length).toBeGreaterThan(100);
    expect(names.length).toBeLessThanOrEqual(1000);
  });

  test.each(["// reci|", "/* reci| */", "/reci|/", "'reci' + 1.|", "`reci|`"])("offers no names where none can stand: %s", async (code) => {
    expect(await texts(code)).toEqual([]);
  });

  test("tells what each entry is, as ipykernel names kinds, and the signatures of functions", async () => {
    const entry = async (code: string, text: string): Promise<Completion | undefined> => (await offered(code)).entries.find((found) => found.text === text);
    expect(await entry("trai|", "train")).toEqual({ text: "train", type: "function", signature: "(recipe: Recipe, optimizer: \"adam\" | \"sgd\"): number" });
    expect(await entry("twic|", "twice")).toMatchObject({ type: "function", signature: "(value: number): number" });
    expect(await entry("Traine|", "Trainer")).toMatchObject({ type: "class", signature: "" });
    expect(await entry("let other: Recip|", "Recipe")).toMatchObject({ type: "class" });
    expect(await entry("recip|", "recipe")).toMatchObject({ type: "instance", signature: "" });
    expect(await entry("recipe.m|", "mode")).toMatchObject({ type: "property" });
    expect(await entry("whil|", "while")).toMatchObject({ type: "keyword" });
    expect(await entry("Math.hyp|", "hypot")).toMatchObject({ type: "function", signature: "(...values: number[]): number" });
  });

  test("the kernel's own names are never offered", async () => {
    expect((await texts("__moe|")).concat(await texts("globalThis.__moe|"))).toEqual([]);
  });
});

test.each([
  ["a constant", "const mine = 1"],
  ["an import", "import { sep as mine } from 'node:path'"],
  ["a local module's export", "import { mine } from './local'"],
])("after completion, %s of an earlier cell still has its type, in a folder with capital letters in its name", async (_, code) => {
  const place = join(temporaryFolder(), "My Notebooks");
  mkdirSync(place);
  writeFileSync(join(place, "local.ts"), "export const mine: 1 | 2 = 1");
  const compiler = new CellCompiler(place);
  const asked = new CellLanguage(compiler);
  // What the first question loads makes the next check a new one.
  await asked.warmUp();
  const compiled = compiler.compile(code);
  if (compiled.isRunnable) compiler.keep(compiled);
  // As between two cells.
  compiler.updateScope();
  const { entries } = await asked.complete("min", 3);
  expect(entries.map(({ text }) => text)).toContain("mine");
  expect(compiler.compile("const wrong: boolean = mine")).toMatchObject({ isRunnable: false, diagnostics: [{ code: 2322 }] });
});

describe("module paths", () => {
  beforeAll(() => {
    const inPackage = (name: string, manifest: object, files: string[] = []): void => {
      mkdirSync(join(folder, "node_modules", name, "features", "deep"), { recursive: true });
      writeFileSync(join(folder, "node_modules", name, "package.json"), JSON.stringify({ name, ...manifest }));
      for (const file of files) writeFileSync(join(folder, "node_modules", name, file), "");
    };
    inPackage("@scope/plain", {}, ["index.js", "index.d.ts", "other.js", "README.md"]);
    inPackage("exporting", { exports: { ".": "./index.js", "./sub": { types: "./sub.d.ts", default: "./sub.js" }, "./features/*": { types: "./features/*.d.ts", default: "./features/*.js" }, "./hidden": null } },
      ["index.js", "features/one.js", "features/one.d.ts", "features/deep/two.js"]);
    inPackage("wanted", {});
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "my-notebooks", exports: { ".": "./x.js" }, dependencies: { wanted: "1" } }));
    mkdirSync(join(folder, "sub folder", "inner"), { recursive: true });
    for (const file of ["model.ts", "legacy.js", "data.json", "types.d.ts", "notes.txt", "it's.csv", "sub folder/rows.csv", ".hidden.csv"]) writeFileSync(join(folder, file), "");
    symlinkSync(join(folder, "sub folder"), join(folder, "linked"));
  });

  test("packages near the notebook are offered in every kind of import, those asked for in package.json first", async () => {
    for (const code of ["import x from '|'", "import '|", "export * from \"|\"", "import x = require('|')", "require('|", "await import('|')", "type X = import('|')"]) {
      const names = await texts(code);
      expect(names.slice(0, 2), code).toEqual(["my-notebooks", "wanted"]);
      expect(names, code).toEqual(expect.arrayContaining(["@scope/plain", "exporting", "node:fs", "node:fs/promises", "fs"]));
    }
    expect(await texts("import x from '@scope/|'")).toEqual(["@scope/plain"]);
  });

  test("subpaths are those that the package exports, or its files where it has no exports", async () => {
    expect(await texts("import x from 'exporting/|'")).toEqual(["exporting/sub", "exporting/features/deep/two", "exporting/features/one"]);
    expect(await texts("import x from '@scope/plain/|'")).toEqual(["@scope/plain/index.js", "@scope/plain/other.js", "@scope/plain/package.json"]);
    expect(await texts("import x from 'node:fs/|'")).toEqual(["node:fs/promises"]);
  });

  test("local modules are offered with and without their ending, folders with a slash", async () => {
    const found = await offered("import { a } from './|'");
    expect(found.replaced).toBe("");
    expect(found.texts).toEqual(["data.json", "legacy.js", "legacy", "linked/", "model.ts", "model", "node_modules/", "package.json", "sub folder/"]);
    expect(await texts("import { a } from '.|'")).toEqual(["./", "../"]);
    expect(await texts("import { a } from './mo|")).toEqual(["model.ts", "model"]);
  });
});

describe("file paths", () => {
  test("are offered relative to the notebook, absolute and below the home folder", async () => {
    expect(await texts("readFileSync('./no|')")).toEqual(["node_modules/", "notes.txt"]);
    expect(await texts("readFileSync('no|')")).toEqual(["node_modules/", "notes.txt"]);
    expect(await texts("readFileSync('sub folder/|')")).toEqual(["inner/", "rows.csv"]);
    expect(await texts("readFileSync('linked/r|')")).toEqual(["rows.csv"]);
    expect(await texts(`readFileSync("${folder}/da|")`)).toEqual(["data.json"]);
    expect(await texts("readFileSync('~|')")).toEqual(["~/"]);
     expect(await texts("readFileSync('./.h|')")).toEqual([".hidden.csv"]);
  });

  test("are written as the string needs them", async () => {
    expect(await texts("readFileSync('./it|')")).toEqual(["it\\'s.csv"]);
    expect(await texts("readFileSync(\"./it|\")")).toEqual(["it's.csv"]);
  });

  test("are not offered for missing folders and URLs", async () => {
    expect(await texts("readFileSync('./nowhere/|')")).toEqual([]);
    expect(await texts("fetch('https://|')")).toEqual([]);
  });
});

describe("magics", () => {
  test("are offered where a cell starts, and nowhere else", async () => {
    expect(await texts("%|")).toEqual(["%time", "%who", "%%html"]);
    expect((await offered("\n  %w|")).entries).toEqual([{ text: "%who", type: "magic", signature: "" }]);
    expect(await texts("10\n%wh|")).not.toContain("%who");
  });

  test("do not disturb the code behind them", async () => {
    expect(await texts("%time Math.hyp|")).toEqual(["hypot"]);
    expect(await texts("%%time\nMath.hyp|")).toEqual(["hypot"]);
    expect(await texts("%who recip|")).toEqual(["recipe"]);
    expect(await texts("%%html\n<b>reci|")).toEqual([]);
  });
});

describe("code that is not finished", () => {
  const pieces = ["const a = recipe", ".", "(", "{", "[", "'", "`", "${", "}", "=>", "\n", "import ", "from ", "class A { ", "@", "<", ">", "/", "/*", "*/", "?.", "async ", "%time ", "😀", "function f", ":", ",", "..."];

  test("never breaks completion, inspection or completeness", async () => {
    // A linear congruential generator: the same codes in every run. Constants: Numerical Recipes, 2nd ed., 7.1.
    let state = 7;
    const next = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    for (let round = 0; round < 60; round++) {
      const code = Array.from({ length: 1 + next(12) }, () => pieces[next(pieces.length)]).join("");
      const cursor = next(code.length + 1);
      const { start, end } = await language.complete(code, cursor);
      expect(start >= 0 && start <= end && end <= code.length, code).toBe(true);
      await language.inspect(code, cursor, 1);
      expect(language.completeness(code).status).toMatch(/^(complete|incomplete|invalid)$/);
    }
  });
});

describe("values of a running kernel", () => {
  let client: KernelClient;
  beforeAll(async () => {
    writeFileSync(join(folder, "users.json"), JSON.stringify({ users: [{ name: "Ada", "home town": "London" }], total: 1 }));
    client = await startKernel(folder);
    await runCell(client, `import { readFileSync } from 'node:fs';
      const loaded: any = JSON.parse(readFileSync('users.json', 'utf8'));
      const hidden: unknown = { inside: 1 };
      const list: any[] = [{ city: 1, street: 2 }];
      const losses = new Map<string, { value: number }>([['train', { value: 1 }], ["it's", { value: 2 }]]);
      const counts: Record<string, number> = { alpha: 1 };
      let touched = 0;
      const trap = new Proxy({ own: 1 }, { ownKeys() { touched += 1; return []; }, get() { touched += 1; return {}; }, getOwnPropertyDescriptor() { touched += 1; return undefined; }, getPrototypeOf() { touched += 1; return null; } });
      const careful: any = { trap, get boom() { touched += 1; return { deep: 1 }; }, inherited: Object.create(trap) };
      const frame: any = new (class DataFrame { $columns = ['height', 'weight']; column(name: string) { return name; } })();
      setTimeout(() => { (globalThis as any).lateName = 5; }, 1);`);
    await runCell(client, "await new Promise((r) => setTimeout(r, 20))");
  });
  afterAll(() => client.shutdown());

  const reply = async (codeWithBar: string): Promise<JsonObject> => {
    const [before = ""] = codeWithBar.split("|");
    return (await client.request("shell", "complete_request", { code: codeWithBar.replace("|", ""), cursor_pos: [...before].length })).content;
  };
  const matches = async (codeWithBar: string): Promise<unknown> => (await reply(codeWithBar)).matches;

  test.each([
    ["keys of parsed JSON", "loaded.|", ["users", "total"]],
    ["keys of a row of it, as names", "loaded.users[0].|", ["name"]],
    ["keys of a row of it, as strings", "loaded.users[0]['|", ["name", "home town"]],
    ["keys of any row", "loaded.users[index]['h|']", ["home town"]],
    ["keys in a callback over rows", "list.map((row) => row.|)", ["city", "street"]],
    ["keys in a loop over rows", "for (const row of list) { row.c| }", ["city"]],
    ["keys of a constant of the same cell", "const first = loaded.users[0];\nfirst.n|", ["name"]],
    ["keys of an unknown value", "hidden.|", ["inside"]],
    ["keys of a map", "losses.get('|')", ["train", "it\\'s"]],
    ["members of a map's value", "losses.get('train').v|", ["value"]],
    ["keys of a record", "counts['|']", ["alpha"]],
    ["methods of an untyped value", "loaded.users.fil|", ["fill", "filter"]],
    ["columns of a data frame", "frame.column('|')", ["height", "weight"]],
    ["globals that came later", "lateN|", ["lateName"]],
  ])("offers %s: %s", async (_, code, wanted) => {
    expect(await matches(code)).toEqual(wanted);
  });

  test("never runs getters or proxies", async () => {
    expect(await matches("careful.|")).toEqual(["trap", "boom", "inherited"]);
    for (const code of ["careful.trap.|", "careful.trap.own.|", "careful.boom.|", "careful.inherited.|", "careful.trap['|']"]) expect(await matches(code), code).toEqual([]);
    for (const code of ["careful", "careful.boom", "careful.trap", "trap"]) await client.request("shell", "inspect_request", { code, cursor_pos: code.length, detail_level: 1 });
    expect((await runCell(client, "touched")).result).toBe("0");
  });

  test("is answered while a cell runs, with that cell's names too, and the kernel is busy again afterwards", async () => {
    const states: string[] = [];
    const note = (who: string) => ({ header, content }: Message): void => { if (header.msg_type === "status") states.push(`${who} ${String(content.execution_state)}`); };
    const running = runCell(client, "const duringRun = { fromTypes: 1 };\nconst until = Date.now() + 1500; while (Date.now() < until);", { onMessage: note("cell") });
    await expect.poll(() => states, { timeout: 5000, interval: 5 }).toContain("cell busy");
    await pause(200);
    const ask = async (code: string): Promise<unknown> =>
      (await client.request("shell", "complete_request", { code, cursor_pos: code.length }, { onMessage: note("completion") })).content.matches;
    expect(await ask("duringRun.")).toEqual(["fromTypes"]);
    expect(states).not.toContain("cell idle");
    await expect.poll(() => matches("loaded.|"), { timeout: 5000, interval: 20 }).toEqual(["users", "total"]);
    expect((await running).reply.status).toBe("ok");
    expect(states.slice(0, 4)).toEqual(["cell busy", "completion busy", "completion idle", "cell busy"]);
    expect(states.at(-1)).toBe("cell idle");
  });

  test("comes from types while the main thread can't be asked", async () => {
    const running = runCell(client, "require('node:child_process').spawnSync('sleep', ['1.5']); 'ended'");
    let hasEnded = false;
    void running.then(() => { hasEnded = true; });
    await pause(300);
    expect(await matches("losses.siz|")).toEqual(["size"]);
    expect(await matches("loaded.|")).toEqual([]);
    expect(hasEnded).toBe(false);
    expect((await running).result).toBe("'ended'");
    expect(await matches("loaded.|")).toEqual(["users", "total"]);
  });

  test("counts code points and tells front ends what each match is", async () => {
    expect(await reply("'😀😀'; loaded.us|ers")).toEqual({
      status: "ok", matches: ["users"], cursor_start: 13, cursor_end: 15,
      metadata: { _jupyter_types_experimental: [{ text: "users", type: "instance", signature: "", start: 13, end: 15 }] },
    });
  });
});
