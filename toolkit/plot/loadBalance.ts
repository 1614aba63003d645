import { layerAxis } from "./axes.ts";
import { Figure } from "./figure.ts";
import { categoryColor } from "./palette.ts";
import type { BarTrace } from "./plotlyTypes.ts";

export interface LoadBalanceRow {
  readonly layer: number;
  /** (max count − mean count) / mean count, ≥ 0 */
  readonly maxVio: number;
  /** mean count / max count, 0 … 1 */
  readonly loadBalancingEfficiency: number;
}

/** How far each layer is from balance: MaxVio (0 is balanced) beside load-balancing efficiency (1 is balanced).
 *  @param rows one a layer */
export function loadBalance(rows: readonly LoadBalanceRow[], options: { title?: string } = {}): Figure {
  const layers = rows.map((row) => String(row.layer));
  const bars = (name: string, y: number[], color: string, axes: { xaxis: string; yaxis: string }): BarTrace => ({
    type: "bar", name, x: layers, y, marker: { color }, showlegend: false, ...axes,
    hovertemplate: `layer %{x}<br>${name} %{y:.3f}<extra></extra>`,
    ...(rows.length <= 12 && { text: y.map((value) => value.toFixed(2)), textposition: "outside" as const, cliponaxis: false }),
  });
  return new Figure({
    data: [
      bars("MaxVio", rows.map((row) => row.maxVio), categoryColor(5), { xaxis: "x", yaxis: "y" }),
      bars("efficiency", rows.map((row) => row.loadBalancingEfficiency), categoryColor(0), { xaxis: "x2", yaxis: "y2" }),
    ],
    layout: {
      title: { text: options.title ?? "Load balance" }, height: 340, bargap: 0.35, margin: { t: 64 },
      xaxis: { ...layerAxis(), domain: [0, 0.42] },
      yaxis: { title: { text: "MaxVio (0 = balanced)" }, rangemode: "tozero" },
      xaxis2: { ...layerAxis(), domain: [0.58, 1], anchor: "y2" },
      yaxis2: { title: { text: "efficiency (1 = balanced)" }, range: [0, 1.08], anchor: "x2", dtick: 0.25 },
    },
  });
}
