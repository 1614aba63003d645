import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, test } from "vitest";
import { readCsv } from "../../toolkit/data/readers/csv.ts";
import { readJson } from "../../toolkit/data/readers/json.ts";
import { readJsonl } from "../../toolkit/data/readers/jsonl.ts";
import { readParquet } from "../../toolkit/data/readers/parquet.ts";
import { defaultReadSettings, type BadRecord, type DataRecord, type ReadPosition, type ReadSettings, type RecordReader } from "../../toolkit/data/readers/record.ts";
import { readTextDocuments } from "../../toolkit/data/readers/text.ts";
import { readTokenised } from "../../toolkit/data/readers/tokenised.ts";
import { DataError } from "../../toolkit/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-readers-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function collect(reader: RecordReader, file: string, settings: Partial<ReadSettings> = {}, from?: ReadPosition): Promise<(DataRecord | BadRecord)[]> {
  const items: (DataRecord | BadRecord)[] = [];
  for await (const item of reader(file, { ...defaultReadSettings, ...settings }, from)) items.push(item);
  return items;
}

/** What a test compares: a record's line and value, or its line and reason. */
function brief(items: readonly (DataRecord | BadRecord)[]): unknown[] {
  return items.map((item) => [item.line, item.kind === "record" ? item.value : item.reason]);
}

async function expectResumable(reader: RecordReader, file: string, settings: Partial<ReadSettings> = {}): Promise<void> {
  const whole = await collect(reader, file, settings);
  for (const [i, item] of whole.entries()) {
    expect(await collect(reader, file, settings, item.after)).toEqual(whole.slice(i + 1));
  }
}

