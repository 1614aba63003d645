/** The part of the Plotly figure schema that our figures use; plotly.com/javascript/reference has the meanings. */

/** One cell of a data column; Plotly leaves a gap for null. */
export type Datum = number | string | null;

export interface PlotlyFont {
  readonly family?: string;
  readonly size?: number;
  readonly color?: string | readonly string[];
}

export interface PlotlyMarker {
  readonly color?: string | readonly string[];
  readonly size?: number;
  readonly opacity?: number;
  readonly line?: { readonly width: number; readonly color?: string };
}

interface TraceCommon {
  readonly name?: string;
  readonly showlegend?: boolean;
  readonly legendgroup?: string;
  readonly hovertemplate?: string;
  readonly hoverinfo?: string;
  readonly customdata?: readonly unknown[];
  readonly xaxis?: string;
  readonly yaxis?: string;
}

export interface ScatterTrace extends TraceCommon {
  readonly type: "scatter";
  readonly mode: "lines" | "markers" | "lines+markers";
  readonly x: readonly Datum[];
  readonly y: readonly Datum[];
  readonly line?: { readonly color?: string; readonly width?: number; readonly dash?: "solid" | "dash" | "dot" };
  readonly marker?: PlotlyMarker;
  readonly cliponaxis?: boolean;
}

export interface BarTrace extends TraceCommon {
  readonly type: "bar";
  readonly x: readonly Datum[];
  readonly y: readonly Datum[];
  readonly orientation?: "v" | "h";
  readonly base?: readonly number[];
  readonly width?: number;
  readonly marker?: PlotlyMarker;
  readonly text?: readonly string[];
  readonly textposition?: "inside" | "outside" | "auto" | "none";
  readonly insidetextanchor?: "start" | "middle" | "end";
  readonly textfont?: PlotlyFont;
  readonly textangle?: number;
  readonly constraintext?: "inside" | "outside" | "both" | "none";
  readonly cliponaxis?: boolean;
}

export type ColorScale = readonly (readonly [position: number, color: string])[];

export interface HeatmapTrace extends TraceCommon {
  readonly type: "heatmap";
  readonly x: readonly Datum[];
  readonly y: readonly Datum[];
  /** rows by y, columns by x */
  readonly z: readonly (readonly (number | null)[])[];
  readonly zmin?: number;
  readonly zmax?: number;
  readonly colorscale?: ColorScale;
  readonly xgap?: number;
  readonly ygap?: number;
  readonly texttemplate?: string;
  readonly textfont?: PlotlyFont;
  readonly colorbar?: {
    readonly title?: { readonly text: string; readonly side?: "top" | "right" };
    readonly thickness?: number;
    readonly outlinewidth?: number;
    readonly ticksuffix?: string;
    readonly x?: number;
    readonly len?: number;
  };
}

export type Trace = ScatterTrace | BarTrace | HeatmapTrace;

export interface Axis {
  readonly title?: { readonly text: string };
  readonly type?: "linear" | "log" | "category";
  readonly range?: readonly [number, number];
  readonly autorange?: boolean | "reversed";
  readonly rangemode?: "normal" | "tozero";
  readonly domain?: readonly [number, number];
  readonly anchor?: string;
  readonly visible?: boolean;
  readonly fixedrange?: boolean;
  readonly showgrid?: boolean;
  readonly zeroline?: boolean;
  readonly tick0?: number;
  readonly dtick?: number | string;
  readonly tickformat?: string;
  readonly exponentformat?: "none" | "SI" | "power";
}

export interface Shape {
  readonly type: "line" | "rect";
  readonly xref: string;
  readonly yref: string;
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
  readonly layer?: "above" | "below";
  readonly line?: { readonly color?: string; readonly width?: number; readonly dash?: "solid" | "dash" | "dot" };
}

export interface Annotation {
  readonly text: string;
  readonly xref: string;
  readonly yref: string;
  readonly x: number;
  readonly y: number;
  readonly xanchor?: "left" | "center" | "right";
  readonly yanchor?: "top" | "middle" | "bottom";
  readonly showarrow: false;
  readonly font?: PlotlyFont;
}

export interface Layout {
  readonly title?: { readonly text: string };
  readonly height?: number;
  readonly barmode?: "group" | "stack" | "overlay";
  readonly bargap?: number;
  readonly hovermode?: "closest" | "x unified" | "x";
  readonly showlegend?: boolean;
  readonly legend?: { readonly y?: number; readonly yanchor?: "top" | "bottom" };
  readonly margin?: { readonly l?: number; readonly r?: number; readonly t?: number; readonly b?: number };
  readonly shapes?: readonly Shape[];
  readonly annotations?: readonly Annotation[];
  readonly template?: object;
  readonly [axis: `xaxis${string}` | `yaxis${string}`]: Axis;
}
