import { isUtf8 } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CsvError, parse } from "csv-parse/sync";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, test } from "vitest";
import { openDataset } from "../../toolkit/data/dataset.ts";
import { readCsv } from "../../toolkit/data/readers/csv.ts";
import { readJson } from "../../toolkit/data/readers/json.ts";
import { readJsonl } from "../../toolkit/data/readers/jsonl.ts";
import { readParquet } from "../../toolkit/data/readers/parquet.ts";
import { defaultReadSettings, type BadRecord, type DataRecord, type ReadPosition, type RecordReader } from "../../toolkit/data/readers/record.ts";
import { readTextDocuments } from "../../toolkit/data/readers/text.ts";
import { readTokenised } from "../../toolkit/data/readers/tokenised.ts";
import { DataError } from "../../toolkit/errors.ts";
import { RandomSource } from "../../toolkit/random.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));
const settings = { ...defaultReadSettings, maxRecordBytes: 300 };

const rows = Array.from({ length: 60 }, (_, i) => ({ text: `row ${i} "quoted", [brackets] {braces} \\ ü 鯨🐋\n${"x".repeat(i * 3)}`, n: String(i) }));
const csvField = (value: string) => (/["\n,]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const whole: Record<string, { reader: RecordReader; bytes: Buffer }> = {
  jsonl: { reader: readJsonl, bytes: Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n")) },
  json: { reader: readJson, bytes: Buffer.from(JSON.stringify({ version: 1, data: rows }, null, 1)) },
  txt: { reader: readTextDocuments, bytes: Buffer.from(rows.map(({ text }) => text).join("\n\n")) },
  csv: { reader: readCsv, bytes: Buffer.from(["text,n", ...rows.map(({ text, n }) => `${csvField(text)},${n}`)].join("\r\n")) },
  parquet: { reader: readParquet, bytes: Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data: rows.map(({ text }) => text), type: "STRING" }, { name: "n", data: rows.map((_, i) => i), type: "INT32" }], rowGroupSize: 25 })) },
  bin: { reader: readTokenised, bytes: Buffer.from(Uint16Array.from({ length: 2000 }, (_, i) => (i % 37 === 0 ? 0 : i % 500)).buffer) },
  "jsonl.gz": { reader: readJsonl, bytes: gzipSync(rows.map((row) => JSON.stringify(row)).join("\n")) },
};

const marks = ['"', "\n", "\r\n", ",", "]", "[", "{", "}", "\\", "\ufeff", "\0", '"\\ud800"', "\n\n"].map((text) => Buffer.from(text));

function damage(bytes: Buffer, random: RandomSource): Buffer {
  const at = random.nextInt(bytes.length + 1), end = Math.min(bytes.length, at + random.nextInt(40));
  const noise = Buffer.from(Array.from({ length: 1 + random.nextInt(20) }, () => random.nextInt(256)));
  switch (random.nextInt(6)) {
    case 0: return bytes.subarray(0, at);
    case 1: return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    case 2: return Buffer.concat([bytes.subarray(0, at), marks[random.nextInt(marks.length)], bytes.subarray(at)]);
    case 3: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 4: return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(Math.min(bytes.length, at + noise.length))]);
    default: return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  }
}

/** What a reading gave, and the error in which it ended. */
async function read(reader: RecordReader, file: string, from?: ReadPosition): Promise<{ items: (DataRecord | BadRecord)[]; error?: unknown }> {
  const items: (DataRecord | BadRecord)[] = [];
  try {
    for await (const item of reader(file, settings, from)) items.push(item);
    return { items };
  } catch (error) {
    return { items, error };
  }
}

describe("damaged files", () => {
  test.each(Object.keys(whole))("%s: gives records, bad records or a DataError that names the file, the same when read again or from any record on", async (name) => {
    const random = new RandomSource(99);
    const { reader, bytes } = whole[name];
    const file = join(folder, `damaged.${name}`);
    writeFileSync(`${file}.json`, JSON.stringify({ dtype: "uint16", vocabSize: 400, endOfText: 0 }));
    for (let i = 0; i < 150; i++) {
      let damaged = damage(bytes, random);
      while (random.nextInt(3) === 0) damaged = damage(damaged, random);
      writeFileSync(file, damaged);
      const { items, error } = await read(reader, file);
      if (error !== undefined) {
        expect(error).toBeInstanceOf(DataError);
        expect((error as DataError).what).toContain(file);
      }
      if (items.length === 0) continue;
      const place = random.nextInt(items.length);
      const rest = await read(reader, file, items[place].after);
      expect(rest.items).toEqual(items.slice(place + 1));
      expect((rest.error as DataError | undefined)?.code).toBe((error as DataError | undefined)?.code);
    }
  });

  test.each(Object.keys(whole))("%s: random bytes do the same", async (name) => {
    const random = new RandomSource(5);
    const file = join(folder, `random.${name}`);
    writeFileSync(`${file}.json`, JSON.stringify({ dtype: "uint32", vocabSize: 400, endOfText: 0 }));
    for (let i = 0; i < 40; i++) {
      writeFileSync(file, Buffer.from(Array.from({ length: random.nextInt(3000) }, () => random.nextInt(256))));
      const { error } = await read(whole[name].reader, file);
      if (error !== undefined) expect(error).toBeInstanceOf(DataError);
    }
  });

  test("a dataset counts every record of damaged JSON Lines as kept or bad", async () => {
    const random = new RandomSource(31);
    for (let i = 0; i < 40; i++) {
      const file = join(folder, "counted.jsonl");
      const damaged = damage(damage(whole.jsonl.bytes, random), random);
      writeFileSync(file, damaged);
      const lines = damaged.toString("latin1").split("\n").filter((line) => /[^ \t\r]/.test(line));
      const dataset = await openDataset({ files: file, maxBadShare: 1 });
      let kept = 0;
      for await (const { text } of dataset) kept += text === undefined ? 0 : 1;
      const { read: total, bad } = dataset.report();
      expect(total).toBe(lines.length);
      expect(kept + Object.values(bad).reduce((sum, count) => sum + count, 0)).toBe(total);
    }
  });
});

