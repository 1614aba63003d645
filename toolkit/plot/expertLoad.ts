import { expertAxis, layerAxis } from "./axes.ts";
import { Figure } from "./figure.ts";
import { categoryColor, divergingColors } from "./palette.ts";
import type { Annotation, BarTrace, ColorScale, HeatmapTrace, Shape } from "./plotlyTypes.ts";
import { neutralInk } from "./template.ts";

/** Share of one layer's (token, slot) assignments that went to one expert. */
export interface ExpertLoadRow {
  readonly layer: number;
  readonly expert: number;
  /** 0 … 1; the shares of a layer sum to 1 */
  readonly share: number;
}

export interface ExpertLoadOptions {
  readonly title?: string;
  /** heatmap: layers × experts. bars: a group for each expert, a bar for each layer, and a line at the balanced share */
  readonly kind?: "heatmap" | "bars";
}

/** Shares in % by layer and expert; an expert without a row has 0. */
interface LoadTable {
  readonly layers: readonly number[];
  readonly experts: readonly number[];
  readonly percent: readonly (readonly number[])[];
}

/** Cells are labelled up to this many experts: more text wouldn't fit. */
const maxLabelledExperts = 16;
/** Thicker rows only waste the screen, thinner ones can't be pointed at. */
const rowHeightPx = { few: 34, many: 18 };
/** The colour bar beside the rows needs this much. */
const minHeightPx = 150;

function tableOf(rows: readonly ExpertLoadRow[]): LoadTable {
  if (rows.length === 0) throw new RangeError("expertLoad got no rows, so there is nothing to draw. Fix: give a row for each layer and expert.");
  const layers = [...new Set(rows.map((row) => row.layer))].sort((a, b) => a - b);
  const numExperts = Math.max(...rows.map((row) => row.expert)) + 1;
  const percent = layers.map(() => new Array<number>(numExperts).fill(0));
  for (const row of rows) percent[layers.indexOf(row.layer)][row.expert] = 100 * row.share;
  return { layers, experts: Array.from({ length: numExperts }, (_, expert) => expert), percent };
}

/** Blue to orange with the neutral middle at the balanced share, wherever that lies between 0 and the maximum. */
function loadColorScale(balancedPercent: number, maxPercent: number): ColorScale {
  const middle = balancedPercent / maxPercent;
  return [
    [0, divergingColors.low], [middle * 0.5, divergingColors.belowMiddle], [middle, divergingColors.middle],
    [middle + (1 - middle) * 0.4, divergingColors.aboveMiddle], [1, divergingColors.high],
  ];
}

/** @returns the heatmap and the height in px that its rows want */
export function expertLoadHeatmap(rows: readonly ExpertLoadRow[]): { trace: HeatmapTrace; rowsHeightPx: number } {
  const { layers, experts, percent } = tableOf(rows);
  const balanced = 100 / experts.length;
  // At least twice the balanced share: a nearly balanced load must look so, however small its maximum.
  const maximum = Math.max(2 * balanced, ...percent.flat());
  const rowHeight = layers.length <= 12 ? rowHeightPx.few : rowHeightPx.many;
  return {
    rowsHeightPx: Math.max(minHeightPx, layers.length * rowHeight),
    trace: {
      type: "heatmap", x: experts, y: layers.map(String), z: percent, zmin: 0, zmax: maximum, colorscale: loadColorScale(balanced, maximum),
      xgap: 1.5, ygap: 1.5,
      ...(experts.length <= maxLabelledExperts && { texttemplate: "%{z:.1f}", textfont: { size: 12 } }),
      customdata: percent.map((cells) => cells.map((value) => value / balanced)),
      hovertemplate: "layer %{y}, expert %{x}<br>%{z:.2f} % of assignments<br>%{customdata:.2f} × balanced<extra></extra>",
      colorbar: { title: { text: "share", side: "top" }, thickness: 12, outlinewidth: 0, ticksuffix: " %" },
    },
  };
}

function loadBars(rows: readonly ExpertLoadRow[]): { data: BarTrace[]; shapes: Shape[]; annotations: Annotation[] } {
  const { layers, experts, percent } = tableOf(rows);
  const balanced = 100 / experts.length;
  return {
    data: layers.map((layer, index) => ({
      type: "bar", name: `layer ${layer}`, x: experts, y: percent[index], marker: { color: categoryColor(index) },
      hovertemplate: `layer ${layer}, expert %{x}<br>%{y:.2f} % of assignments<extra></extra>`,
    })),
    shapes: [{ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: balanced, y1: balanced, line: { color: neutralInk, width: 1.5, dash: "dash" } }],
    annotations: [{ text: `balanced: ${balanced.toFixed(1)} %`, xref: "paper", yref: "y", x: 1, y: balanced, xanchor: "right", yanchor: "bottom", showarrow: false, font: { size: 12 } }],
  };
}

/** How the assignments of each layer spread over the experts, against the balanced share 1/E.
 *  E is the highest expert number plus one: give experts without tokens a row with share 0.
 *  @throws RangeError without rows */
export function expertLoad(rows: readonly ExpertLoadRow[], options: ExpertLoadOptions = {}): Figure {
  const title = { text: options.title ?? "Expert load" };
  const numExperts = Math.max(0, ...rows.map((row) => row.expert + 1));
  const xaxis = expertAxis(numExperts);
  if (options.kind === "bars") {
    const { data, shapes, annotations } = loadBars(rows);
    return new Figure({
      data,
      layout: { title, height: 380, barmode: "group", showlegend: true, shapes, annotations, xaxis, yaxis: { title: { text: "share of assignments (%)" }, rangemode: "tozero" } },
    });
  }
  const { trace, rowsHeightPx } = expertLoadHeatmap(rows);
  return new Figure({
    data: [trace],
    layout: {
      title, height: rowsHeightPx + 120, xaxis, margin: { t: 56 },
      yaxis: { ...layerAxis(), autorange: "reversed" },
    },
  });
}
