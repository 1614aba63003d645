/** Escapes text for HTML content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

/** Colours follow the page: JupyterLab's and VS Code's variables where there are any, else what the page's text has.
 *  Inline, because nbconvert keeps style attributes and GitHub needs none of them to show a plain table. */
const LINE = "var(--jp-border-color2, var(--vscode-panel-border, rgba(125,135,148,0.45)))";
const SOFT = "var(--jp-content-font-color2, var(--vscode-descriptionForeground, inherit))";

/** Style attributes of the HTML that the kernel makes. */
export const STYLES = {
  table: "border-collapse:collapse;color:inherit;background:none;margin:0;font-size:13px;line-height:1.5;font-variant-numeric:tabular-nums",
  headRow: `background:none;border-bottom:1px solid ${LINE}`,
  row: "background:none;border:0",
  note: `color:${SOFT};opacity:0.8;font-size:12px;padding:2px 0`,
  link: "color:var(--jp-content-link-color, inherit)",
  soft: `color:${SOFT};opacity:0.75`,
} as const;

/** Style of one table cell. */
export function cellStyle(align: "left" | "right", isLabel = false): string {
  return `text-align:${align};padding:2px 14px 2px 0;background:none;border:0;white-space:nowrap${isLabel ? `;font-weight:normal;${STYLES.soft}` : ""}`;
}
