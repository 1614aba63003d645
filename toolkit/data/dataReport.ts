import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";

/** What became of the records that were read; over all epochs so far. With a shuffle buffer, of all that was read
 *  into it. read = kept + bad + filtered + duplicates. */
export interface DataReport {
  readonly read: number;
  readonly kept: number;
  /** records that can't be used, by reason */
  readonly bad: Readonly<Record<string, number>>;
  /** documents that a filter left out, by its name */
  readonly filtered: Readonly<Record<string, number>>;
  readonly duplicates: number;
  /** epochs that are through */
  readonly epochs: number;
  /** of a mixture: its sources by name, with the documents and characters (or token ids) taken from each */
  readonly sources?: Readonly<Record<string, DataReport & { readonly documents: number; readonly characters: number }>>;
}

/** Counts what becomes of records; its state goes into cursors. */
export class RecordCounts {
  read = 0;
  kept = 0;
  duplicates = 0;
  bad: Record<string, number> = {};
  filtered: Record<string, number> = {};

  get badRecords(): number {
    return Object.values(this.bad).reduce((sum, count) => sum + count, 0);
  }

  addBad(reason: string): void {
    this.bad[reason] = (this.bad[reason] ?? 0) + 1;
  }

  addFiltered(name: string): void {
    this.filtered[name] = (this.filtered[name] ?? 0) + 1;
  }

  toJSON(): { read: number; kept: number; duplicates: number; bad: Record<string, number>; filtered: Record<string, number> } {
    return { read: this.read, kept: this.kept, duplicates: this.duplicates, bad: { ...this.bad }, filtered: { ...this.filtered } };
  }

  /** @throws DataError E_DATA_CURSOR */
  static fromJSON(json: JsonValue | undefined): RecordCounts {
    const fields = cursorFields(json);
    const counts = new RecordCounts();
    for (const name of ["read", "kept", "duplicates"] as const) counts[name] = countOf(fields, name);
    for (const name of ["bad", "filtered"] as const) {
      const byName = cursorFields(fields[name]);
      counts[name] = Object.fromEntries(Object.keys(byName).map((reason) => [reason, countOf(byName, reason)]));
    }
    return counts;
  }
}

/** A count in a cursor.
 *  @throws DataError E_DATA_CURSOR when it is not an integer from 0 */
export function countOf(fields: { readonly [key: string]: JsonValue }, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  return refuseCursor(`${name} is ${JSON.stringify(value) ?? "missing"} in the cursor`);
}
