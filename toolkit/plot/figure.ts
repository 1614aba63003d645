import { randomUUID } from "node:crypto";
import { drawScript } from "./drawScript.ts";
import { escapeHtml } from "./escapeHtml.ts";
import { provideLibrary } from "./library.ts";
import { type Displayable, displaySymbol, type MimeBundle } from "./notebook.ts";
import type { Layout, Trace } from "./plotlyTypes.ts";
import { houseConfig, houseTemplate } from "./template.ts";
import { renderText } from "./textRendering.ts";

/** Plotly's own default, px. */
const defaultHeightPx = 450;

export interface FigureParts {
  readonly data: readonly Trace[];
  readonly layout: Layout;
  /** what a terminal shows; made from data and layout when left out */
  readonly plainText?: string;
}

/** A drawing as Plotly JSON. It shows itself in a notebook, and `figureToHtml` makes a page of it. */
export class Figure implements Displayable {
  readonly data: readonly Trace[];
  readonly layout: Layout;
  private readonly plainText: string | undefined;

  /** @param parts layout settings win over the house template's */
  constructor(parts: FigureParts) {
    this.data = parts.data;
    this.layout = { template: houseTemplate, ...parts.layout };
    this.plainText = parts.plainText;
  }

  /** The form that Plotly libraries of any language read. */
  toJSON(): { data: readonly Trace[]; layout: Layout; config: typeof houseConfig } {
    return { data: this.data, layout: this.layout, config: houseConfig };
  }

  /** The figure in block characters. */
  toString(): string {
    return this.plainText ?? renderText(this.data, this.layout);
  }

  /** An element and its script for a page that has, or will get, plotly.js. Without scripts it shows the text form. */
  toHtml(): string {
    const id = `moe-lab-${randomUUID()}`;
    const height = this.layout.height ?? defaultHeightPx;
    return `<div id="${id}" class="moe-lab-figure" style="min-height:${height}px;width:100%">`
      + `<pre style="font-size:11px;line-height:1.2">${escapeHtml(this.toString())}</pre></div>`
      + `<script>${drawScript(id, this.toJSON())}</script>`;
  }

  [displaySymbol](): MimeBundle | Promise<MimeBundle> {
    const bundle = (library: string): MimeBundle => ({
      "application/vnd.plotly.v1+json": this.toJSON(),
      "text/html": library + this.toHtml(),
      "text/plain": this.toString(),
    });
    const library = provideLibrary();
    return typeof library === "string" ? bundle(library) : library.then(bundle);
  }
}