const bytesOf = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe("JSON Lines", () => {
  test("records are the lines, with number and byte offset; blank lines are left out", async () => {
    const items = await collect(readJsonl, fileOf("a.jsonl", '{"a":1}\n\n  \n{"a":"ü"}\n[2]'));
    expect(brief(items)).toEqual([[1, { a: 1 }], [4, { a: "ü" }], [5, [2]]]);
    expect(items.map(({ byte }) => byte)).toEqual([0, 12, 23]);
    expect(items.map(({ after }) => after)).toEqual([{ byte: 8, line: 1 }, { byte: 23, line: 4 }, { byte: 26, line: 4 }]);
  });

  test("\\r\\n ends, a byte order mark and a missing last line end change nothing", async () => {
    const plain = await collect(readJsonl, fileOf("plain.jsonl", '{"a":1}\n{"a":2}\n'));
    for (const text of ['{"a":1}\r\n{"a":2}\r\n', '\ufeff{"a":1}\n{"a":2}\n', '{"a":1}\n{"a":2}']) {
      expect(brief(await collect(readJsonl, fileOf("other.jsonl", text)))).toEqual(brief(plain));
    }
  });

  test("broken JSON, bytes that are not UTF-8 and lines over the limit are bad records with their line, and reading goes on", async () => {
    const file = fileOf("bad.jsonl", bytesOf('{"a":1}\n{"a":\n{"a":"', [0xff], '"}\n', `{"a":"${"x".repeat(100)}"}\n`, '{"a":2}\n{"a'));
    const items = await collect(readJsonl, file, { maxRecordBytes: 50 });
    expect(brief(items)).toEqual([[1, { a: 1 }], [2, "not-json"], [3, "not-utf8"], [4, "too-long"], [5, { a: 2 }], [6, "not-json"]]);
    const [, broken] = items as BadRecord[];
    expect(Buffer.from(broken.raw).toString()).toBe('{"a":');
    await expectResumable(readJsonl, file, { maxRecordBytes: 50 });
  });

  test("an empty file has no records", async () => {
    expect(await collect(readJsonl, fileOf("empty.jsonl", ""))).toEqual([]);
    expect(await collect(readJsonl, fileOf("bom.jsonl", "\ufeff"))).toEqual([]);
  });

  test("a line of exactly the limit is read, one byte more is too long", async () => {
    const line = '{"a":"1234567890"}\n';
    expect(brief(await collect(readJsonl, fileOf("limit.jsonl", line), { maxRecordBytes: line.length }))).toEqual([[1, { a: "1234567890" }]]);
    expect(brief(await collect(readJsonl, fileOf("limit.jsonl", line), { maxRecordBytes: line.length - 1 }))).toEqual([[1, "too-long"]]);
  });

  test("lines across the read buffer are whole, and reading goes on at any of them", async () => {
    const values = Array.from({ length: 40 }, (_, i) => ({ i, text: "ä".repeat(i * 1000) }));
    const file = fileOf("long.jsonl", values.map((value) => JSON.stringify(value)).join("\n"));
    expect((await collect(readJsonl, file)).map((item) => item.kind === "record" && item.value)).toEqual(values);
    await expectResumable(readJsonl, file);
  });

  test("a gzip file is read like its content, from any record on", async () => {
    const text = Array.from({ length: 2000 }, (_, i) => `{"i":${i}}`).join("\n");
    const plain = await collect(readJsonl, fileOf("same.jsonl", text));
    const file = fileOf("same.jsonl.gz", gzipSync(text));
    expect((await collect(readJsonl, file)).map((item) => ({ ...item, file: "" }))).toEqual(plain.map((item) => ({ ...item, file: "" })));
    for (const i of [0, 700, 1998, 1999]) expect(brief(await collect(readJsonl, file, {}, plain[i].after))).toEqual(brief(plain.slice(i + 1)));
  });

  test("a gzip file of several members is read to its end", async () => {
    const file = fileOf("members.jsonl.gz", Buffer.concat([gzipSync('{"a":1}\n'), gzipSync('{"a":2}\n')]));
    expect(brief(await collect(readJsonl, file))).toEqual([[1, { a: 1 }], [2, { a: 2 }]]);
  });

  test("a cut off gzip file is E_DATA_GZIP, a missing file E_DATA_MISSING, a folder E_DATA_UNREADABLE", async () => {
    const packed = gzipSync(Array.from({ length: 5000 }, (_, i) => `{"i":${i * 7919}}`).join("\n"));
    await expect(collect(readJsonl, fileOf("cut.jsonl.gz", packed.subarray(0, packed.length - 20)))).rejects.toThrow(/E_DATA_GZIP/);
    await expect(collect(readJsonl, fileOf("wrong.jsonl.gz", '{"a":1}'))).rejects.toThrow(/E_DATA_GZIP/);
    await expect(collect(readJsonl, join(folder, "none.jsonl"))).rejects.toThrow(/E_DATA_MISSING/);
    await expect(collect(readJsonl, folder)).rejects.toThrow(/E_DATA_UNREADABLE/);
  });

  test("a reading that is given up closes its file, also a compressed one", async () => {
    const text = Array.from({ length: 300_000 }, (_, i) => `{"i":${i}}`).join("\n");
    for (const file of [fileOf("given-up.jsonl", text), fileOf("given-up.jsonl.gz", gzipSync(text))]) {
      const records = readJsonl(file, defaultReadSettings);
      await records.next();
      expect(await records.return(undefined)).toEqual({ done: true, value: undefined });
    }
  });
});

