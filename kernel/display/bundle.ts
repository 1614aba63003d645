import { inspect } from "node:util";
import { DisplayError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { boundedText } from "../runner/inspectValue.ts";
import type { DisplayBundle } from "../runner/threadMessages.ts";
import { Array, ArrayBuffer, Buffer, DataView, JSON, Map, Number, Object, RangeError, SyntaxError, TextDecoder, TypeError, Uint8Array } from "../runner/intrinsics.ts";

/** One output may have this much, in UTF-8 bytes over all its MIME types. Front ends and notebook files carry more
 *  only badly, and a WebSocket proxy may cut the connection. */
export const OUTPUT_LIMIT_BYTES = 50_000_000;
/** What is left of the text of an output that was too large, in UTF-16 units. */
const TEXT_LIMIT = 100_000;

const MIME_TYPE = /^[\w.+-]+\/[\w.+-]+$/;
/** Types whose data is binary, so that in JSON it is base64.
 *  Source: nbformat.readthedocs.io/en/latest/format_description.html#display-data */
const BASE64_TYPE = /^(image\/(?!svg\+xml$)|audio\/|video\/|application\/(pdf|octet-stream)$)/;
const JSON_TYPE = /^application\/(.*\+)?json$/;
/** Types that are text, though their names don't begin with text/. */
const TEXT_TYPE = /^(text\/|image\/svg\+xml$|application\/(javascript|xml|x-tex)$)/;

/** An object all of whose keys look like MIME types is taken as a bundle. */
export function isMimeBundle(value: unknown): value is JsonObject {
  if (!isJsonObject(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => MIME_TYPE.test(key));
}

/** A bundle as JSON can carry it: bytes become base64, typed arrays lists, text is text.
 *  @throws DisplayError E_DISPLAY_MIME, E_DISPLAY_TEXT, E_DISPLAY_BASE64 or E_DISPLAY_JSON */
export function checkedBundle(data: JsonObject, metadata: JsonObject = {}): DisplayBundle {
  const entries = Object.entries(data).filter(([, value]) => value !== undefined).map(([mime, value]) => [mime, checkedData(mime, value)]);
  return bounded({ data: Object.fromEntries(entries) as JsonObject, metadata });
}

function checkedData(mime: string, value: unknown): unknown {
  if (!MIME_TYPE.test(mime)) {
    throw new DisplayError({
      code: "E_DISPLAY_MIME", what: `A MIME bundle has the key ${inspect(mime)}`, why: "its keys are MIME types such as text/html",
      fix: "return { \"text/html\": … }, or display(value) without raw: true",
    });
  }
  if (BASE64_TYPE.test(mime)) return base64Of(mime, value);
  if (TEXT_TYPE.test(mime)) return stringOf(mime, value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  // JSON types too: a string is a JSON value, but nearly always it is JSON that somebody has written out already.
  if (typeof value === "string") return JSON_TYPE.test(mime) ? parsed(value) : value;
  return plainJson(mime, value);
}

function stringOf(mime: string, value: unknown): string {
  if (typeof value === "string") return value;
  // nbformat files have text as a list of lines.
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return value.join("");
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  throw new DisplayError({
    code: "E_DISPLAY_TEXT", what: `The data of ${mime} is ${kindOf(value)}`, why: "this type is text", fix: `give a string, e.g. String(value)`,
  });
}

/** Bytes or base64 text, also as a data: URL, as base64. */
export function base64Of(mime: string, value: unknown): string {
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if (typeof value === "string") {
    const text = value.replace(/^data:[^,]*;base64,/, "").replaceAll(/\s+/g, "");
    if (text !== "" && text.length % 4 !== 1 && /^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return text.replaceAll("-", "+").replaceAll("_", "/");
  }
  throw new DisplayError({
    code: "E_DISPLAY_BASE64", what: `The data of ${mime} is ${kindOf(value)}`, why: "this type is bytes, or base64 text of them",
    fix: typeof value === "string" ? "read a file first: fs.readFileSync(path)" : "give a Uint8Array, Buffer or ArrayBuffer",
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text;
  }
}

/** Typed arrays become lists: plot data often holds them, and JSON has no other form. */
function plainJson(mime: string, value: unknown): unknown {
  try {
    const text: string | undefined = JSON.stringify(value, (_key, item: unknown) => {
      if (ArrayBuffer.isView(item) && !(item instanceof DataView)) return Array.from(item as Float64Array);
      return typeof item === "bigint" ? Number(item) : item;
    });
    return text === undefined ? null : JSON.parse(text) as unknown;
  } catch (error) {
    // JSON.stringify reports cycles and values that are too large.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw new DisplayError({
      code: "E_DISPLAY_JSON", what: `The data of ${mime} can't be written as JSON`, why: error.message.split("\n")[0] ?? error.message,
      fix: "give plain objects, arrays, strings and numbers without cycles", cause: error,
    });
  }
}

function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return inspect(value, { maxStringLength: 40 });
  return `an object (${Array.isArray(value) ? "Array" : value.constructor?.name ?? "no class"})`;
}

/** Leaves out what exceeds the limit, the largest parts first, and says so. */
function bounded(bundle: DisplayBundle): DisplayBundle {
  const sizes = new Map(Object.entries(bundle.data).map(([mime, value]) => [mime, byteLength(value)]));
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (total <= OUTPUT_LIMIT_BYTES) return bundle;
  const data = { ...bundle.data };
  const dropped: string[] = [];
  let left = total;
  for (const [mime, size] of [...sizes].sort((a, b) => b[1] - a[1])) {
    if (left <= OUTPUT_LIMIT_BYTES) break;
    delete data[mime];
    dropped.push(`${mime} ${megabytes(size)}`);
    left -= size;
  }
  const message = `This output is larger than the ${megabytes(OUTPUT_LIMIT_BYTES)} that one output may have (${dropped.join(", ")}), so that was left out. `
    + "Show less of it, or write it to a file and link the file.";
  const text = data["text/plain"];
  return { data: { ...data, "text/plain": typeof text === "string" ? `${message}\n${boundedText(text, TEXT_LIMIT)}` : message }, metadata: bundle.metadata };
}

function byteLength(value: unknown): number {
  return Buffer.byteLength(typeof value === "string" ? value : JSON.stringify(value) ?? "");
}

function megabytes(bytes: number): string {
  return `${Number((bytes / 1e6).toPrecision(3))} MB`;
}
