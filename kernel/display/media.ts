import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { DisplayError, systemErrorCode } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { inspectValue } from "../runner/inspectValue.ts";
import { base64Of, checkedBundle } from "./bundle.ts";
import { escapeHtml } from "./html.ts";
import { imageFacts } from "./image.ts";
import { formatBytes } from "./numbers.ts";
import { plotlyHtml } from "./plotly.ts";
import { RichValue } from "./richValue.ts";
import { tableBundle } from "./table.ts";
import { tableParts } from "./tableSource.ts";
import type { TableOptions } from "./tableSource.ts";
import { Array, ArrayBuffer, Buffer, Object, Set, String, URL, Uint8Array } from "../runner/intrinsics.ts";

/** How large an image is drawn, in px, and what stands in its place. */
export interface ImageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly alt?: string;
}

export type ImageData = Uint8Array | ArrayBuffer | string;

/** What display.plotly takes: the arguments of Plotly.newPlot, or a figure that has them. */
export type PlotlyFigure = { readonly data: readonly unknown[]; readonly layout?: object; readonly config?: object };

const PLOTLY_MIME = "application/vnd.plotly.v1+json";
const FILE_HEAD_BYTES = 64 * 1024;

/** Makes values that show themselves in one form each. */
export const media = {
  html: (text: string) => rich("display.html", { "text/html": checkText("display.html", text), "text/plain": textOfHtml(text) }),
  markdown: (text: string) => rich("display.markdown", { "text/markdown": checkText("display.markdown", text), "text/plain": text }),
  latex: (text: string) => rich("display.latex", { "text/latex": mathOf(checkText("display.latex", text)), "text/plain": text }),
  svg: (text: string) => rich("display.svg", { "image/svg+xml": checkText("display.svg", text), "text/plain": "SVG image" }),
  javascript: (code: string) => rich("display.javascript", { "application/javascript": checkText("display.javascript", code), "text/plain": "JavaScript" }),
  text: (text: unknown) => rich("display.text", { "text/plain": typeof text === "string" ? text : inspectValue(text) }),
  json: (value: unknown, options: { readonly expanded?: boolean } = {}) =>
    rich("display.json", { "application/json": value, "text/plain": inspectValue(value) }, { "application/json": { expanded: options.expanded ?? false } }),
  png: (data: ImageData, options?: ImageOptions) => imageOf("image/png", data, options),
  jpeg: (data: ImageData, options?: ImageOptions) => imageOf("image/jpeg", data, options),
  gif: (data: ImageData, options?: ImageOptions) => imageOf("image/gif", data, options),
  /** PNG, JPEG, GIF or WebP: bytes, or a file's path. */
  image: (dataOrPath: Uint8Array | ArrayBuffer | string | URL, options?: ImageOptions) => anyImage(dataOrPath, options),
  pdf: (data: ImageData) => rich("display.pdf", { "application/pdf": base64Of("application/pdf", data), "text/plain": "PDF document" }),
  plotly: (dataOrFigure: readonly unknown[] | PlotlyFigure, layout?: object, config?: object) => plotlyOf(dataOrFigure, layout, config),
  table: (rows: unknown, options?: TableOptions) => rich("display.table", tableBundle(tableParts(rows, options))),
};

function rich(name: string, data: JsonObject, metadata: JsonObject = {}): RichValue {
  return new RichValue(name, checkedBundle(data, metadata));
}

function checkText(name: string, text: unknown): string {
  if (typeof text === "string") return text;
  throw new DisplayError({
    code: "E_DISPLAY_TEXT", what: `${name} got ${inspect(text, { depth: 0, maxStringLength: 40 })}`, why: "it takes a string", fix: "give a string, or call display(value)",
  });
}

