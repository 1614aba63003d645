import { escapeHtml } from "./escapeHtml.ts";
import type { Figure } from "./figure.ts";
import { libraryHtml } from "./library.ts";

const pageStyle = `:root { color-scheme: light dark; }
body { font: 15px/1.5 Inter, "Segoe UI", "Helvetica Neue", system-ui, sans-serif; max-width: 980px; margin: 2.5rem auto; padding: 0 1.25rem;
  background: #ffffff; color: #27313d; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0 0 1.5rem; }
.moe-lab-figure { margin-bottom: 2rem; }
@media (prefers-color-scheme: dark) { body { background: #14181d; color: #dfe3e8; } }`;

/** A page with the figures one below the other. It needs no network: plotly.js is inside (2 MB). Light or dark as the
 *  reader's system is.
 *  @returns a whole HTML document */
export function figureToHtml(figures: Figure | readonly Figure[], options: { title: string }): string {
  const list: readonly Figure[] = "toHtml" in figures ? [figures] : figures;
  const title = escapeHtml(options.title);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${pageStyle}</style>${libraryHtml()}</head>
<body><h1>${title}</h1>
${list.map((figure) => figure.toHtml()).join("\n")}
</body></html>
`;
}
