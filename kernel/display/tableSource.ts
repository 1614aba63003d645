import { inspect, types } from "node:util";
import { DisplayError } from "../errors.ts";
import { frameParts } from "./frames.ts";
import type { TableParts } from "./table.ts";
import { Array, Date, Map, Math, Number, Object, Reflect, Set } from "../runner/intrinsics.ts";

/** What display.table may be told. */
export interface TableOptions {
  /** These columns in this order; all by default. */
  readonly columns?: readonly string[];
  /** Rows shown, 30 by default. */
  readonly maxRows?: number;
  /** Columns shown, 20 by default. */
  readonly maxColumns?: number;
  /** A title above the table. */
  readonly caption?: string;
  /** Number the rows from 0. */
  readonly index?: boolean;
}

export interface TableLimits { readonly maxRows: number; readonly maxColumns: number }

const DEFAULTS: TableLimits = { maxRows: 30, maxColumns: 20 };
/** More rows than this belong into a file. */
const MOST_ROWS = 10_000;
const MOST_COLUMNS = 1_000;
/** Columns are the keys of this many first rows: later rows are mostly alike, and there may be millions. */
const ROWS_FOR_COLUMNS = 1_000;

/** Reads a table from rows (objects or arrays), a Map, a Set, an object of columns, or a data frame.
 *  @throws DisplayError E_DISPLAY_TABLE for any other value, E_DISPLAY_OPTION */
export function tableParts(value: unknown, options: TableOptions = {}): TableParts {
  const limits = { maxRows: checkLimit("maxRows", options.maxRows, DEFAULTS.maxRows, MOST_ROWS), maxColumns: checkLimit("maxColumns", options.maxColumns, DEFAULTS.maxColumns, MOST_COLUMNS) };
  const parts = frameParts(value, { ...limits, columns: options.columns }) ?? partsOf(value, limits, options.columns);
  if (parts === null) {
    throw new DisplayError({
      code: "E_DISPLAY_TABLE", what: `display.table got ${inspect(value, { depth: 0, maxStringLength: 40 })}`,
      why: "a table is made of rows (an array of objects or of arrays), of columns (an object of arrays), a Map, a Set or a data frame",
      fix: "give e.g. [{ step: 1, loss: 2.5 }, { step: 2, loss: 2.1 }]",
    });
  }
  const labels = options.index === true && parts.labels === null ? parts.rows.map((_, row) => row) : parts.labels;
  return { ...parts, labels, caption: options.caption };
}

function partsOf(value: unknown, limits: TableLimits, wanted: readonly string[] | undefined): TableParts | null {
  if (Array.isArray(value)) return rowParts(value, limits, wanted);
  if (types.isTypedArray(value)) return rowParts(Array.from({ length: value.length }, (_, index) => value[index]), limits, wanted);
  if (value instanceof Set) return rowParts([...value], limits, wanted);
  if (value instanceof Map) return rowParts([...value].map(([key, item]) => ({ key: key as unknown, value: item as unknown })), limits, wanted);
  if (typeof value !== "object" || value === null) return null;
  const entries = Object.entries(value);
  if (entries.length === 0) return null;
  if (entries.every(([, item]) => isList(item))) return columnParts(entries as [string, ArrayLike<unknown>][], limits, wanted);
  return rowParts(entries.map(([key, item]) => ({ key, value: item as unknown })), limits, wanted);
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || types.isTypedArray(value);
}

function rowParts(rows: readonly unknown[], limits: TableLimits, wanted: readonly string[] | undefined): TableParts {
  const keys = wanted ?? keysOf(rows);
  const columns = keys.slice(0, limits.maxColumns);
  const shown = Array.from({ length: Math.min(rows.length, limits.maxRows) }, (_, row) => columns.map((key) => cellOf(rows[row], key)));
  return { columns, rows: shown, labels: null, totalRows: rows.length, totalColumns: keys.length };
}

function columnParts(entries: readonly (readonly [string, ArrayLike<unknown>])[], limits: TableLimits, wanted: readonly string[] | undefined): TableParts {
  const byName = new Map(entries);
  const keys = wanted ?? entries.map(([name]) => name);
  const columns = keys.slice(0, limits.maxColumns);
  const totalRows = entries.reduce((most, [, list]) => Math.max(most, list.length), 0);
  const rows = Array.from({ length: Math.min(totalRows, limits.maxRows) }, (_, row) => columns.map((name) => byName.get(name)?.[row]));
  return { columns, rows, labels: null, totalRows, totalColumns: keys.length };
}

/** Name of the one column of rows that are plain values. */
const VALUE_COLUMN = "value";

function keysOf(rows: readonly unknown[]): string[] {
  const keys = new Set<string>();
  for (let row = 0; row < Math.min(rows.length, ROWS_FOR_COLUMNS); row++) {
    const value = rows[row];
    if (isRecord(value)) for (const key of Object.keys(value)) keys.add(key);
    else keys.add(VALUE_COLUMN);
    // An array row of a million numbers has as many keys.
    if (keys.size > 10 * MOST_COLUMNS) break;
  }
  return [...keys];
}

function cellOf(row: unknown, key: string): unknown {
  if (!isRecord(row)) return key === VALUE_COLUMN ? row : undefined;
  return Reflect.get(row, key);
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Date);
}

function checkLimit(name: string, value: number | undefined, fallback: number, most: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new DisplayError({
    code: "E_DISPLAY_OPTION", what: `display.table got ${name}: ${inspect(value)}`, why: `it is an integer from 1 to ${most}`, fix: `leave it out for ${fallback}`,
  });
}
