import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, test } from "vitest";
import { packedBatches } from "../../toolkit/data/collators/packing.ts";
import { openDataset } from "../../toolkit/data/dataset.ts";
import type { DatasetSettings } from "../../toolkit/data/datasetSettings.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Data beyond what may be held; with MOE_LAB_LONG=1 ten times as much. */
const megabytes = process.env.MOE_LAB_LONG === "1" ? 200 : 20;
/** What reading may hold: buffers, a shuffle buffer of 1000 documents, and the collector's lag. */
const allowedMegabytes = 10;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function heldMegabytes(): Promise<number> {
  // Buffers are given back by a task that follows the collection.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await nextTurn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}

const lineOf = (i: number) => `document ${i} ${"some words of text ".repeat(50)}`;

/** Writes lines until the file is large enough. */
function write(name: string, row: (i: number) => string, [before, between, after]: readonly [string, string, string]): string {
  const path = join(folder, name);
  const file = openSync(path, "w");
  writeSync(file, before);
  for (let written = 0, i = 0; written < megabytes * 1e6; i++) written += writeSync(file, (i > 0 ? between : "") + row(i));
  writeSync(file, after);
  closeSync(file);
  return path;
}

const files: Record<string, () => string> = {
  jsonl: () => write("a.jsonl", (i) => JSON.stringify({ text: lineOf(i) }), ["", "\n", "\n"]),
  json: () => write("a.json", (i) => JSON.stringify({ text: lineOf(i) }), ['{"data":[', ",\n", "]}"]),
  csv: () => write("a.csv", (i) => `${i},"${lineOf(i)}"`, ["n,text\n", "\n", "\n"]),
  txt: () => write("a.txt", lineOf, ["", "\n\n", "\n"]),
  "jsonl.gz": () => {
    const path = join(folder, "a.jsonl.gz");
    writeFileSync(path, gzipSync(readFileSync(files.jsonl()), { level: 1 }));
    return path;
  },
  parquet: () => {
    const path = join(folder, "a.parquet");
    const data = Array.from({ length: (20 * 1e6) / lineOf(0).length }, (_, i) => lineOf(i));
    writeFileSync(path, Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data, type: "STRING" }], rowGroupSize: 500, codec: "UNCOMPRESSED" })));
    return path;
  },
};

async function peakOf(settings: DatasetSettings): Promise<{ documents: number; megabytes: number }> {
  const dataset = await openDataset(settings);
  const before = await heldMegabytes();
  let documents = 0, peak = 0;
  for await (const { text } of dataset) {
    documents += text === undefined ? 0 : 1;
    if (documents % 4000 === 0) peak = Math.max(peak, await heldMegabytes() - before);
  }
  return { documents, megabytes: peak };
}

describe("memory", () => {
  test.each(Object.keys(files))("reading a large %s file in order, and shuffled, holds a small part of it", async (name) => {
    const path = files[name]();
    if (name !== "jsonl.gz") expect(statSync(path).size).toBeGreaterThan(19e6);
    const inOrder = await peakOf({ files: path });
    expect(inOrder.documents).toBeGreaterThan(19_000);
    expect(inOrder.megabytes).toBeLessThan(allowedMegabytes);
    const shuffled = await peakOf({ files: path, shuffle: { seed: 1, bufferDocuments: 1000 } });
    expect(shuffled.documents).toBe(inOrder.documents);
    expect(shuffled.megabytes).toBeLessThan(allowedMegabytes);
  }, 300_000);

  test("a shuffle buffer is bounded by its characters where documents are long", async () => {
    const path = write("long.jsonl", (i) => JSON.stringify({ text: `${i} ${"x".repeat(200_000)}` }), ["", "\n", "\n"]);
    const dataset = await openDataset({ files: path, shuffle: { seed: 1, bufferDocuments: 100_000, bufferMegacharacters: 2 } });
    const before = await heldMegabytes();
    let peak = 0, documents = 0;
    for await (const { text = "" } of dataset) if (text.length > 200_000 && ++documents % 15 === 0) peak = Math.max(peak, await heldMegabytes() - before);
    expect(documents).toBeGreaterThan(99);
    expect(peak).toBeLessThan(allowedMegabytes);
  }, 300_000);

  test("a line of the whole file's size is a bad record, not held", async () => {
    const path = write("line.jsonl", () => "x".repeat(100_000), ["", "", '\n{"text":"after"}\n']);
    const dataset = await openDataset({ files: path, maxRecordBytes: 1_000_000, maxBadShare: 1 });
    const before = await heldMegabytes();
    expect((await dataset.next())?.text).toBe("after");
    expect(await heldMegabytes() - before).toBeLessThan(allowedMegabytes);
    expect(dataset.report().bad).toEqual({ "too-long": 1 });
    await dataset.close();
  }, 300_000);

  test("packing a large file into batches holds a small part of it", async () => {
    const dataset = await openDataset({ files: files.jsonl() });
    const encoder = { endOfText: 0, encode: (text: string) => Int32Array.from(text, (char) => char.charCodeAt(0)) };
    const batches = packedBatches(dataset, encoder, { batchSize: 8, contextLength: 512, packing: { kind: "bestFit", windowDocuments: 200 } });
    const before = await heldMegabytes();
    let peak = 0, count = 0;
    for await (const { inputs } of batches) if (inputs.length > 0 && ++count % 500 === 0) peak = Math.max(peak, await heldMegabytes() - before);
    expect(count).toBeGreaterThan(4000);
    expect(peak).toBeLessThan(allowedMegabytes);
  }, 300_000);
});
