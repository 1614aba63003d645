import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, test } from "vitest";
import type { JsonValue } from "../../toolkit/data/batchSource.ts";
import { openDataset, type Dataset, type DatasetOptions } from "../../toolkit/data/dataset.ts";
import type { DatasetSettings } from "../../toolkit/data/datasetSettings.ts";
import type { DataDocument } from "../../toolkit/data/documents.ts";
import { RandomSource } from "../../toolkit/random.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-dataset-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function jsonl(name: string, values: readonly unknown[]): string {
  return fileOf(name, values.map((value) => `${JSON.stringify(value)}\n`).join(""));
}

async function rest(dataset: Dataset): Promise<DataDocument[]> {
  const documents: DataDocument[] = [];
  for await (const document of dataset) documents.push(document);
  return documents;
}

const texts = async (settings: DatasetSettings, options?: DatasetOptions) => (await rest(await openDataset(settings, options))).map(({ text }) => text);
const numbered = (count: number, prefix = "") => Array.from({ length: count }, (_, i) => ({ text: `${prefix}${i}` }));

describe("what is read", () => {
  test("each format gives the documents of its field, one after the other", async () => {
    const rows = numbered(5);
    const wanted = ["0", "1", "2", "3", "4"];
    expect(await texts({ files: jsonl("a.jsonl", rows) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.json", JSON.stringify(rows)) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.csv", `text,n\n${wanted.map((text) => `${text},7\n`).join("")}`) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.tsv", `n\ttext\n${wanted.map((text) => `7\t${text}\n`).join("")}`) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.txt", wanted.join("\n\n")) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.txt.gz", gzipSync(wanted.join("\n\n"))) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.parquet", Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data: wanted, type: "STRING" }], rowGroupSize: 2 }))) })).toEqual(wanted);
    expect(await texts({ files: fileOf("a.log", wanted.join("\n\n")), format: "text" })).toEqual(wanted);
  });

  test("files of several patterns come in order, and a document knows its file and line", async () => {
    const [first, second] = [jsonl("part-1.jsonl", numbered(2, "a")), jsonl("part-2.jsonl", numbered(2, "b"))];
    const documents = await rest(await openDataset({ files: [second, join(folder, "part-?.jsonl")] }));
    expect(documents.map(({ text, file, line, domain }) => [text, file, line, domain])).toEqual([["b0", second, 1, 0], ["b1", second, 2, 0], ["a0", first, 1, 0], ["a1", first, 2, 0]]);
  });

  test("fields make records of their own, ids documents of token ids", async () => {
    const file = jsonl("fields.jsonl", [{ prompt: "p", response: "r", ids: [1, 2] }, { prompt: "q", ids: [3] }]);
    const [record] = await rest(await openDataset({ files: file, fields: ["prompt", "response"], maxBadShare: 1 }));
    expect([record.text, record.record]).toEqual([undefined, { prompt: "p", response: "r", ids: [1, 2] }]);
    const ids = await rest(await openDataset({ files: file, idsField: "ids" }));
    expect(ids.map((document) => document.ids)).toEqual([Int32Array.of(1, 2), Int32Array.of(3)]);
  });

  test("a .bin file of token ids needs no field", async () => {
    const file = fileOf("ids.bin", Buffer.from(Uint16Array.of(4, 5, 0, 6, 0).buffer));
    writeFileSync(`${file}.json`, JSON.stringify({ dtype: "uint16", vocabSize: 10, endOfText: 0 }));
    expect((await rest(await openDataset({ files: file }))).map(({ ids }) => ids)).toEqual([Int32Array.of(4, 5), Int32Array.of(6)]);
  });

  test("token ids in a list column of Parquet are read", async () => {
    const schema = [
      { name: "root", num_children: 1 }, { name: "input_ids", repetition_type: "OPTIONAL" as const, num_children: 1, converted_type: "LIST" as const },
      { name: "list", repetition_type: "REPEATED" as const, num_children: 1 }, { name: "element", type: "INT32" as const, repetition_type: "OPTIONAL" as const },
    ];
    const file = fileOf("ids.parquet", Buffer.from(parquetWriteBuffer({ columnData: [{ name: "input_ids", data: [[1, 2, 3], [4]] }], schema })));
    expect((await rest(await openDataset({ files: file, idsField: "input_ids" }))).map(({ ids }) => ids)).toEqual([Int32Array.of(1, 2, 3), Int32Array.of(4)]);
  });
});

