import { layerAxis } from "./axes.ts";
import { Figure } from "./figure.ts";
import { categoryColor } from "./palette.ts";
import type { ScatterTrace } from "./plotlyTypes.ts";

export interface RouterEntropyRow {
  readonly layer: number;
  /** mean entropy of one token's router probabilities / ln E, 0 … 1 */
  readonly tokenEntropy: number;
  /** entropy of the load over the experts / ln E, 0 … 1 */
  readonly loadEntropy: number;
}

/** How undecided the router is about a token (token entropy) and how evenly it uses the experts (load entropy), by layer.
 *  A good router is low in the first and high in the second.
 *  @param rows one a layer */
export function routerEntropy(rows: readonly RouterEntropyRow[], options: { title?: string } = {}): Figure {
  const layers = rows.map((row) => String(row.layer));
  const line = (name: string, y: number[], color: string): ScatterTrace => ({
    type: "scatter", mode: "lines+markers", name, x: layers, y, line: { color, width: 2 }, marker: { color, size: 9 },
    hovertemplate: "%{y:.3f}",
  });
  return new Figure({
    data: [
      line("load entropy", rows.map((row) => row.loadEntropy), categoryColor(0)),
      line("token entropy", rows.map((row) => row.tokenEntropy), categoryColor(5)),
    ],
    layout: {
      title: { text: options.title ?? "Router entropy" }, height: 340, hovermode: "x unified", showlegend: true,
      xaxis: layerAxis(),
      yaxis: { title: { text: "entropy / ln E (1 = uniform)" }, range: [0, 1.05], dtick: 0.25 },
    },
  });
}
