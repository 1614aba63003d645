import { Figure } from "./figure.ts";
import { numberText } from "./numberText.ts";
import { categoryColor } from "./palette.ts";
import type { ScatterTrace } from "./plotlyTypes.ts";

export interface LineSeries {
  readonly name: string;
  readonly x: ArrayLike<number>;
  /** as long as x; NaN leaves a gap */
  readonly y: ArrayLike<number>;
  /** dots on the points, for a series with few of them */
  readonly markers?: boolean;
  readonly dash?: "solid" | "dash" | "dot";
}

export interface LineChartOptions {
  readonly title?: string;
  /** with its unit, e.g. "tokens" */
  readonly xTitle?: string;
  /** with its unit, e.g. "loss (nats per token)" */
  readonly yTitle?: string;
  readonly xScale?: "linear" | "log";
  readonly yScale?: "linear" | "log";
  /** px */
  readonly height?: number;
}

/** One series as a Plotly trace; Plotly can't read NaN from JSON, so it becomes null.
 *  @param index picks the colour
 *  @throws RangeError when x and y differ in length */
export function lineTrace(series: LineSeries, index: number): ScatterTrace {
  if (series.x.length !== series.y.length) {
    throw new RangeError(`series "${series.name}" has ${series.x.length} x values and ${series.y.length} y values; `
      + "a point needs one of each. Fix: give both the same length.");
  }
  const finite = (values: ArrayLike<number>): (number | null)[] =>
    Array.from(values, (value) => (Number.isFinite(value) ? value : null));
  const color = categoryColor(index);
  return {
    type: "scatter", name: series.name, mode: series.markers ? "lines+markers" : "lines",
    x: finite(series.x), y: finite(series.y),
    line: { color, width: 2, dash: series.dash ?? "solid" },
    // A point on the edge of the plot, e.g. a run's last step, shows its whole dot.
    ...(series.markers && { marker: { color, size: 7 }, cliponaxis: false }),
  };
}

/** Lines over a shared axis, e.g. losses over steps. The name of each line stands in the legend with its last value.
 *  @throws RangeError when a series has x and y of different length */
export function lineChart(series: readonly LineSeries[], options: LineChartOptions = {}): Figure {
  return new Figure({
    data: series.map((one, index) => {
      const trace = lineTrace(one, index);
      const last = trace.y.findLast((value) => typeof value === "number");
      return { ...trace, name: typeof last === "number" ? `${one.name} · ${numberText(last)}` : one.name };
    }),
    layout: {
      ...(options.title !== undefined && { title: { text: options.title } }),
      height: options.height ?? 380,
      hovermode: "x unified",
      showlegend: true,
      xaxis: { title: { text: options.xTitle ?? "" }, type: options.xScale ?? "linear", zeroline: false },
      yaxis: { title: { text: options.yTitle ?? "" }, type: options.yScale ?? "linear", zeroline: false },
    },
  });
}
