import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { libraryScript } from "./drawScript.ts";
import { type Displayable, displaySymbol, type MimeBundle, notebookDisplay } from "./notebook.ts";

/** An HTML script element that puts plotly.js into a page; 2 MB, packed (4.8 MB unpacked). */
export function libraryHtml(): string {
  const path = createRequire(import.meta.url).resolve("plotly.js-dist-min/plotly.min.js");
  return `<script>${libraryScript(gzipSync(readFileSync(path)).toString("base64"))}</script>`;
}

/** Puts plotly.js into the notebook page once more. Needed only when figures say that it is missing, e.g. in another
 *  browser after the cell that first drew a figure ran again. */
export function plotLibrary(): Displayable {
  return {
    [displaySymbol]: (): MimeBundle => ({ "text/html": libraryHtml(), "text/plain": "plotly.js" }),
  };
}

// The page keeps the library, so the kernel process must remember that it was sent: figures come and go in between.
let wasSent = false;

/** Makes sure that the page has plotly.js before a figure is shown.
 *  In our kernel it becomes an output of its own, so that replacing a live figure doesn't throw it away.
 *  @returns HTML that must stand before the figure ("" when the library is there already) */
export function provideLibrary(): string | Promise<string> {
  if (wasSent) return "";
  wasSent = true;
  const display = notebookDisplay();
  if (!display) return libraryHtml();
  const shown = display(plotLibrary());
  return shown instanceof Promise ? shown.then(() => "") : "";
}
