import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { JSON, String } from "../runner/intrinsics.ts";
import { escapeHtml } from "./html.ts";

/** Plotly's own default, in px. */
const HEIGHT_PX = 450;

/** JSON as a JavaScript expression that can't end the script element it stands in. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** A figure for pages without a renderer of Plotly's MIME type, such as JupyterLab as it is installed. It is drawn when
 *  plotly.js is on the page, and shows its text until then. `moeLabFigures` is the page's list of what waits for it.
 *  @param figure as JSON has it */
export function plotlyHtml(figure: { readonly data: unknown; readonly layout: unknown; readonly config: unknown }, text: string): string {
  const id = `moe-lab-${randomUUID()}`;
  const script = `(() => {
  const place = document.getElementById("${id}");
  if (!place) return;
  const figure = ${scriptJson(figure)};
  const draw = () => { place.replaceChildren(); window.Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, ...figure.config }); };
  if (window.Plotly) draw();
  else (window.moeLabFigures ??= []).push(draw);
})();`;
  return `<div id="${id}" style="min-height:${String(HEIGHT_PX)}px;width:100%"><pre>${escapeHtml(text)}</pre></div><script>${script}</script>`;
}

/** A script element that puts plotly.js into a page and draws what waits for it; 2 MB, packed (4.8 MB unpacked). */
export function plotlyLibraryHtml(): string {
  const path = createRequire(import.meta.url).resolve("plotly.js-dist-min/plotly.min.js");
  const packed = gzipSync(readFileSync(path)).toString("base64");
  // Where a page has an AMD loader, plotly.js would register there and not be \`Plotly\`; so it sees no \`define\`.
  return `<script>(() => {
  if (window.Plotly) return;
  const bytes = Uint8Array.from(atob("${packed}"), (letter) => letter.charCodeAt(0));
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text().then((source) => {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = "((define) => {" + source + "\\n})();";
      document.head.append(script);
      script.remove();
    }
    for (const draw of (window.moeLabFigures ?? []).splice(0)) draw();
  });
})();</script>`;
}
