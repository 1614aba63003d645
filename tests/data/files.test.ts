import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findFiles } from "../../toolkit/data/files.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
for (const name of ["a.txt", "b.txt", "B.txt", "c.csv", "a10.txt", ".hidden.txt", "deep/a.txt", "deep/er/a.txt", "deep/er/b.csv", ".git/a.txt", "odd/x{1,2}.txt", "odd/a*.txt", "odd/(x).txt"]) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), "");
}
symlinkSync(folder, join(folder, "deep", "loop"));

const found = (...patterns: string[]) => findFiles(patterns.map((pattern) => join(folder, pattern))).map((path) => path.slice(folder.length + 1));

describe("findFiles", () => {
  test.each<[pattern: string, names: string[]]>([
    ["a.txt", ["a.txt"]],
    ["*.txt", ["B.txt", "a.txt", "a10.txt", "b.txt"]],
    ["?.txt", ["B.txt", "a.txt", "b.txt"]],
    ["a*", ["a.txt", "a10.txt"]],
    ["{c,a}.{csv,txt}", ["a.txt", "c.csv"]],
    ["{a,b{,1}0}.txt", ["a.txt"]],
    ["**/*.csv", ["c.csv", "deep/er/b.csv"]],
    ["deep/**", ["deep/a.txt", "deep/er/a.txt", "deep/er/b.csv"]],
    ["**/er/*.txt", ["deep/er/a.txt"]],
    ["d*/*/a.txt", ["deep/er/a.txt", "deep/loop/a.txt"]],
    [".hid*", [".hidden.txt"]],
    ["odd/(?).txt", ["odd/(x).txt"]],
  ])("%s names %j", (pattern, names) => {
    expect(found(pattern)).toEqual(names);
  });

  test("a path that exists is taken as it is, whatever signs are in it", () => {
    expect(found("odd/x{1,2}.txt", "odd/a*.txt")).toEqual(["odd/x{1,2}.txt", "odd/a*.txt"]);
  });

  test("a file that several patterns name comes once, at its first", () => {
    expect(found("b.txt", "*.txt")).toEqual(["b.txt", "B.txt", "a.txt", "a10.txt"]);
  });

  test.each(["none.txt", "*.none", "none/**", "a.txt/*"])("%s names no file: E_DATA_MISSING", (pattern) => {
    expect(() => found(pattern)).toThrow(/E_DATA_MISSING/);
  });

  test("braces that multiply beyond reason are E_DATA_PATTERN", () => {
    expect(() => found("{a,b}".repeat(20))).toThrow(/E_DATA_PATTERN/);
  });
});