describe("JSON", () => {
  test("records are the elements of an array, or of the field data of an object", async () => {
    const values = [{ a: 1, text: "]},{[\"\\" }, "two", 3, null, [4, [5]], { b: { c: [] } }];
    for (const text of [JSON.stringify(values), JSON.stringify(values, null, 2), ` \n${JSON.stringify(values)}\n `, `\ufeff${JSON.stringify(values)}`,
      JSON.stringify({ version: [1, { data: [0] }], name: "\"data\":[", data: values, after: [9] }, null, 1)]) {
      const file = fileOf("values.json", text);
      expect((await collect(readJson, file)).map((item) => item.kind === "record" && item.value)).toEqual(values);
      await expectResumable(readJson, file);
    }
  });

  test("lines are those on which the records begin", async () => {
    expect(brief(await collect(readJson, fileOf("lines.json", '[\n  1,\n\n  {"a":\n 2}, 3\n]')))).toEqual([[2, 1], [4, { a: 2 }], [5, 3]]);
  });

  test("empty arrays have no records", async () => {
    for (const text of ["[]", "[ \n ]", '{"data": []}']) expect(await collect(readJson, fileOf("none.json", text))).toEqual([]);
  });

  test("a broken element is a bad record, and the others are read", async () => {
    const file = fileOf("broken.json", '[1, nope, {"a" 2}, , 5,]');
    expect(brief(await collect(readJson, file))).toEqual([[1, 1], [1, "not-json"], [1, "not-json"], [1, "not-json"], [1, 5], [1, "not-json"]]);
    await expectResumable(readJson, file);
  });

  test("an element over the limit is a bad record, and the next is read", async () => {
    const file = fileOf("huge.json", JSON.stringify([1, "x".repeat(1000), [[2], "],"]]));
    expect(brief(await collect(readJson, file, { maxRecordBytes: 100 }))).toEqual([[1, 1], [1, "too-long"], [1, [[2], "],"]]]);
  });

  test.each(["", "  ", "7", '"data"', "{}", '{"data": 3}', '{"a": {"data": [1]}}', "[1, 2", '[1, {"a": "', "[1] [2]", "[", "[1],"])(
    "%j holds no whole array of records: E_DATA_FORMAT with file and line", async (text) => {
      const file = fileOf("shape.json", text);
      await expect(collect(readJson, file)).rejects.toThrow(/E_DATA_FORMAT/);
      await expect(collect(readJson, file)).rejects.toThrow(`${file}, line 1`);
    });
});

describe("plain text", () => {
  const text = "\n\nOne\nof two lines.\n \t\n\nTwo.\r\n\r\nThree";

  test("documents are runs of lines between blank ones", async () => {
    const file = fileOf("a.txt", text);
    expect(brief(await collect(readTextDocuments, file))).toEqual([[3, { text: "One\nof two lines." }], [7, { text: "Two." }], [9, { text: "Three" }]]);
    await expectResumable(readTextDocuments, file);
  });

  test("a file can be one document", async () => {
    expect(brief(await collect(readTextDocuments, fileOf("a.txt", text), { textDocuments: "file" }))).toEqual([[1, { text }]]);
  });

  test("documents over the limit or not in UTF-8 are bad records", async () => {
    const file = fileOf("bad.txt", bytesOf("good\n\nx", [0xe9], "y\n\n", "long line\n".repeat(10), "\nlast\n"));
    expect(brief(await collect(readTextDocuments, file, { maxRecordBytes: 50 }))).toEqual([[1, { text: "good" }], [3, "not-utf8"], [5, "too-long"], [16, { text: "last" }]]);
    await expectResumable(readTextDocuments, file, { maxRecordBytes: 50 });
    expect(brief(await collect(readTextDocuments, file, { textDocuments: "file", maxRecordBytes: 50 }))).toEqual([[1, "too-long"]]);
  });
});

