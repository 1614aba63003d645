import { escapeHtml } from "../plot/escapeHtml.ts";
import type { RunRow } from "./compareRuns.ts";

interface Column {
  readonly title: string;
  /** what the number means, for the pointer */
  readonly meaning: string;
  readonly cell: (row: RunRow) => string;
}

const nats = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : "–");
const count = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const millions = (value: number): string => `${(value / 1e6).toFixed(2)} M`;

const columns: readonly Column[] = [
  { title: "run", meaning: "its folder", cell: ({ name }) => name },
  { title: "parameters", meaning: "all weights", cell: ({ totalParameters }) => millions(totalParameters) },
  { title: "active", meaning: "weights that one token uses", cell: ({ activeParameters }) => millions(activeParameters) },
  { title: "steps", meaning: "finished steps", cell: ({ steps }) => count(steps) },
  { title: "tokens", meaning: "training tokens", cell: ({ tokens }) => count(tokens) },
  { title: "FLOPs", meaning: "training FLOPs by formula", cell: ({ flops }) => flops.toExponential(2) },
  { title: "seconds", meaning: "in training steps", cell: ({ seconds }) => seconds.toFixed(1) },
  { title: "tokens/s", meaning: "over the whole run", cell: ({ tokensPerSecond }) => (Number.isFinite(tokensPerSecond) ? count(tokensPerSecond) : "–") },
  { title: "training loss", meaning: "nats a token, mean over the last 20 steps", cell: ({ trainLossNats }) => nats(trainLossNats) },
  { title: "best validation", meaning: "lowest validation loss, nats a token", cell: ({ bestValidationLossNats }) => nats(bestValidationLossNats) },
  { title: "last validation", meaning: "last validation loss, nats a token", cell: ({ lastValidationLossNats }) => nats(lastValidationLossNats) },
  { title: "MaxVio", meaning: "(max count − mean) / mean, mean over layers and the last 20 steps", cell: ({ maxVio }) => nats(maxVio) },
  { title: "events", meaning: "what the monitor found, roll-backs, changed settings", cell: ({ events }) => String(events) },
];

/** The rows as a table, a line a run, with a column for each setting in which they differ. */
export function runTable(rows: readonly RunRow[]): { text: string; html: string } {
  const settings = Object.keys(rows[0]?.settings ?? {}).map((name): Column => ({ title: name, meaning: "a setting in which the runs differ", cell: (row) => row.settings[name] }));
  const all = [...columns, ...settings], table = rows.map((row) => all.map(({ cell }) => cell(row)));
  const lines = [all.map(({ title }) => title), ...table];
  const widths = all.map((_, index) => Math.max(...lines.map((line) => line[index].length)));
  const text = lines.map((line) => line.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join("  ").trimEnd()).join("\n");
  return { text, html: htmlTable(all, table) };
}

function htmlTable(all: readonly Column[], table: readonly (readonly string[])[]): string {
  const style = (index: number): string => `text-align:${index === 0 ? "left" : "right"};padding:3px 14px 3px 0;background:none`;
  const head = all.map(({ title, meaning }, index) => `<th title="${escapeHtml(meaning)}" style="${style(index)};font-weight:600">${escapeHtml(title)}</th>`).join("");
  const body = table.map((row) => `<tr style="background:none">${row.map((cell, index) => `<td style="${style(index)}">${escapeHtml(cell)}</td>`).join("")}</tr>`).join("");
  return `<table style="border-collapse:collapse;font:13px/1.5 Inter,'Segoe UI','Helvetica Neue',system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">`
    + `<thead><tr style="background:none;border-bottom:1px solid rgba(125,135,148,0.5)">${head}</tr></thead><tbody>${body}</tbody></table>`;
}
