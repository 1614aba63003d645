import { numberText } from "./numberText.ts";
import type { BarTrace, Datum, HeatmapTrace, Layout, ScatterTrace, Trace } from "./plotlyTypes.ts";

const sparkLevels = "▁▂▃▄▅▆▇█";
const shadeLevels = " ░▒▓█";
const sparklineWidth = 48;
const barWidth = 32;
const heatmapWidth = 64;
const maxRows = 24;

function numbersOf(values: readonly Datum[]): number[] {
  return values.map((value) => (typeof value === "number" ? value : Number.NaN));
}

function finiteRange(values: readonly number[]): { low: number; high: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high };
}

/** Means of equal stretches, at most `width` of them; NaN where a stretch has no finite value. */
function shrink(values: readonly number[], width: number): number[] {
  const numStretches = Math.min(width, values.length);
  return Array.from({ length: numStretches }, (_, stretch) => {
    const start = Math.floor((stretch * values.length) / numStretches);
    const end = Math.floor(((stretch + 1) * values.length) / numStretches);
    const finite = values.slice(start, end).filter(Number.isFinite);
    return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value, 0) / finite.length;
  });
}

function level(levels: string, value: number, low: number, high: number): string {
  if (!Number.isFinite(value)) return " ";
  const share = high > low ? (value - low) / (high - low) : 1;
  const index = Math.round(Math.max(0, Math.min(1, share)) * (levels.length - 1));
  return levels.charAt(index);
}

/** One line of block characters, lowest value low, highest high.
 *  @param values non-finite ones leave a space */
export function sparkline(values: readonly number[], width = sparklineWidth): string {
  const points = shrink(values, width);
  const { low, high } = finiteRange(points);
  return points.map((value) => level(sparkLevels, value, low, high)).join("");
}

/** Labels are written for Plotly, which knows a few HTML tags. */
function plain(text: string): string {
  return text.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ").trim();
}

function scatterLines(trace: ScatterTrace, nameWidth: number): string[] {
  const values = numbersOf(trace.y);
  const finite = values.filter(Number.isFinite);
  const ends = `${numberText(finite.at(0) ?? Number.NaN)} → ${numberText(finite.at(-1) ?? Number.NaN)}`;
  return [`${plain(trace.name ?? "").padEnd(nameWidth)}  ${sparkline(values)}  ${ends}`];
}

function barLines(trace: BarTrace, nameWidth: number): string[] {
  const isHorizontal = trace.orientation === "h";
  const values = numbersOf(isHorizontal ? trace.x : trace.y);
  const labels = (isHorizontal ? trace.y : trace.x).map(String);
  const labelWidth = Math.max(...labels.map((label) => label.length), 0);
  const high = Math.max(finiteRange(values).high, 0);
  const lines = values.slice(0, maxRows).map((value, row) => {
    const blocks = high > 0 && Number.isFinite(value) ? Math.round((Math.max(0, value) / high) * barWidth) : 0;
    return `  ${labels[row].padStart(labelWidth)} ${"█".repeat(blocks).padEnd(barWidth)} ${numberText(value)}`;
  });
  if (values.length > maxRows) lines.push(`  … ${values.length - maxRows} more`);
  return trace.name ? [plain(trace.name).padEnd(nameWidth).trimEnd(), ...lines] : lines;
}

function heatmapLines(trace: HeatmapTrace): string[] {
  const rows = trace.z.map((row) => row.map((value) => value ?? Number.NaN));
  const { low, high } = finiteRange(rows.flat());
  const from = trace.zmin ?? low;
  const to = trace.zmax ?? high;
  const labels = trace.y.map(String);
  const labelWidth = Math.max(...labels.map((label) => label.length), 0);
  const repeat = Math.max(1, Math.min(4, Math.floor(heatmapWidth / Math.max(1, trace.x.length))));
  const lines = rows.slice(0, maxRows).map((row, index) => {
    const cells = shrink(row, heatmapWidth).map((value) => level(shadeLevels, value, from, to).repeat(repeat)).join("");
    return `  ${labels[index].padStart(labelWidth)} │${cells}│ ${numberText(finiteRange(row).low)} – ${numberText(finiteRange(row).high)}`;
  });
  if (rows.length > maxRows) lines.push(`  … ${rows.length - maxRows} more rows`);
  return lines;
}

function traceLines(trace: Trace, nameWidth: number): string[] {
  switch (trace.type) {
    case "scatter": return scatterLines(trace, nameWidth);
    case "bar": return barLines(trace, nameWidth);
    case "heatmap": return heatmapLines(trace);
  }
}

function axisText(axis: { readonly title?: { readonly text: string } } | undefined): string {
  return plain(axis?.title?.text ?? "");
}

/** The figure in block characters for a terminal: title, axes, then a sparkline, bars or shaded rows for each trace. */
export function renderText(data: readonly Trace[], layout: Layout): string {
  const axes = [axisText(layout.yaxis), axisText(layout.xaxis)].filter(Boolean).join(" over ");
  const nameWidth = Math.min(24, Math.max(...data.map((trace) => plain(trace.name ?? "").length), 0));
  const heading = [plain(layout.title?.text ?? ""), axes].filter(Boolean);
  return [...heading, ...data.flatMap((trace) => traceLines(trace, nameWidth))].map((line) => line.trimEnd()).join("\n");
}
