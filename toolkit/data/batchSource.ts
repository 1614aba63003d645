import { DataError } from "../errors.ts";
import type { Batch } from "./batches.ts";

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Where training takes its batches from. After `restore(cursor)` the batches are exactly those that would have
 *  followed when the cursor was taken, also in another process. */
export interface BatchSource {
  /** @throws DataError E_DATA_ENDED when the data is used up; sources that repeat never end */
  next(): Batch | Promise<Batch>;
  /** Where the source stands; plain JSON, so that a checkpoint can hold it. */
  cursor(): JsonValue;
  /** @throws DataError E_DATA_CURSOR when the cursor belongs to other data or other settings */
  restore(cursor: JsonValue): void | Promise<void>;
  /** Closes what is open; next can't be called after it. */
  close?(): Promise<void>;
}

/** @throws DataError E_DATA_CURSOR always */
export function refuseCursor(what: string): never {
  throw new DataError({ code: "E_DATA_CURSOR", what,
    why: "going on from it would not repeat the run it was taken from",
    fix: "restore it with the data and the settings of that run, or start a new run" });
}

/** The fields of a cursor that is an object.
 *  @throws DataError E_DATA_CURSOR when it is anything else */
export function cursorFields(cursor: JsonValue | undefined): { readonly [key: string]: JsonValue } {
  if (typeof cursor === "object" && cursor !== null && !isArray(cursor)) return cursor;
  return refuseCursor(`${JSON.stringify(cursor) ?? "undefined"} is not a cursor`);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