describe("CSV", () => {
  test("records have the header's names; quoted fields hold separators, quotes and line ends", async () => {
    const file = fileOf("a.csv", 'text,"the ""note"""\nplain,1\n"a, ""b""\nc",\n\n"",""\nü,"x"\n');
    expect(brief(await collect(readCsv, file))).toEqual([
      [2, { text: "plain", 'the "note"': "1" }], [3, { text: 'a, "b"\nc', 'the "note"': "" }], [6, { text: "", 'the "note"': "" }], [7, { text: "ü", 'the "note"': "x" }],
    ]);
    await expectResumable(readCsv, file);
  });

  test("\\r\\n ends, a byte order mark, another delimiter and a missing last line end are read", async () => {
    expect(brief(await collect(readCsv, fileOf("b.csv", '\ufeffa;b\r\n1;"2\r\n3"\r\n4;5'), { delimiter: ";" }))).toEqual([[2, { a: "1", b: "2\r\n3" }], [4, { a: "4", b: "5" }]]);
  });

  test("a line of separators alone is a record of empty fields; an empty line is none", async () => {
    expect(brief(await collect(readCsv, fileOf("tabs.tsv", "a\tb\n\t\n\n \t\n"), { delimiter: "\t" }))).toEqual([[2, { a: "", b: "" }], [4, { a: " ", b: "" }]]);
  });

  test("a wrong number of fields, a stray quote, and bytes that are not UTF-8 spoil one record each", async () => {
    const file = fileOf("bad.csv", bytesOf('a,b\n1\n1,2,3\nx"y,2\n"x"y,2\n', [0xff], ',2\n"",2\n'));
    expect(brief(await collect(readCsv, file))).toEqual([[2, "column-count"], [3, "column-count"], [4, "not-csv"], [5, "not-csv"], [6, "not-utf8"], [7, { a: "", b: "2" }]]);
    await expectResumable(readCsv, file);
  });

  test("a quote that is never closed is a bad record: truncated, or too long and given up at the next line", async () => {
    expect(brief(await collect(readCsv, fileOf("open.csv", 'a,b\n1,2\n"3,4\n5,6\n')))).toEqual([[2, { a: "1", b: "2" }], [3, "truncated"]]);
    const rows = Array.from({ length: 200_000 }, (_, i) => `${i},${i}`).join("\n");
    const items = await collect(readCsv, fileOf("open.csv", `a,b\n"3,4\n${rows}\n`), { maxRecordBytes: 1000 });
    expect(items[0]).toMatchObject({ kind: "bad", reason: "too-long", line: 2 });
    expect(items.length).toBeGreaterThan(100_000);
    expect(items[items.length - 1]).toMatchObject({ kind: "record", value: { a: "199999", b: "199999" }, line: 200_002 });
  });

  test.each(["a,a\n1,2\n", "a,\n1,2\n", 'a"b,c\n1,2\n'])("the header of %j is E_DATA_FORMAT", async (text) => {
    await expect(collect(readCsv, fileOf("header.csv", text))).rejects.toThrow(/E_DATA_FORMAT.*|line 1/);
  });

  test("a file without lines, or with a header alone, has no records", async () => {
    expect(await collect(readCsv, fileOf("empty.csv", ""))).toEqual([]);
    expect(await collect(readCsv, fileOf("empty.csv", "a,b\n"))).toEqual([]);
  });
});

describe("Parquet", () => {
  const rows = Array.from({ length: 95 }, (_, i) => ({ text: `text ${i} ü`, number: i, big: BigInt(i) + 2n ** 60n, small: BigInt(i), ids: [i, i + 1], when: new Date(1e12 + i) }));
  const column = <Name extends keyof typeof rows[0]>(name: Name) => ({ name, data: rows.map((row) => row[name]) });
  const bytes = Buffer.from(parquetWriteBuffer({
    columnData: [{ ...column("text"), type: "STRING" }, { ...column("number"), type: "INT32" }, { ...column("big"), type: "INT64" }, { ...column("small"), type: "INT64" },
      { ...column("ids"), type: "JSON" }, { ...column("when"), type: "TIMESTAMP" }],
    rowGroupSize: [10, 40],
  }));

  test("records are the rows of all row groups, counted from 1; integers, dates and text in terms of JSON", async () => {
    const items = await collect(readParquet, fileOf("a.parquet", bytes));
    expect(brief(items)).toEqual(rows.map((row, i) => [i + 1, { ...row, big: String(row.big), small: i, when: row.when.toISOString() }]));
  });

  test("only the columns that are asked for are read", async () => {
    expect(brief(await collect(readParquet, fileOf("a.parquet", bytes), { columns: ["number", "absent"] }))).toEqual(rows.map(({ number }, i) => [i + 1, { number }]));
  });

  test("reading goes on at any row", () => expectResumable(readParquet, fileOf("a.parquet", bytes)));

  test.each(["UNCOMPRESSED", "SNAPPY"] as const)("%s files are read", async (codec) => {
    const file = fileOf("codec.parquet", Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data: ["a", "b"], type: "STRING" }], codec })));
    expect(brief(await collect(readParquet, file))).toEqual([[1, { text: "a" }], [2, { text: "b" }]]);
  });

  test("text that is not UTF-8 makes a bad row of the one that holds it", async () => {
    // A column of bare bytes: the writer would turn those of a text column into text.
    const data = [Buffer.from("good"), Buffer.from([0x61, 0xff]), Buffer.from("[1]")].map((value) => new Uint8Array(value));
    const file = fileOf("utf8.parquet", Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data, type: "BYTE_ARRAY" }] })));
    expect(brief(await collect(readParquet, file))).toEqual([[1, { text: "good" }], [2, "not-utf8"], [3, { text: "[1]" }]]);
  });

  test("damage is E_DATA_FORMAT naming the file", async () => {
    for (const damaged of [Buffer.alloc(0), Buffer.from("PAR1"), bytes.subarray(0, bytes.length - 10), bytes.subarray(100), Buffer.from("not parquet at all")]) {
      const file = fileOf("damaged.parquet", damaged);
      await expect(collect(readParquet, file)).rejects.toThrow(DataError);
      await expect(collect(readParquet, file)).rejects.toThrow(/E_DATA_FORMAT/);
      await expect(collect(readParquet, file)).rejects.toThrow(file);
    }
  });
});

