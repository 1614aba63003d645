import { categoryColors } from "./palette.ts";

/** Greys that are readable on white and on black alike: a front end that draws the figure JSON itself doesn't say which
 *  it has. Our own HTML replaces them by the page's, see drawScript.ts. */
export const neutralInk = "#7d8794";
const neutralGrid = "rgba(125,135,148,0.22)";

/** The look of all figures: a Plotly template, so that anything set in a figure's own layout wins. */
export const houseTemplate = {
  layout: {
    colorway: categoryColors.slice(0, 8),
    font: { family: "Inter, 'Segoe UI', 'Helvetica Neue', system-ui, sans-serif", size: 13, color: neutralInk },
    title: { x: 0, xref: "paper", xanchor: "left", y: 1, yref: "container", yanchor: "top", pad: { t: 14 }, font: { size: 16 } },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 64, r: 24, t: 76, b: 56 },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
    hoverlabel: { bgcolor: "#1f2933", bordercolor: "#1f2933", align: "left", font: { color: "#ffffff", size: 13 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: neutralInk, activecolor: "#0072b2" },
    xaxis: { automargin: true, gridcolor: neutralGrid, linecolor: neutralInk, zerolinecolor: neutralGrid, ticks: "", title: { standoff: 10 } },
    yaxis: { automargin: true, gridcolor: neutralGrid, linecolor: neutralInk, zerolinecolor: neutralGrid, ticks: "", title: { standoff: 10 } },
  },
} as const;

/** Plotly's own settings, the same for every figure. */
export const houseConfig = {
  responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"],
  // plotly.js 4 offers to send the chart's data to a cloud service unless told not to.
  showSendToCloud: false, plotlyServerURL: "",
} as const;
