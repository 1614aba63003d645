import { isUtf8 } from "node:buffer";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { DataError } from "../errors.ts";
import type { BadRecord } from "./readers/record.ts";

/** Most records that are written: what one wants to look at, not a second data set. */
const maxRecords = 100_000;

/** A JSON Lines file of the records that couldn't be used: file, line, byte, reason, detail, and raw (or rawBase64
 *  where they are not UTF-8) with the first 64 KiB of their bytes. A record stands in it once, also over several
 *  epochs and resumed runs. */
export class Quarantine {
  private readonly path: string;
  private known: Set<string> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws DataError E_QUARANTINE */
  add({ file, line, byte, reason, detail, raw }: BadRecord): void {
    try {
      this.known ??= this.readKnown();
      const key = keyOf({ file, line, byte });
      if (this.known.has(key) || this.known.size >= maxRecords) return;
      const content = isUtf8(raw) ? { raw: Buffer.from(raw).toString("utf8") } : { rawBase64: Buffer.from(raw).toString("base64") };
      appendFileSync(this.path, `${JSON.stringify({ file, line, byte, reason, detail, ...content })}\n`);
      this.known.add(key);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      throw new DataError({ code: "E_QUARANTINE", what: `the quarantine file ${this.path} can't be written`, why: error.message, fix: "free space or name another quarantineFile", cause: error });
    }
  }

  private readKnown(): Set<string> {
    mkdirSync(dirname(this.path), { recursive: true });
    if (!existsSync(this.path)) return new Set();
    const text = readFileSync(this.path, "utf8");
    // A process that was killed may have left half a line.
    if (text !== "" && !text.endsWith("\n")) appendFileSync(this.path, "\n");
    return new Set(text.split("\n").flatMap((line) => keyOfLine(line) ?? []));
  }
}

function keyOf({ file, line, byte }: Pick<BadRecord, "file" | "line" | "byte">): string {
  return `${line}:${byte}:${file}`;
}

function keyOfLine(line: string): string | undefined {
  try {
    return line === "" ? undefined : keyOf(JSON.parse(line) as BadRecord);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
