import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { marked } from "marked";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { plainText } from "./ansi.ts";
import { escapeHtml, highlightTypeScript } from "./highlight.ts";
import type { Notebook, NotebookCell, NotebookOutput } from "./notebook.ts";
import { REPORT_STYLE } from "./reportStyle.ts";

const PLOTLY_MIME = "application/vnd.plotly.v1+json";

/** A notebook as one HTML page that needs nothing else: no network, no Jupyter. Plots work because plotly.js is in it,
 *  once, when there is a plot. HTML outputs are taken as they are: make reports of notebooks you trust. */
export function notebookToHtml(notebook: Notebook, { title }: { readonly title: string }): string {
  const plots: string[] = [];
  const body = notebook.cells.map((cell) => cellHtml(cell, plots)).join("\n");
  const scripts = plots.length === 0 ? "" : `<script>${inScript(plotlySource())}</script>\n<script>${plots.join("\n")}</script>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
${body}
</main>
${scripts}
</body>
</html>
`;
}

function cellHtml(cell: NotebookCell, plots: string[]): string {
  switch (cell.cell_type) {
    case "markdown": return `<section class="text">${marked.parse(cell.source, { async: false, gfm: true })}</section>`;
    case "raw": return `<section class="text"><pre>${escapeHtml(cell.source)}</pre></section>`;
    case "code": {
      if (cell.source.trim() === "" && cell.outputs.length === 0) return "";
      const label = cell.executionCount === null ? "Code" : `Code ${cell.executionCount}`;
      const code = `<details class="code" open><summary>${label}</summary><pre><code>${highlightTypeScript(cell.source)}</code></pre></details>`;
      const outputs = cell.outputs.map((output) => outputHtml(output, plots)).join("\n");
      return `<section class="cell">${code}${outputs === "" ? "" : `<div class="outputs">${outputs}</div>`}</section>`;
    }
  }
}

function outputHtml(output: NotebookOutput, plots: string[]): string {
  switch (output.output_type) {
    case "stream": return `<pre class="stream ${output.name === "stderr" ? "stderr" : "stdout"}">${escapeHtml(plainText(output.text))}</pre>`;
    case "error": return `<pre class="error">${escapeHtml(plainText(output.traceback.join("\n") || `${output.ename}: ${output.evalue}`))}</pre>`;
    case "display_data":
    case "execute_result": return dataHtml(output.data, plots);
  }
}

/** Shows the richest form there is. */
function dataHtml(data: JsonObject, plots: string[]): string {
  const text = (mime: string): string | null => {
    const value = data[mime];
    return typeof value === "string" ? value : null;
  };
  const plot = data[PLOTLY_MIME];
  if (isJsonObject(plot)) return plotHtml(plot, plots);
  const html = text("text/html");
  if (html !== null) return `<div class="html">${html}</div>`;
  const svg = text("image/svg+xml");
  if (svg !== null) return `<div class="image">${svg.replace(/^\s*<\?xml[^>]*\?>/, "")}</div>`;
  for (const mime of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
    const image = text(mime);
    if (image !== null) return `<div class="image"><img alt="" src="data:${mime};base64,${image.replaceAll(/\s/g, "")}"></div>`;
  }
  const markdown = text("text/markdown");
  if (markdown !== null) return `<div class="text">${marked.parse(markdown, { async: false, gfm: true })}</div>`;
  const json = data["application/json"];
  const plain = text("text/plain") ?? (json === undefined ? "" : JSON.stringify(json, null, 2));
  return `<pre class="result">${escapeHtml(plainText(plain))}</pre>`;
}

function plotHtml(plot: JsonObject, plots: string[]): string {
  const id = `plot-${plots.length + 1}`;
  const layout = isJsonObject(plot.layout) ? plot.layout : {};
  const height = typeof layout.height === "number" ? layout.height : 420;
  const figure = inScript(JSON.stringify({ data: plot.data ?? [], layout: { autosize: true, ...layout, width: undefined } }));
  plots.push(`{ const figure = ${figure}; Plotly.newPlot("${id}", figure.data, figure.layout, { responsive: true, displaylogo: false }); }`);
  return `<div class="plot" id="${id}" style="height:${height}px"></div>`;
}

function plotlySource(): string {
  return readFileSync(createRequire(import.meta.url).resolve("plotly.js-dist-min"), "utf8");
}

/** Text that may stand in a script element: nothing in it ends the element or opens an HTML comment. */
function inScript(text: string): string {
  return text.replaceAll(/<\/(script)/gi, "<\\/$1").replaceAll("<!--", "\\u003c!--");
}