describe("token ids", () => {
  function tokenFile(name: string, ids: readonly number[], settings: object, idBytes = 2): string {
    const bytes = Buffer.alloc(ids.length * idBytes);
    ids.forEach((id, i) => bytes.writeUIntLE(id, i * idBytes, idBytes));
    const file = fileOf(name, bytes);
    writeFileSync(`${file}.json`, JSON.stringify(settings));
    return file;
  }
  const values = (items: readonly (DataRecord | BadRecord)[]) => items.map((item) => (item.kind === "record" ? Array.from((item.value as { input_ids: Int32Array }).input_ids) : item.reason));

  test.each([["uint16", 2], ["uint32", 4]] as const)("documents of %s end at the end-of-text id, which is left out", async (dtype, idBytes) => {
    const file = tokenFile("a.bin", [5, 6, 0, 0, 7, 0, 8, 9], { dtype, vocabSize: 10, endOfText: 0 }, idBytes);
    expect(values(await collect(readTokenised, file))).toEqual([[5, 6], [7], [8, 9]]);
    await expectResumable(readTokenised, file);
  });

  test("bytes that look like a byte order mark are ids", async () => {
    expect(values(await collect(readTokenised, tokenFile("bom.bin", [0xbbef, 0x01bf, 0], { dtype: "uint16", vocabSize: 65_536, endOfText: 0 })))).toEqual([[0xbbef, 0x01bf]]);
  });

  test("ids beyond the vocabulary and a half id at the end are bad records", async () => {
    const file = tokenFile("bad.bin", [5, 10, 0, 6, 0], { dtype: "uint16", vocabSize: 10, endOfText: 0 });
    expect(values(await collect(readTokenised, file))).toEqual(["token-id", [6]]);
    writeFileSync(file, Buffer.from([6, 0, 0, 0, 7]));
    expect(values(await collect(readTokenised, file))).toEqual([[6], "truncated"]);
    const high = tokenFile("high.bin", [2 ** 32 - 1, 0, 3], { dtype: "uint32", vocabSize: 10, endOfText: 0 }, 4);
    expect(values(await collect(readTokenised, high))).toEqual(["token-id", [3]]);
  });

  test.each([["{", "not JSON"], ["{}", "no dtype"], ['{"dtype":"int8","vocabSize":3,"endOfText":0}', "unknown dtype"]])("settings %s beside the file are E_DATA_TOKEN_FILE", async (text) => {
    const file = fileOf("settings.bin", Buffer.alloc(4));
    writeFileSync(`${file}.json`, text);
    await expect(collect(readTokenised, file)).rejects.toThrow(/E_DATA_TOKEN_FILE/);
  });

  test("a .bin file without settings beside it is E_DATA_TOKEN_FILE", async () => {
    await expect(collect(readTokenised, fileOf("alone.bin", Buffer.alloc(4)))).rejects.toThrow(/E_DATA_TOKEN_FILE/);
  });
});
