import { types } from "node:util";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { inspectValue } from "../runner/inspectValue.ts";
import { checkedBundle } from "./bundle.ts";
import { methodOf, propertyOf } from "./duck.ts";
import { frameParts } from "./frames.ts";
import { escapeHtml, STYLES } from "./html.ts";
import { imageFacts } from "./image.ts";
import { media } from "./media.ts";
import { DISPLAY_METHOD } from "./richValue.ts";
import { tableBundle } from "./table.ts";
import { tableParts } from "./tableSource.ts";
import { asTensor, readTensor, statisticsOf } from "./tensorReading.ts";
import { disposedBundle, tensorBundle } from "./tensorView.ts";
import { Array, ArrayBuffer, BigInt64Array, BigUint64Array, Buffer, DataView, Date, Function, Map, Object, Promise, Set, String, URL, Uint8Array } from "../runner/intrinsics.ts";

/** An array is a table from this many rows on; one object reads better as text. */
const LEAST_ROWS = 2;
/** So many first rows are looked at to see whether an array is a table. */
const ROWS_LOOKED_AT = 200;
const MOST_COLUMNS = 50;
/** At least this share of the cells must be filled: else the objects are of different kinds. */
const LEAST_FILLED = 0.5;
/** Longer typed arrays get statistics; console.log would print this many items. */
const PLAIN_ARRAY_LENGTH = 100;
/** A line of source that says what a function takes. */
const SIGNATURE_LENGTH = 200;

/** How values without a display method show themselves where plain text is not the best.
 *  @returns null where the value's text is */
export function richBundle(value: unknown): JsonObject | null {
  if (typeof value === "function") return functionBundle(value);
  // Any look at a proxy runs a trap of the user's, which may throw.
  if (typeof value !== "object" || value === null || types.isProxy(value)) return null;
  if (ArrayBuffer.isView(value)) return viewBundle(value);
  if (Array.isArray(value)) return isTableOfObjects(value) ? tableBundle(tableParts(value)) : null;
  if (value instanceof Map) return mapBundle(value);
  if (value instanceof Date || value instanceof Set || value instanceof Promise || types.isNativeError(value)) return null;
  if (value instanceof URL) return urlBundle(value);
  return tensorOrFrame(value) ?? foreignBundle(value);
}

function tensorOrFrame(value: object): JsonObject | null {
  const tensor = asTensor(value);
  if (tensor !== null) {
    const title = typeof propertyOf(value, "trainable") === "boolean" ? `Variable ${String(propertyOf(value, "name"))}` : "Tensor";
    return tensor.isDisposed ? disposedBundle(title, tensor) : tensorBundle(title, readTensor(value, tensor));
  }
  const isFrame = frameParts(value, { maxRows: 1, maxColumns: 1 }) !== null;
  return isFrame ? tableBundle(tableParts(value)) : null;
}

/** Rows are plain objects of plain values with mostly the same keys: then columns are the better reading. */
function isTableOfObjects(rows: readonly unknown[]): boolean {
  if (rows.length < LEAST_ROWS) return false;
  const looked = rows.slice(0, ROWS_LOOKED_AT);
  const keys = new Set<string>();
  let numCells = 0;
  for (const row of looked) {
    if (!isPlainObject(row)) return false;
    for (const [key, cell] of Object.entries(row)) {
      if (typeof cell === "function" || typeof cell === "object" && cell !== null && !(cell instanceof Date)) return false;
      keys.add(key);
      numCells++;
    }
    if (keys.size > MOST_COLUMNS) return false;
  }
  return keys.size > 0 && numCells >= LEAST_FILLED * keys.size * looked.length;
}

