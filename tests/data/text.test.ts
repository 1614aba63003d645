import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, DataError } from "../../toolkit/errors.ts";
import { readText, splitText } from "../../toolkit/data/text.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(bytes: string | Uint8Array): string {
  const path = join(folder, "text.txt");
  writeFileSync(path, bytes);
  return path;
}

describe("readText", () => {
  test("reads UTF-8, drops a byte order mark and leaves line ends alone", () => {
    expect(readText(fileOf("naïve 鯨🐋\r\n"))).toBe("naïve 鯨🐋\r\n");
    expect(readText(fileOf("\ufeffwhale\ufeff"))).toBe("whale\ufeff");
  });

  test("a missing file is E_TEXT_MISSING, an empty one E_TEXT_EMPTY, a folder E_TEXT_UNREADABLE", () => {
    expect(() => readText(join(folder, "none.txt"))).toThrow(DataError);
    expect(() => readText(join(folder, "none.txt"))).toThrow(/E_TEXT_MISSING/);
    expect(() => readText(fileOf(""))).toThrow(/E_TEXT_EMPTY/);
    expect(() => readText(folder)).toThrow(/E_TEXT_UNREADABLE/);
  });

  test.each<[name: string, bytes: number[], position: number]>([
    ["Latin-1", [0x63, 0x61, 0x66, 0xe9, 0x20], 4],
    ["a continuation byte alone", [0x61, 0x80], 1],
    ["an overlong form of two bytes", [0x61, 0xc0, 0xaf], 1],
    ["an overlong form of three bytes", [0xe0, 0x80, 0x80], 1],
    ["an overlong form of four bytes", [0xf0, 0x80, 0x80, 0x80], 1],
    ["a surrogate", [0x61, 0xed, 0xa0, 0x80], 2],
    ["more than U+10FFFF", [0xf4, 0x90, 0x80, 0x80], 1],
    ["a lead byte beyond all", [0x61, 0xf5], 1],
    ["a character cut off at the end", [0x61, 0x62, 0xe2, 0x80], 2],
    ["a third byte out of range after good text", [0xc3, 0xa9, 0xe2, 0x80, 0x41], 4],
  ])("%s is E_TEXT_NOT_UTF8 with the position of the byte", (_, bytes, position) => {
    const path = fileOf(Uint8Array.from(bytes));
    expect(() => readText(path)).toThrow(/E_TEXT_NOT_UTF8/);
    expect(() => readText(path)).toThrow(`at position ${position} `);
  });
});

describe("splitText", () => {
  const paragraphs = Array.from({ length: 100 }, (_, i) => `Paragraph ${String(i).padStart(2, "0")} has\ntwo lines.`).join("\n\n");

  test("cuts at a paragraph border near the fraction and loses nothing", () => {
    const { train, validation } = splitText(paragraphs, { validationFraction: 0.1 });
    expect(train + validation).toBe(paragraphs);
    expect(train.endsWith("two lines.\n\n")).toBe(true);
    expect(validation.startsWith("Paragraph 90 has")).toBe(true);
  });

  test("knows paragraph borders with carriage returns and spaces", () => {
    const text = paragraphs.replaceAll("\n\n", "\r\n \t\r\n\r\n");
    const { train, validation } = splitText(text, { validationFraction: 0.25 });
    expect(train + validation).toBe(text);
    expect(validation).toMatch(/^Paragraph 7[456] has/);
  });

  test("takes the nearest border, not the next", () => {
    // Wanted is 10 × 0.5 = 5; the borders end at 4 and 8.
    expect(splitText("aa\n\nbb\n\ncc", { validationFraction: 0.5 })).toEqual({ train: "aa\n\n", validation: "bb\n\ncc" });
  });

  test("without a paragraph border in reach it cuts at a line, then at a space, then at a character", () => {
    const heading = `Title\n\n${"word ".repeat(100)}`;
    expect(splitText(heading.replaceAll("word w", "word\nw"), { validationFraction: 0.1 }).train.endsWith("word\n")).toBe(true);
    expect(splitText(heading, { validationFraction: 0.1 }).train.endsWith("word ")).toBe(true);
    expect(splitText("x".repeat(100), { validationFraction: 0.1 }).validation).toHaveLength(10);
  });

  test("never cuts a surrogate pair", () => {
    for (const validationFraction of [0.3, 0.35, 0.4, 0.45, 0.5]) {
      const { train, validation } = splitText("🐋".repeat(21), { validationFraction });
      expect(train + validation).toBe("🐋".repeat(21));
      expect(train.length % 2).toBe(0);
    }
  });

  test.each([0, 1, -0.1, Number.NaN])("validationFraction %d is E_VALIDATION_FRACTION", (validationFraction) => {
    expect(() => splitText(paragraphs, { validationFraction })).toThrow(ConfigError);
  });

  test.each(["", "a"])("%j is too short to split: E_TEXT_TOO_SHORT", (text) => {
    expect(() => splitText(text, { validationFraction: 0.5 })).toThrow(/E_TEXT_TOO_SHORT/);
  });
});
