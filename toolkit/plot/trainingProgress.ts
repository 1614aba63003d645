import { expertAxis, layerAxis } from "./axes.ts";
import { type ExpertLoadRow, expertLoadHeatmap } from "./expertLoad.ts";
import { Figure } from "./figure.ts";
import { lineTrace } from "./lineChart.ts";
import type { Trace } from "./plotlyTypes.ts";

export interface LossPoint {
  readonly step: number;
  readonly lossNats: number;
}

export interface TrainingProgressRows {
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
  /** of the last steps; [] before there is any */
  readonly load: readonly ExpertLoadRow[];
}

function lossTrace(name: string, points: readonly LossPoint[], index: number, markers: boolean): Trace {
  return lineTrace({ name, x: points.map((point) => point.step), y: points.map((point) => point.lossNats), markers }, index);
}

/** A run at a glance, cheap enough to redraw while it trains: losses over steps beside the present expert load.
 *  @param options.totalSteps fixes the step axis, so that the curve grows into it */
export function trainingProgress(rows: TrainingProgressRows, options: { title?: string; totalSteps?: number } = {}): Figure {
  const numExperts = Math.max(0, ...rows.load.map((row) => row.expert + 1));
  const heatmap: Trace[] = rows.load.length === 0 ? [] : [{ ...expertLoadHeatmap(rows.load).trace, xaxis: "x2", yaxis: "y2" }];
  return new Figure({
    data: [lossTrace("training", rows.training, 0, false), lossTrace("validation", rows.validation, 5, true), ...heatmap],
    layout: {
      title: { text: options.title ?? "Training" }, height: 360, hovermode: "closest", showlegend: true,
      xaxis: {
        title: { text: "step" }, zeroline: false, domain: [0, 0.5],
        ...(options.totalSteps !== undefined && { range: [0, options.totalSteps] as const }),
      },
      yaxis: { title: { text: "loss (nats per token)" }, zeroline: false },
      xaxis2: { ...expertAxis(numExperts), domain: [0.6, 1], anchor: "y2" },
      yaxis2: { ...layerAxis(), anchor: "x2", autorange: "reversed" },
    },
  });
}
