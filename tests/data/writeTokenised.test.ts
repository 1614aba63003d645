import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openDataset } from "../../toolkit/data/dataset.ts";
import { MemoryDocuments } from "../../toolkit/data/memoryDocuments.ts";
import { writeTokenised } from "../../toolkit/data/writeTokenised.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-tokenised-"));
afterAll(() => rmSync(folder, { recursive: true }));

const encoder = (vocabSize: number, endOfText = 0) => ({ vocabSize, endOfText, encode: (text: string) => Int32Array.from(text, (char) => char.codePointAt(0) ?? 0) });

describe("writeTokenised", () => {
  test.each([[300, "uint16", 2], [65_536, "uint16", 2], [65_537, "uint32", 4], [200_000, "uint32", 4]])("for %d tokens the ids are %s and read back as they were", async (vocabSize, dtype, idBytes) => {
    const texts = ["whale", "", "a", vocabSize > 65_536 ? "\u{10000}" : "ÿ"];
    const path = join(folder, `${vocabSize}.bin`);
    expect(await writeTokenised(path, new MemoryDocuments(texts), encoder(vocabSize))).toEqual({ documents: 4, tokens: 5 + 0 + 1 + 1 + 4 });
    expect(readFileSync(path)).toHaveLength(11 * idBytes);
    expect(JSON.parse(readFileSync(`${path}.json`, "utf8"))).toEqual({ dtype, vocabSize, endOfText: 0 });
    const read: (Int32Array | undefined)[] = [];
    for await (const { ids } of await openDataset({ files: path })) read.push(ids);
    expect(read).toEqual(texts.filter((text) => text !== "").map((text) => encoder(vocabSize).encode(text)));
  });

  test("more than the write buffer is written whole", async () => {
    const path = join(folder, "large.bin");
    const texts = Array.from({ length: 700 }, (_, i) => String.fromCharCode(1 + (i % 250)).repeat(1000));
    await writeTokenised(path, new MemoryDocuments(texts), encoder(256));
    let documents = 0;
    for await (const { ids = new Int32Array() } of await openDataset({ files: path })) {
      const id = 1 + (documents++ % 250);
      expect([ids.length, ids.every((each) => each === id)]).toEqual([1000, true]);
    }
    expect(documents).toBe(700);
  });

  test("an id beyond the vocabulary, or end-of-text inside a document, is E_TOKEN_ID, and no file is left", async () => {
    for (const text of ["Ā", "a\0b"]) {
      await expect(writeTokenised(join(folder, "wrong", "a.bin"), new MemoryDocuments([text]), encoder(256))).rejects.toThrow(/E_TOKEN_ID/);
      expect(readdirSync(join(folder, "wrong"))).toEqual([]);
    }
  });

  test("a path that exists or isn't .bin is E_DATA_TOKEN_FILE, and what was there stays", async () => {
    const path = join(folder, "kept.bin");
    writeFileSync(path, "kept");
    for (const taken of [path, join(folder, "a.txt")]) await expect(writeTokenised(taken, new MemoryDocuments(["a"]), encoder(256))).rejects.toThrow(/E_DATA_TOKEN_FILE/);
    expect(readFileSync(path, "utf8")).toBe("kept");
  });
});
