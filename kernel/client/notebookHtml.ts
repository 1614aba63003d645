import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, isAbsolute, join } from "node:path";
import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { ansiToHtml } from "./ansiHtml.ts";
import { escapeHtml, highlightTypeScript } from "./highlight.ts";
import { markdownToHtml } from "./markdownHtml.ts";
import type { Heading } from "./markdownHtml.ts";
import { mathHtml } from "./mathml.ts";
import type { Notebook, NotebookCell, NotebookOutput } from "./notebook.ts";
import { tagsOf } from "./notebook.ts";
import { REPORT_STYLE } from "./reportStyle.ts";

/** How a page is made of a notebook. */
export interface NotebookHtmlOptions {
  readonly title: string;
  /** The notebook's folder: images that its text names from there are taken into the page. */
  readonly folder?: string;
}

const PLOTLY_MIME = "application/vnd.plotly.v1+json";
const WIDGET_MIME = "application/vnd.jupyter.widget-view+json";
/** A page with so many headings gets a table of contents. */
const CONTENTS_FROM = 4;
/** Headings of deeper levels are not in it. */
const CONTENTS_DEPTH = 3;
/** An image file larger than this stays a link, in bytes. */
const MAX_IMAGE_BYTES = 20 * 2 ** 20;
const IMAGE_TYPES: Readonly<Record<string, string>> = {
  ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml",
};

/** A notebook as one HTML page that needs nothing else: no network, no Jupyter. Plots work because plotly.js is in it,
 *  once, when there is a plot. HTML and SVG outputs are taken as they are: make pages of notebooks you trust. */