describe("against plain readings", () => {
  test("JSON Lines equal a split and JSON.parse of the whole file", async () => {
    const random = new RandomSource(21);
    const file = join(folder, "plain.jsonl");
    for (let i = 0; i < 100; i++) {
      const bytes = damage(whole.jsonl.bytes, random);
      writeFileSync(file, bytes);
      const wanted: unknown[] = [];
      for (let start = 0, line = 1; start < bytes.length; line++) {
        const end = bytes.indexOf(10, start) < 0 ? bytes.length : bytes.indexOf(10, start) + 1;
        const content = bytes.subarray(start === 0 && bytes.subarray(0, 3).toString("hex") === "efbbbf" ? 3 : start, end);
        start = end;
        if (content.toString("latin1").trim() === "" && isUtf8(content)) continue;
        try {
          wanted.push([line, content.length > settings.maxRecordBytes ? "too-long" : !isUtf8(content) ? "not-utf8" : JSON.parse(content.toString())]);
        } catch {
          wanted.push([line, "not-json"]);
        }
      }
      const { items } = await read(readJsonl, file);
      expect(items.map((item) => [item.line, item.kind === "bad" ? item.reason : item.value])).toEqual(wanted);
    }
  });

  test("CSV gives back the fields that were written, whatever characters they hold", async () => {
    const random = new RandomSource(22);
    const characters = ["a", "b", " ", ",", '"', "\n", "\r\n", "ü", "鯨", "", "\t", ";"];
    const field = () => Array.from({ length: random.nextInt(6) }, () => characters[random.nextInt(characters.length)]).join("");
    const file = join(folder, "plain.csv");
    for (let i = 0; i < 100; i++) {
      const values = Array.from({ length: 30 }, () => [field(), field(), `${field()}z`]);
      writeFileSync(file, ["x,y,z", ...values.map((fields) => fields.map(csvField).join(","))].join(i % 2 ? "\n" : "\r\n"));
      const { items } = await read(readCsv, file);
      expect(items.map((item) => item.kind === "record" && item.value)).toEqual(values.map(([x, y, z]) => ({ x, y, z })));
    }
  });

  test("CSV records equal those of csv-parse, also where quotes stray", async () => {
    const random = new RandomSource(24);
    const characters = ["a", ",", '"', '""', " ", "ü"];
    const file = join(folder, "strict.csv");
    for (let i = 0; i < 400; i++) {
      const line = Array.from({ length: 1 + random.nextInt(8) }, () => characters[random.nextInt(characters.length)]).join("");
      if (line.trim() === "") continue;
      let wanted: string[] | undefined;
      try {
        [wanted] = parse(line, { relax_column_count: true });
      } catch (error) {
        expect(error).toBeInstanceOf(CsvError);
      }
      const names = Array.from({ length: wanted?.length ?? 1 }, (_, column) => `c${column}`);
      writeFileSync(file, `${names.join(",")}\n${line}`);
      const [item] = (await read(readCsv, file)).items;
      if (wanted) expect(item).toMatchObject({ value: Object.fromEntries(names.map((name, column) => [name, wanted[column]])) });
      else expect(["not-csv", "truncated"]).toContain(item.kind === "bad" && item.reason);
    }
  });

  test("JSON arrays give back what was written, however it is indented", async () => {
    const random = new RandomSource(23);
    const value = (depth: number): unknown => {
      const kind = random.nextInt(depth > 3 ? 4 : 6);
      const text = () => Array.from({ length: random.nextInt(8) }, () => ['"', "\\", "]", "}", ",", "[", "{", "\n", "ü"][random.nextInt(9)]).join("");
      if (kind < 4) return [null, true, random.next(), text()][kind];
      const parts = Array.from({ length: random.nextInt(4) }, () => value(depth + 1));
      return kind === 4 ? parts : Object.fromEntries(parts.map((part) => [text(), part]));
    };
    const file = join(folder, "plain.json");
    for (let i = 0; i < 100; i++) {
      const values = Array.from({ length: random.nextInt(20) }, () => value(0));
      writeFileSync(file, JSON.stringify(i % 3 === 0 ? values : { before: value(1), data: values, after: value(1) }, null, i % 4));
      const items: unknown[] = [];
      for await (const item of readJson(file, defaultReadSettings)) items.push(item.kind === "record" ? item.value : item);
      expect(items).toEqual(values);
    }
  });
});