function isPlainObject(value: unknown): value is JsonObject {
  if (!isJsonObject(value) || types.isProxy(value) || DISPLAY_METHOD in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function mapBundle(map: ReadonlyMap<unknown, unknown>): JsonObject | null {
  const isPlain = (value: unknown): boolean => typeof value !== "object" && typeof value !== "function" || value === null || value instanceof Date;
  let looked = 0;
  for (const [key, value] of map) {
    if (!isPlain(key) || !isPlain(value)) return null;
    if (++looked === ROWS_LOOKED_AT) break;
  }
  return map.size < LEAST_ROWS ? null : { "text/html": tableBundle(tableParts(map))["text/html"], "text/plain": inspectValue(map) };
}

function viewBundle(view: ArrayBufferView): JsonObject | null {
  const facts = view instanceof Uint8Array ? imageFacts(view) : null;
  if (facts !== null) return media.image(view as Uint8Array).bundle.data;
  if (Buffer.isBuffer(view) || view instanceof DataView || view instanceof BigInt64Array || view instanceof BigUint64Array) return null;
  const values = view as Float64Array;
  if (values.length <= PLAIN_ARRAY_LENGTH) return null;
  const shown = 8;
  return tensorBundle(values.constructor.name, {
    shape: [values.length], dtype: dtypeOf(values), corner: Array.from(values.subarray(0, shown)), cornerShape: [shown], statistics: statisticsOf(values),
  });
}

function dtypeOf(values: ArrayBufferView): string {
  return values.constructor.name.replace(/Clamped/, "").replace(/Array$/, "").toLowerCase();
}

function urlBundle(url: URL): JsonObject {
  const text = url.href;
  // Only addresses that open a page: a javascript: link would run in the notebook.
  return /^https?:$/.test(url.protocol) ? { "text/html": `<a href="${escapeHtml(text)}" style="${STYLES.link}">${escapeHtml(text)}</a>`, "text/plain": text } : { "text/plain": text };
}

/** The line that declares a function or class; its body says more than a result needs. */
function functionBundle(value: object): JsonObject | null {
  if (Object.keys(value).length > 0) return null;
  const source = Function.prototype.toString.call(value);
  if (/\{\s*\[native code\]\s*\}$/.test(source)) return null;
  const line = signatureOf(source).replaceAll(/\s+/g, " ").trim();
  const head = line.length <= SIGNATURE_LENGTH ? line : `${line.slice(0, SIGNATURE_LENGTH - 1)}…`;
  const name = propertyOf(value, "name");
  const isArrow = line.endsWith("=>");
  return { "text/plain": isArrow ? `${typeof name === "string" && name !== "" ? `${name} = ` : ""}${head} …` : `${head} { … }` };
}

/** Source up to the body: to the brace or arrow that stands in no parenthesis and no string. */
function signatureOf(source: string): string {
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    const letter = source[i] ?? "";
    if ("([".includes(letter)) depth++;
    else if (")]".includes(letter)) depth--;
    else if (letter === "\"" || letter === "'" || letter === "`") {
      for (i++; i < source.length && source[i] !== letter; i++) if (source[i] === "\\") i++;
    } else if (depth === 0 && letter === "{") return source.slice(0, i);
    else if (depth === 0 && letter === "=" && source[i + 1] === ">") return source.slice(0, i + 2);
    else if (letter === "{") depth++;
    else if (letter === "}") depth--;
  }
  return source;
}

/** Values of drawing libraries: a Vega or Vega-Lite view, a canvas, an element of a document.
 *  Source: the duck typing of Deno's kernel, docs.deno.com/runtime/reference/cli/jupyter */
function foreignBundle(value: object): JsonObject | null {
  const spec = methodOf(value, "toSpec")?.();
  const schema = isJsonObject(spec) ? /\/schema\/(vega|vega-lite)\/v(\d+)/.exec(String(spec.$schema)) : null;
  if (isJsonObject(spec) && schema !== null) {
    return { [`application/vnd.${(schema[1] ?? "").replace("-", "")}.v${schema[2] ?? ""}+json`]: spec, "text/plain": inspectValue(value) };
  }
  const picture = methodOf(value, "toDataURL")?.();
  const parts = typeof picture === "string" ? /^data:(image\/[\w.+-]+);base64,(.*)$/s.exec(picture) : null;
  if (parts !== null) return checkedBundle({ [parts[1] ?? ""]: parts[2], "text/plain": inspectValue(value) }).data;
  const outer = propertyOf(value, "outerHTML");
  if (typeof outer !== "string") return null;
  return { [/^\s*<svg\b/.test(outer) ? "image/svg+xml" : "text/html"]: outer, "text/plain": outer };
}
