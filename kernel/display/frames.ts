import { methodOf, propertyOf } from "./duck.ts";
import type { TableParts } from "./table.ts";
import type { TableLimits } from "./tableSource.ts";
import { Array, ArrayBuffer, DataView, Math, String } from "../runner/intrinsics.ts";

interface FrameWishes extends TableLimits { readonly columns?: readonly string[] | undefined }

/** Data frames of libraries that the kernel doesn't know as dependencies: danfo.js, nodejs-polars, Arquero.
 *  @returns null for a value that is none of them */
export function frameParts(value: unknown, wishes: FrameWishes): TableParts | null {
  if (typeof value !== "object" || value === null) return null;
  return danfoParts(value, wishes) ?? polarsParts(value, wishes) ?? arqueroParts(value, wishes);
}

/** DataFrame and Series of danfo.js. Source: danfo.jsdata.org/api-reference/dataframe */
function danfoParts(frame: object, { maxRows, maxColumns, columns: wanted }: FrameWishes): TableParts | null {
  const shape = propertyOf(frame, "shape");
  const columns = propertyOf(frame, "columns");
  const labels = propertyOf(frame, "index");
  if (!Array.isArray(shape) || !Array.isArray(columns) || !Array.isArray(labels)) return null;
  const values = propertyOf(frame, "values");
  if (!isList(values) || values.length !== labels.length) return null;
  const names = columns.map(String);
  const places = (wanted ?? names).map((name) => names.indexOf(name));
  const shown = places.slice(0, maxColumns);
  return {
    columns: shown.map((place) => names[place] ?? ""), labels: labels.slice(0, maxRows), totalRows: labels.length, totalColumns: places.length,
    rows: Array.from({ length: Math.min(labels.length, maxRows) }, (_, row) => {
      const cells: unknown = values[row];
      // A Series has one value in each row; its shape says [rows, 1] all the same.
      return shown.map((place) => (isList(cells) ? cells[place] : cells));
    }),
  };
}

/** DataFrame of nodejs-polars. Source: pola-rs.github.io/nodejs-polars */
function polarsParts(frame: object, { maxRows, maxColumns, columns: wanted }: FrameWishes): TableParts | null {
  const totalRows = propertyOf(frame, "height");
  const names = propertyOf(frame, "columns");
  const head = methodOf(frame, "head");
  if (typeof totalRows !== "number" || !Array.isArray(names) || head === undefined || methodOf(frame, "toRecords") === undefined) return null;
  const first = head(maxRows);
  const records = typeof first === "object" && first !== null ? methodOf(first, "toRecords")?.() : undefined;
  return Array.isArray(records) ? recordParts(records, wanted ?? names.map(String), totalRows, maxColumns) : null;
}

/** Table of Arquero. Source: idl.uw.edu/arquero/api/table */
function arqueroParts(table: object, { maxRows, maxColumns, columns: wanted }: FrameWishes): TableParts | null {
  const totalRows = methodOf(table, "numRows")?.();
  const names = methodOf(table, "columnNames")?.();
  if (typeof totalRows !== "number" || !Array.isArray(names)) return null;
  const records = methodOf(table, "objects")?.({ limit: maxRows });
  return Array.isArray(records) ? recordParts(records, wanted ?? names.map(String), totalRows, maxColumns) : null;
}

function recordParts(records: readonly unknown[], names: readonly string[], totalRows: number, maxColumns: number): TableParts {
  const columns = names.slice(0, maxColumns);
  const rows = records.map((record) => columns.map((name) => (typeof record === "object" && record !== null ? propertyOf(record, name) : undefined)));
  return { columns, rows, labels: null, totalRows, totalColumns: names.length };
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}