/** Front ends typeset what stands between delimiters; a bare formula gets them. */
function mathOf(text: string): string {
  return /\$|\\\(|\\\[|\\begin\s*\{/.test(text) ? text : `$$${text}$$`;
}

/** The readable text of HTML, for front ends without a browser. */
export function textOfHtml(html: string): string {
  const text = html.replaceAll(/<(script|style)\b[^]*?<\/\1\s*>/gi, "").replaceAll(/<(br|\/p|\/div|\/tr|\/li|\/h\d|\/pre)\b[^>]*>/gi, "\n").replaceAll(/<[^>]*>/g, "")
    .replaceAll("&nbsp;", " ").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", "\"").replaceAll("&#39;", "'").replaceAll("&amp;", "&");
  return text.replaceAll(/[ \t]+\n/g, "\n").replaceAll(/\n{3,}/g, "\n\n").trim() || "HTML";
}

function imageOf(mime: string, data: unknown, options: ImageOptions = {}): RichValue {
  const text = base64Of(mime, data);
  const head = Buffer.from(text.slice(0, FILE_HEAD_BYTES), "base64");
  const facts = imageFacts(head);
  if (facts !== null && facts.mime !== mime) {
    throw new DisplayError({
      code: "E_DISPLAY_IMAGE", what: `An image given as ${mime} is ${facts.mime}`, why: "browsers and converters go by the type that is named",
      fix: `use display.image, or display.${facts.mime.slice("image/".length)}`,
    });
  }
  const kind = mime.slice("image/".length).toUpperCase();
  const size = facts?.size === null || facts === null ? "" : `, ${facts.size.join(" × ")} px`;
  const { width, height, alt } = options;
  return rich(`${kind} image`, { [mime]: text, "text/plain": alt ?? `${kind} image${size}, ${formatBytes(Buffer.byteLength(text, "base64"))}` },
    width === undefined && height === undefined && alt === undefined ? {} : { [mime]: { width, height, alt } });
}

function anyImage(dataOrPath: Uint8Array | ArrayBuffer | string | URL, options?: ImageOptions): RichValue {
  const bytes = typeof dataOrPath === "string" || dataOrPath instanceof URL ? readImage(dataOrPath) : dataOrPath;
  const facts = bytes instanceof ArrayBuffer ? imageFacts(new Uint8Array(bytes)) : bytes instanceof Uint8Array ? imageFacts(bytes) : null;
  if (facts !== null) return imageOf(facts.mime, bytes, options);
  throw new DisplayError({
    code: "E_DISPLAY_IMAGE", what: `display.image got ${typeof dataOrPath === "string" ? `the file ${dataOrPath}` : inspect(dataOrPath, { maxArrayLength: 4 })}`,
    why: "it is no PNG, JPEG, GIF or WebP image", fix: "give the bytes of an image file or its path; for SVG use display.svg",
  });
}

function readImage(path: string | URL): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined) throw error;
    throw new DisplayError({
      code: "E_DISPLAY_IMAGE", what: `display.image can't read ${String(path)}`, why: code, fix: "check the path; it starts at the notebook's folder", cause: error,
    });
  }
}

function plotlyOf(dataOrFigure: readonly unknown[] | PlotlyFigure, layout?: object, config?: object): RichValue {
  const figure = Array.isArray(dataOrFigure) ? { data: dataOrFigure as readonly unknown[], layout, config } : dataOrFigure as PlotlyFigure;
  if (!isJsonObject(figure) || !Array.isArray(figure.data)) {
    throw new DisplayError({
      code: "E_DISPLAY_PLOTLY", what: `display.plotly got ${inspect(dataOrFigure, { depth: 0 })}`, why: "it takes a list of traces, or a figure { data, layout }",
      fix: "give e.g. [{ x: [1, 2], y: [3, 4] }]",
    });
  }
  const types = figure.data.map((trace) => (isJsonObject(trace) && typeof trace.type === "string" ? trace.type : "scatter"));
  const text = `Plotly figure: ${types.length === 1 ? "1 trace" : `${types.length} traces`} (${[...new Set(types)].join(", ")})`;
  const { data } = checkedBundle({ [PLOTLY_MIME]: { data: figure.data, layout: figure.layout ?? {}, config: figure.config ?? {} } });
  // Checked as JSON above.
  const plain = data[PLOTLY_MIME] as Parameters<typeof plotlyHtml>[0];
  return rich("Plotly figure", { ...data, "text/html": plotlyHtml(plain, text), "text/plain": text });
}

type Tag<V = unknown> = (textOrParts: string | TemplateStringsArray, ...values: readonly V[]) => RichValue;

/** html`…`: what is put in is escaped, but for other html`…` values and lists of them. A call takes HTML as it is. */
export const html: Tag = (parts, ...values) => media.html(typeof parts === "string" ? parts : joined(parts, values, (value) => htmlOf(value)));
/** md`…`, svg`…` and latex`…` put values in as they are. */
export const md: Tag = (parts, ...values) => media.markdown(typeof parts === "string" ? parts : joined(parts, values, plain));
export const svg: Tag = (parts, ...values) => media.svg(typeof parts === "string" ? parts : joined(parts, values, plain));
/** latex`\frac{1}{2}`: the backslashes stay. */
export const latex: Tag = (parts, ...values) => media.latex(typeof parts === "string" ? parts : joined(parts.raw, values, plain));

function joined(parts: readonly string[], values: readonly unknown[], write: (value: unknown) => string): string {
  return parts.map((part, index) => (index === 0 ? part : write(values[index - 1]) + part)).join("");
}

function htmlOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(htmlOf).join("");
  if (value instanceof RichValue) {
    const { data } = value.bundle;
    for (const mime of ["text/html", "image/svg+xml"]) if (typeof data[mime] === "string") return data[mime];
    const image = Object.entries(data).find(([mime]) => mime.startsWith("image/"));
    return image === undefined ? escapeHtml(String(data["text/plain"])) : `<img alt="" src="data:${image[0]};base64,${String(image[1])}">`;
  }
  return value === false ? "" : escapeHtml(plain(value));
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join("");
  if (value instanceof RichValue) return Object.values(value.bundle.data).filter((text) => typeof text === "string")[0] ?? "";
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : typeof value === "bigint" ? value.toString() : inspectValue(value);
}