describe("bad records", () => {
  const lines = ['{"text":"a"}', '{"text":7}', "[1]", '{"other":1}', '{"text":null}', '{"text":"\\ud800"}', "{", '{"text":"b"}'];

  test("each is counted by its reason, and none is lost", async () => {
    const dataset = await openDataset({ files: fileOf("bad.jsonl", lines.join("\n")), maxBadShare: 1 });
    expect((await rest(dataset)).map(({ text }) => text)).toEqual(["a", "b"]);
    expect(dataset.report()).toEqual({ read: 8, kept: 2, bad: { "wrong-type": 2, "missing-field": 2, "lone-surrogate": 1, "not-json": 1 }, filtered: {}, duplicates: 0, epochs: 1 });
  });

  test("the quarantine file holds each with file, line, reason and content, once over several epochs and after a resume", async () => {
    const files = fileOf("bad.jsonl", Buffer.concat([Buffer.from(`${lines.join("\n")}\n{"text":"`), Buffer.from([0xff]), Buffer.from('"}')]));
    const quarantineFile = join(folder, "deep", "quarantine.jsonl");
    const settings: DatasetSettings = { files, maxBadShare: 1, quarantineFile, epochs: 2 };
    const dataset = await openDataset(settings);
    await dataset.next();
    const cursor = dataset.cursor();
    await rest(dataset);
    const resumed = await openDataset(settings);
    await resumed.restore(cursor);
    await rest(resumed);
    const kept = readFileSync(quarantineFile, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(kept.map(({ file, line, reason }) => [file, line, reason])).toEqual([[files, 2, "wrong-type"], [files, 3, "wrong-type"], [files, 4, "missing-field"],
      [files, 5, "missing-field"], [files, 6, "lone-surrogate"], [files, 7, "not-json"], [files, 9, "not-utf8"]]);
    expect(kept[5].raw).toBe("{");
    expect(Buffer.from(kept[6].rawBase64 as string, "base64")).toEqual(Buffer.concat([Buffer.from('{"text":"'), Buffer.from([0xff]), Buffer.from('"}')]));
  });

  test("more than maxBadRecords, or than maxBadShare at the end of an epoch, is E_BAD_RECORDS with file, line and counts", async () => {
    const files = fileOf("bad.jsonl", lines.join("\n"));
    await expect(texts({ files, maxBadShare: 1, maxBadRecords: 2 })).rejects.toThrow(/3 of 4 records can't be used \(2 wrong-type, 1 missing-field; the last is .*bad\.jsonl, line 4.*E_BAD_RECORDS/);
    await expect(texts({ files, maxBadShare: 0.5 })).rejects.toThrow(/6 of 8 records.*E_BAD_RECORDS/);
    expect(await texts({ files, maxBadShare: 0.75 })).toEqual(["a", "b"]);
  });

  test("a share over the limit ends the reading as soon as 1000 records are read", async () => {
    const dataset = await openDataset({ files: fileOf("many.jsonl", '{"text":"a"}\n{\n'.repeat(10_000)) });
    await expect(rest(dataset)).rejects.toThrow(/500 of 1000 records.*E_BAD_RECORDS/);
  });

  test("data of which nothing is kept is E_DATA_EMPTY", async () => {
    await expect(texts({ files: fileOf("empty.jsonl", ""), epochs: "endless" })).rejects.toThrow(/E_DATA_EMPTY/);
    await expect(texts({ files: jsonl("short.jsonl", numbered(3)), filters: { minCharacters: 2 } })).rejects.toThrow(/none of 3 records.*minCharacters.*E_DATA_EMPTY/);
  });

  test("values nested deeper than the stack are bad records", async () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const dataset = await openDataset({ files: fileOf("deep.jsonl", `{"text":${deep}}\n${deep}\n{"text":"a"}\n`), maxBadShare: 1 });
    expect((await rest(dataset)).map(({ text }) => text)).toEqual(["a"]);
    expect(dataset.report().bad).toEqual({ "wrong-type": 2 });
  });
});

describe("settings", () => {
  test.each<[string, unknown, RegExp]>([
    ["an unknown name", { files: "a", file: "b" }, /"file"/],
    ["no files", {}, /files/],
    ["a wrong type", { files: "a", maxRecordBytes: "big" }, /maxRecordBytes/],
    ["a nested mistake", { files: "a", shuffle: { seed: -1 } }, /shuffle\.seed/],
    ["fields that exclude each other", { files: "a", textField: "t", idsField: "i" }, /exclude each other/],
  ])("%s is E_DATA_SETTINGS that names it", async (_, settings, name) => {
    await expect(openDataset(settings as DatasetSettings)).rejects.toThrow(/E_DATA_SETTINGS/);
    await expect(openDataset(settings as DatasetSettings)).rejects.toThrow(name);
  });

  test("an unknown extension is E_DATA_EXTENSION, a pattern without files E_DATA_MISSING", async () => {
    await expect(openDataset({ files: fileOf("a.xyz", "") })).rejects.toThrow(/E_DATA_EXTENSION/);
    await expect(openDataset({ files: join(folder, "*.none") })).rejects.toThrow(/E_DATA_MISSING/);
  });

  test.each<[string, Partial<DatasetSettings>]>([["filters on records without a text", { fields: ["text"], filters: { minWords: 1 } }], ["vocabSize on text", { vocabSize: 9 }]])(
    "%s would do nothing: E_DATA_SETTINGS", async (_, settings) => {
      await expect(openDataset({ files: jsonl("any.jsonl", numbered(1)), ...settings })).rejects.toThrow(/E_DATA_SETTINGS/);
    });

  test("a quarantine file that is one of the data files is refused", async () => {
    const files = jsonl("self.jsonl", numbered(1));
    await expect(openDataset({ files, quarantineFile: join(folder, ".", "self.jsonl") })).rejects.toThrow(/E_DATA_SETTINGS/);
  });
});

describe("filters and dedup", () => {
  test("a document is left out by the first filter it breaks, and counted under its name; the user's own come last", async () => {
    const files = jsonl("filter.jsonl", [{ text: "x" }, { text: "xx yy" }, { text: "a long one that is kept", n: 1 }, { text: "a long one that is not", n: 2 }, { text: "z".repeat(99) }]);
    const dataset = await openDataset({ files, filters: { minCharacters: 2, minWords: 3, maxCharacters: 50 } }, { keep: { odd: ({ record }) => record.n === 1 } });
    expect((await rest(dataset)).map(({ text }) => text)).toEqual(["a long one that is kept"]);
    expect(dataset.report()).toMatchObject({ read: 5, kept: 1, filtered: { minCharacters: 1, minWords: 1, maxCharacters: 1, odd: 1 } });
  });

  test("the user's own filters see every column of Parquet", async () => {
    const columnData = [{ name: "text", data: ["a", "b"], type: "STRING" as const }, { name: "score", data: [1, 2], type: "INT32" as const }];
    const files = fileOf("columns.parquet", Buffer.from(parquetWriteBuffer({ columnData })));
    expect(await texts({ files }, { keep: { score: ({ record }) => record.score === 2 } })).toEqual(["b"]);
    expect((await rest(await openDataset({ files })))[0].record).toEqual({ text: "a" });
  });

  test("exact duplicates are left out but for case and white space, anew in each epoch", async () => {
    const dataset = await openDataset({ files: jsonl("double.jsonl", [{ text: "One  two" }, { text: "two" }, { text: "one two\n" }, { text: "two" }]), dedup: { kind: "exact" }, epochs: 2 });
    expect((await rest(dataset)).map(({ text }) => text)).toEqual(["One  two", "two", "One  two", "two"]);
    expect(dataset.report()).toMatchObject({ read: 8, kept: 4, duplicates: 4, epochs: 2 });
  });

  test("duplicates of token ids and of records are found too", async () => {
    const files = jsonl("double.jsonl", [{ ids: [1, 2] }, { ids: [1, 2] }, { ids: [12] }]);
    expect(await rest(await openDataset({ files, idsField: "ids", dedup: { kind: "exact" } }))).toHaveLength(2);
    expect(await rest(await openDataset({ files, fields: ["ids"], dedup: { kind: "exact" } }))).toHaveLength(2);
  });
});

describe("shuffling", () => {
  const files = Array.from({ length: 4 }, (_, part) => jsonl(`shuffle-${part}.jsonl`, numbered(50, `${part}-`)));
  const all = files.flatMap((_, part) => numbered(50, `${part}-`).map(({ text }) => text));

  test("each epoch gives every document once, in an order of its own", async () => {
    const documents = await texts({ files, shuffle: { seed: 3, bufferDocuments: 40 }, epochs: 3 });
    const epochs = [0, 1, 2].map((epoch) => documents.slice(epoch * 200, (epoch + 1) * 200));
    for (const epoch of epochs) expect([...epoch].sort()).toEqual([...all].sort());
    expect(new Set([all, ...epochs].map(String)).size).toBe(4);
    const fileOrders = epochs.map((epoch) => [...new Set(epoch.map((text) => text?.[0]))].join(""));
    expect(new Set(fileOrders).size).toBeGreaterThan(1);
  });

  test("the same seed gives the same order, another seed another", async () => {
    const order = (seed: number) => texts({ files, shuffle: { seed, bufferDocuments: 40 } });
    expect(await order(1)).toEqual(await order(1));
    expect(await order(1)).not.toEqual(await order(2));
  });

  test("the buffer is bounded by documents and by characters", async () => {
    const unshuffled = await texts({ files, shuffle: { seed: 1, bufferDocuments: 1 } });
    // One character is enough to fill this buffer, so it never holds two documents.
    expect(await texts({ files, shuffle: { seed: 1, bufferMegacharacters: 1e-6 } })).toEqual(unshuffled);
  });
});

describe("going on from a cursor", () => {
  const random = new RandomSource(77);
  const values = Array.from({ length: 120 }, (_, i) => (i % 11 === 3 ? { wrong: i } : { text: `document ${i % 40} ${"word ".repeat(random.nextInt(30))}`, i }));
  const parts = [values.slice(0, 50), values.slice(50, 53), values.slice(53)];
  const sources: Record<string, () => string[]> = {
    jsonl: () => parts.map((part, i) => jsonl(`cursor-${i}.jsonl`, part)),
    "jsonl.gz": () => parts.map((part, i) => fileOf(`cursor-${i}.jsonl.gz`, gzipSync(part.map((value) => JSON.stringify(value)).join("\n")))),
    json: () => parts.map((part, i) => fileOf(`cursor-${i}.json`, JSON.stringify({ data: part }))),
    txt: () => parts.map((part, i) => fileOf(`cursor-${i}.txt`, part.map(({ text = "none" }) => text).join("\n\n"))),
    csv: () => parts.map((part, i) => fileOf(`cursor-${i}.csv`, `text\n${part.map(({ text }) => (text === undefined ? "a,b" : `"${text}\n"`)).join("\n")}`)),
    parquet: () => parts.map((part, i) => fileOf(`cursor-${i}.parquet`, Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data: part.map(({ text }) => text ?? null), type: "STRING" }], rowGroupSize: 17 })))),
  };
  const ways: Record<string, Partial<DatasetSettings>> = {
    "in order": {},
    shuffled: { shuffle: { seed: 5, bufferDocuments: 16 } },
    "shuffled, with filters and dedup": { shuffle: { seed: 6, bufferDocuments: 7 }, filters: { minWords: 4 }, dedup: { kind: "exact" } },
  };

  test.each(Object.keys(sources).flatMap((format) => Object.keys(ways).map((way) => [format, way])))(
    "%s, %s: documents and report after restore equal those of an uninterrupted run, wherever it was taken", async (format, way) => {
      const settings: DatasetSettings = { files: sources[format](), maxBadShare: 1, epochs: 3, ...ways[way] };
      const whole = await openDataset(settings);
      const cursors = [JSON.stringify(whole.cursor())];
      const documents: DataDocument[] = [];
      for await (const document of whole) {
        documents.push(document);
        cursors.push(JSON.stringify(whole.cursor()));
      }
      cursors.push(JSON.stringify(whole.cursor()));
      const resumed = await openDataset(settings);
      for (const taken of [0, 1, documents.length - 1, documents.length, documents.length + 1, ...Array.from({ length: 12 }, () => random.nextInt(cursors.length))]) {
        await resumed.restore(JSON.parse(cursors[taken]) as JsonValue);
        expect(await rest(resumed)).toEqual(documents.slice(taken));
        expect(resumed.report()).toEqual(whole.report());
        expect(JSON.stringify(resumed.cursor())).toBe(cursors[cursors.length - 1]);
      }
    });

  test("a cursor of other files, of files that have changed, or of other settings is E_DATA_CURSOR", async () => {
    const files = jsonl("changing.jsonl", numbered(20));
    const dataset = await openDataset({ files });
    await dataset.next();
    const cursor = dataset.cursor();
    await dataset.close();
    await expect((await openDataset({ files: jsonl("other.jsonl", numbered(20)) })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
    await expect((await openDataset({ files, filters: { minWords: 1 } })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
    await expect((await openDataset({ files }, { keep: { all: () => true } })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
    await (await openDataset({ files, epochs: "endless" })).restore(cursor);
    jsonl("changing.jsonl", numbered(20, "x"));
    await expect((await openDataset({ files })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
  });

  test.each<[JsonValue]>([[null], [3], [[]], [{}], [{ position: 1 }]])("%j is not a cursor: E_DATA_CURSOR", async (cursor) => {
    await expect((await openDataset({ files: jsonl("any.jsonl", numbered(2)) })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
  });

  test("a cursor with a wrong place is E_DATA_CURSOR", async () => {
    const dataset = await openDataset({ files: jsonl("any.jsonl", numbered(2)) });
    const cursor = dataset.cursor() as { [key: string]: JsonValue };
    for (const change of [{ index: -1 }, { index: 5 }, { documents: "x" }, { position: { epoch: 0, file: 9, byte: 0, line: 0 } }, { counts: { read: 0.5 } }]) {
      const changed: { [key: string]: unknown } = { ...cursor, ...change };
      await expect(dataset.restore(changed as JsonValue)).rejects.toThrow(/E_DATA_CURSOR/);
    }
  });
});