export function notebookToHtml(notebook: Notebook, options: NotebookHtmlOptions): string {
  const page = new Page(options, isTypeScript(notebook));
  const body = notebook.cells.map((cell) => page.cell(cell)).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(options.title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
${page.contents()}<main>
${body}
</main>
${page.scripts()}
</body>
</html>
`;
}

class Page {
  private readonly options: NotebookHtmlOptions;
  private readonly highlight: (code: string) => string;
  private readonly plots: string[] = [];
  private readonly headings: Heading[] = [];

  constructor(options: NotebookHtmlOptions, isTypeScript: boolean) {
    this.options = options;
    this.highlight = isTypeScript ? highlightTypeScript : escapeHtml;
  }

  cell(cell: NotebookCell): string {
    switch (cell.cell_type) {
      case "markdown": return `<section class="text">${this.markdown(cell)}</section>`;
      case "raw": {
        const isHtml = [cell.metadata.format, cell.metadata.raw_mimetype].includes("text/html");
        return `<section class="text">${isHtml ? cell.source : `<pre>${escapeHtml(cell.source)}</pre>`}</section>`;
      }
      case "code": {
        if (cell.source.trim() === "" && cell.outputs.length === 0) return "";
        const isOpen = objectField(cell.metadata, "jupyter").source_hidden !== true && !tagsOf(cell).includes("hide-input");
        const code = `<details class="code"${isOpen ? " open" : ""}><summary>${labelOf(cell)}</summary><pre><code>${this.highlight(cell.source)}</code></pre></details>`;
        const outputs = cell.outputs.map((output) => this.output(output)).join("\n");
        return `<section class="cell">${code}${outputs === "" ? "" : `<div class="outputs">${outputs}</div>`}</section>`;
      }
    }
  }

  /** Links to the headings when there are many; names of headings as Jupyter makes them. */
  contents(): string {
    const listed = this.headings.filter(({ level }) => level <= CONTENTS_DEPTH);
    if (listed.length < CONTENTS_FROM) return "";
    const links = listed.map(({ id, level, text }) => `<a class="level-${level}" href="#${escapeHtml(encodeURIComponent(id))}">${escapeHtml(text)}</a>`);
    return `<nav aria-label="Contents"><details open><summary>Contents</summary>\n${links.join("\n")}\n</details></nav>\n`;
  }

  scripts(): string {
    return this.plots.length === 0 ? "" : `<script>${inScript(plotlySource())}</script>\n<script>${this.plots.join("\n")}</script>`;
  }

  private markdown(cell: NotebookCell): string {
    const attachments = objectField(cell.rest, "attachments");
    return markdownToHtml(cell.source, {
      image: (address) => attachmentAddress(attachments, address) ?? this.fileAddress(address),
      onHeading: ({ level, text }) => {
        const name = text.replaceAll(/\s/g, "-");
        const earlier = this.headings.filter(({ id }) => id === name || id.startsWith(`${name}~`)).length;
        const id = earlier === 0 ? name : `${name}~${earlier + 1}`;
        this.headings.push({ id, level, text });
        return id;
      },
    });
  }

  private fileAddress(address: string): string | null {
    if (this.options.folder === undefined || /^[a-z][a-z0-9+.-]*:|^\/\/|^#/i.test(address)) return null;
    const type = IMAGE_TYPES[extname(address).toLowerCase()];
    const relative = decodeAddress(address);
    if (type === undefined || isAbsolute(relative)) return null;
    const path = join(this.options.folder, relative);
    if (!existsSync(path) || statSync(path).size > MAX_IMAGE_BYTES) return null;
    return `data:${type};base64,${readFileSync(path).toString("base64")}`;
  }

  private output(output: NotebookOutput): string {
    switch (output.output_type) {
      case "stream": return `<pre class="stream ${output.name === "stderr" ? "stderr" : "stdout"}">${ansiToHtml(output.text)}</pre>`;
      case "error": return `<pre class="error">${ansiToHtml(output.traceback.join("\n") || `${output.ename}: ${output.evalue}`)}</pre>`;
      case "display_data":
      case "execute_result": return this.data(output.data, output.metadata);
    }
  }

  /** Shows the richest form there is. */
  private data(data: JsonObject, metadata: JsonObject): string {
    const plot = data[PLOTLY_MIME];
    if (isJsonObject(plot)) return this.plot(plot);
    const text = (mime: string): string | null => (typeof data[mime] === "string" ? data[mime] : null);
    if (WIDGET_MIME in data) return `<div class="widget"><pre class="result">${ansiToHtml(text("text/plain") ?? "widget")}</pre><small>An interactive control: it works in Jupyter.</small></div>`;
    const html = text("text/html");
    if (html !== null) return `<div class="html">${html}</div>`;
    const svg = text("image/svg+xml");
    if (svg !== null) return `<div class="image">${svg.replace(/^\s*<\?xml[^>]*\?>/, "").replace(/^\s*<!DOCTYPE[^>]*>/i, "")}</div>`;
    for (const mime of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
      const image = text(mime);
      if (image !== null) return `<div class="image"><img alt="${escapeHtml(text("text/plain") ?? "")}"${sizeOf(metadata, mime)} src="data:${mime};base64,${image.replaceAll(/\s/g, "")}"></div>`;
    }
    const markdown = text("text/markdown");
    if (markdown !== null) return `<div class="text">${markdownToHtml(markdown)}</div>`;
    const latex = text("text/latex");
    if (latex !== null) return `<div class="text">${mathHtml(latex.trim().replace(/^(\$\$?)([^]*)\1$/, "$2"), "block")}</div>`;
    const json = data["application/json"];
    const plain = text("text/plain") ?? (json === undefined ? "" : JSON.stringify(json, null, 2));
    return `<pre class="result">${ansiToHtml(plain)}</pre>`;
  }

  private plot(plot: JsonObject): string {
    const id = `plot-${this.plots.length + 1}`;
    const layout = objectField(plot, "layout");
    const height = typeof layout.height === "number" ? layout.height : 420;
    const figure = inScript(JSON.stringify({
      data: plot.data ?? [], layout: { autosize: true, ...layout, width: undefined }, frames: plot.frames,
      config: { responsive: true, displaylogo: false, ...objectField(plot, "config") },
    }));
    this.plots.push(`Plotly.newPlot("${id}", ${figure});`);
    return `<div class="plot" id="${id}" style="height:${height}px"></div>`;
  }
}

/** A notebook that does not say its language is taken for one of ours. */
function isTypeScript({ metadata }: Notebook): boolean {
  const language = stringField(objectField(metadata, "language_info"), "name") || stringField(objectField(metadata, "kernelspec"), "language", "typescript");
  return /^(typescript|javascript)$/i.test(language);
}

/** "Code 3 · 12.4 s": the count, and the time where it was stored and is at least a second. */
function labelOf(cell: NotebookCell): string {
  const name = tagsOf(cell).includes("injected-parameters") ? "Parameters" : "Code";
  const times = objectField(cell.metadata, "execution");
  const seconds = (Date.parse(stringField(times, "iopub.status.idle")) - Date.parse(stringField(times, "iopub.status.busy"))) / 1000;
  return `${name}${cell.executionCount === null ? "" : ` ${cell.executionCount}`}${seconds >= 1 ? ` · ${seconds.toFixed(1)} s` : ""}`;
}

function attachmentAddress(attachments: JsonObject, address: string): string | null {
  if (!address.startsWith("attachment:")) return null;
  const bundle = objectField(attachments, decodeAddress(address.slice("attachment:".length)));
  const [mime, content] = Object.entries(bundle)[0] ?? [];
  const base64 = Array.isArray(content) ? content.join("") : content;
  return mime === undefined || typeof base64 !== "string" ? null : `data:${mime};base64,${base64.replaceAll(/\s/g, "")}`;
}

function decodeAddress(address: string): string {
  try {
    return decodeURIComponent(address);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return address;
  }
}

function sizeOf(metadata: JsonObject, mime: string): string {
  const { width, height } = objectField(metadata, mime);
  return (typeof width === "number" ? ` width="${width}"` : "") + (typeof height === "number" ? ` height="${height}"` : "");
}

function plotlySource(): string {
  return readFileSync(createRequire(import.meta.url).resolve("plotly.js-dist-min"), "utf8");
}

/** Text that may stand in a script element: nothing in it ends the element or opens an HTML comment. */
function inScript(text: string): string {
  return text.replaceAll(/<\/(script)/gi, "<\\/$1").replaceAll("<!--", "\\u003c!--");
}
