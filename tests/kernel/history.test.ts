import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { historyFolder } from "../../kernel/historyFolder.ts";
import { kernelCommandLine } from "../../kernel/install.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import { fitsGlob, History } from "../../kernel/requests/history.ts";
import { HISTORY_BOUNDS, HistoryFiles } from "../../kernel/requests/historyFiles.ts";
import { buildKernel, repositoryFolder, runCell, temporaryFolder } from "./kernelHarness.ts";

const historyOf = (folder: string): History => new History(new HistoryFiles(folder));

/** Runs a session in a history of its own: line numbers from 1. */
async function session(folder: string, ...cells: readonly (readonly [input: string, output: string | null])[]): Promise<History> {
  const history = historyOf(folder);
  cells.forEach(([input, output], index) => { history.add(index + 1, input, output); });
  await history.flush();
  return history;
}

const select = async (history: History, request: JsonObject): Promise<unknown[]> =>
  (await history.select(request)).map((entry) => [entry.session, entry.line, entry.input]);

describe("history", () => {
  test("numbers sessions by their first cell and finds those of earlier kernels by tail, range and search", async () => {
    const folder = temporaryFolder();
    await session(folder, ["const a = 1", null], ["a + 1", "2"]);
    await session(folder, ["a + 1", "'3'"]);
    const third = await session(folder, ["b", null], ["b?", null], ["c", null]);
    expect(await select(third, { hist_access_type: "tail", n: 4 })).toEqual([[2, 1, "a + 1"], [3, 1, "b"], [3, 2, "b?"], [3, 3, "c"]]);
    expect(await select(third, { hist_access_type: "tail", n: 0 })).toEqual([]);
    expect(await select(third, { hist_access_type: "tail" })).toHaveLength(6);
    expect(await select(third, { hist_access_type: "range", session: 0, start: 2, stop: 3 })).toEqual([[3, 2, "b?"]]);
    expect(await select(third, { hist_access_type: "range", session: 3, start: 3 })).toEqual([[3, 3, "c"]]);
    expect(await select(third, { hist_access_type: "range", session: -2, start: 1, stop: 2 })).toEqual([[1, 1, "const a = 1"]]);
    expect(await select(third, { hist_access_type: "range", session: 1, start: 2, stop: null })).toEqual([[1, 2, "a + 1"]]);
    expect(await select(third, { hist_access_type: "range", session: 9, start: 0, stop: 9 })).toEqual([]);
    expect(await select(third, { hist_access_type: "search", pattern: "?*1" })).toEqual([[1, 1, "const a = 1"], [1, 2, "a + 1"], [2, 1, "a + 1"]]);
    expect(await select(third, { hist_access_type: "search", pattern: "a*", unique: true })).toEqual([[2, 1, "a + 1"]]);
    expect(await select(third, { hist_access_type: "search", pattern: "*", n: 1 })).toEqual([[3, 3, "c"]]);
    expect((await third.select({ hist_access_type: "range", session: 2 }))[0]?.output).toBe("'3'");
    expect(await select(third, { hist_access_type: "something else" })).toEqual([]);
  });

  test("of a kernel without a cell of its own has the next number, and leaves nothing on disk", async () => {
    const folder = temporaryFolder();
    await session(folder, ["1", "1"]);
    const idle = historyOf(folder);
    expect(await select(idle, { hist_access_type: "range", session: -1 })).toEqual([[1, 1, "1"]]);
    expect(readdirSync(folder)).toEqual(["1.jsonl"]);
  });

  test("is private and outlives damaged lines, strange files and a line that was cut off by a crash", async () => {
    const folder = join(temporaryFolder(), "not there yet");
    await session(folder, ["first", null], ["second", null]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const path = join(folder, "1.jsonl");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const [first = "", second = ""] = readFileSync(path, "utf8").split("\n");
    const damaged = [first, "no JSON", "[]", '{"line":"2","input":"x"}', '{"line":3}', "", second, '{"line":4,"inp'].join("\n");
    writeFileSync(path, damaged);
    writeFileSync(join(folder, "notes.txt"), "mine");
    const next = await session(folder, ["third", null]);
    expect(await select(next, { hist_access_type: "tail" })).toEqual([[1, 1, "first"], [1, 2, "second"], [2, 1, "third"]]);
    expect(readFileSync(path, "utf8")).toBe(damaged);
    expect(readFileSync(join(folder, "notes.txt"), "utf8")).toBe("mine");
  });

  test("of many kernels at once is written without loss, each under a number of its own", async () => {
    const folder = temporaryFolder();
    const kernels = Array.from({ length: 12 }, () => historyOf(folder));
    for (let line = 1; line <= 20; line++) kernels.forEach((history, index) => { history.add(line, `${index}:${line}`, null); });
    await Promise.all(kernels.map((history) => history.flush()));
    const entries = await historyOf(folder).select({ hist_access_type: "tail" });
    expect(entries).toHaveLength(12 * 20);
    expect(new Set(entries.map((entry) => entry.session)).size).toBe(12);
    for (const [index, history] of kernels.entries()) {
      const own = await select(history, { hist_access_type: "range", session: 0 });
      expect(own.map((entry) => (entry as unknown[])[2])).toEqual(Array.from({ length: 20 }, (_, line) => `${index}:${line + 1}`));
    }
  });

  test("is bounded in sessions and bytes: the oldest go, the newest stay", async () => {
    const folder = temporaryFolder();
    const bounded = async (cells: number, bounds: Partial<typeof HISTORY_BOUNDS>): Promise<void> => {
      const history = new History(new HistoryFiles(folder, { ...HISTORY_BOUNDS, ...bounds }));
      for (let line = 1; line <= cells; line++) history.add(line, `cell ${line} ${"x".repeat(100)}`, null);
      await history.flush();
    };
    for (let kernel = 0; kernel < 6; kernel++) await bounded(1, { sessions: 3 });
    expect(readdirSync(folder).sort()).toEqual(["4.jsonl", "5.jsonl", "6.jsonl"]);
    await bounded(100, { sessionBytes: 2000 });
    const newest = await select(historyOf(folder), { hist_access_type: "range", session: -1 });
    expect(statSync(join(folder, "7.jsonl")).size).toBeLessThanOrEqual(2000);
    expect(newest.length).toBeGreaterThan(3);
    expect((newest.at(-1) as unknown[])[1]).toBe(100);
    await bounded(1, { totalBytes: 1 });
    expect(readdirSync(folder)).toEqual(["8.jsonl"]);
  });

  test("leaves out a cell of a megabyte and the text of a long result", async () => {
    const folder = temporaryFolder();
    const history = await session(folder, ["x".repeat(1_000_000), null], ["'y'.repeat(1e6)", "y".repeat(1_000_000)]);
    expect((await history.select({ hist_access_type: "tail" })).map(({ line, output }) => [line, output])).toEqual([[2, null]]);
    expect(statSync(join(folder, "1.jsonl")).size).toBeLessThan(1000);
  });

  test("goes on in memory where its folder can't be written", async () => {
    const file = join(temporaryFolder(), "a file");
    writeFileSync(file, "in the way");
    const history = await session(join(file, "history"), ["1", "1"], ["2", "2"]);
    expect((await select(history, { hist_access_type: "tail" })).map((entry) => (entry as unknown[])[2])).toEqual(["1", "2"]);
    expect(readFileSync(file, "utf8")).toBe("in the way");
  });

  test.each([
    ["", "", true], ["", "*", true], ["abc", "abc", true], ["abc", "a?c", true], ["abc", "a?", false], ["abc", "*c", true], ["abc", "*b", false],
    ["a😀c", "a?c", true], ["a\nb", "a*b", true], ["a.c", "a.c", true], ["abc", "a.c", false], ["a[b]", "a[b]", true], ["aXbXc", "a*X*c", true], ["ab", "ab*", true], ["ab", "abc", false],
  ])("search: the text %j and the pattern %j fit: %j", (text, pattern, fits) => {
    expect(fitsGlob(text, pattern)).toBe(fits);
  });

  test("search takes no exponential time for a pattern of stars", () => {
    expect(fitsGlob("a".repeat(5000), `${"*a".repeat(400)}b`)).toBe(false);
  });
});

describe("the history's folder", () => {
  const home = join("/", "home", "ada");
  test.each([
    ["linux", {}, join(home, ".local", "share", "jupyter", "moe-lab", "history")],
    ["linux", { XDG_DATA_HOME: "/data" }, join("/data", "jupyter", "moe-lab", "history")],
    ["darwin", {}, join(home, "Library", "Jupyter", "moe-lab", "history")],
    ["linux", { JUPYTER_DATA_DIR: "/jupyter" }, join("/jupyter", "moe-lab", "history")],
    ["linux", { MOE_LAB_HISTORY: "/elsewhere", JUPYTER_DATA_DIR: "/jupyter" }, "/elsewhere"],
    ["linux", { MOE_LAB_HISTORY: "off" }, null],
  ] as const)("on %s with %j is %s", (platform, environment, folder) => {
    expect(historyFolder({ environment, platform, homeFolder: home })).toBe(folder);
  });

  test("is nowhere for a user without a home", () => {
    expect(historyFolder({ environment: {}, platform: "linux", homeFolder: "" })).toBeNull();
  });
});

test("history survives a restart of the kernel; silent and unstored cells are not in it", async () => {
  buildKernel();
  const folder = temporaryFolder();
  const start = (): Promise<KernelClient> => KernelClient.start({ argv: kernelCommandLine(), cwd: repositoryFolder, env: { MOE_LAB_HISTORY: folder } });
  const ask = async (client: KernelClient, content: JsonObject): Promise<unknown> => (await client.request("shell", "history_request", content)).content.history;
  const first = await start();
  for (const code of ["40 + 2", "throw new Error('kept too')", "nowhere"]) await runCell(first, code, { stopOnError: false });
  await runCell(first, "'silent'", { silent: true });
  await runCell(first, "'unstored'", { storeHistory: false });
  expect(await ask(first, { hist_access_type: "tail", n: 9, output: true, raw: true })).toEqual([[1, 1, ["40 + 2", "42"]], [1, 2, ["throw new Error('kept too')", null]], [1, 3, ["nowhere", null]]]);
  await first.shutdown();
  appendFileSync(join(folder, "1.jsonl"), "damage");
  const second = await start();
  await runCell(second, "'again'");
  expect(await ask(second, { hist_access_type: "tail", n: 2, output: false })).toEqual([[1, 3, "nowhere"], [2, 1, "'again'"]]);
  expect(await ask(second, { hist_access_type: "range", session: -1, start: 1, stop: 2, output: true })).toEqual([[1, 1, ["40 + 2", "42"]]]);
  await second.shutdown();
  expect(readdirSync(folder).sort()).toEqual(["1.jsonl", "2.jsonl"]);
});
