import { expertLoad } from "../plot/expertLoad.ts";
import type { Figure } from "../plot/figure.ts";
import { loadBalance } from "../plot/loadBalance.ts";
import { type Displayable, displaySymbol, type MimeBundle } from "../plot/notebook.ts";
import { routerEntropy } from "../plot/routerEntropy.ts";
import type { LayerRouting, RoutingSummary } from "./routingStats.ts";

interface Column {
  readonly title: string;
  /** what the number means, for the pointer */
  readonly meaning: string;
  readonly cell: (layer: LayerRouting) => string;
  readonly mean: (summary: RoutingSummary) => string;
}

const columns: readonly Column[] = [
  { title: "layer", meaning: "0 is next to the embedding", cell: (layer) => String(layer.layer), mean: () => "mean" },
  {
    title: "MaxVio", meaning: "(max count − mean) / mean; 0 is balanced",
    cell: (layer) => layer.maxVio.toFixed(3), mean: ({ mean }) => mean.maxVio.toFixed(3),
  },
  {
    title: "efficiency", meaning: "mean count / max count; 1 is balanced",
    cell: (layer) => layer.loadBalancingEfficiency.toFixed(3), mean: ({ mean }) => mean.loadBalancingEfficiency.toFixed(3),
  },
  {
    title: "load CV", meaning: "standard deviation of the counts / their mean; 0 is balanced",
    cell: (layer) => layer.loadCv.toFixed(3), mean: ({ mean }) => mean.loadCv.toFixed(3),
  },
  {
    title: "load entropy", meaning: "entropy of the load / ln E; 1 is balanced",
    cell: (layer) => layer.loadEntropy.toFixed(3), mean: ({ mean }) => mean.loadEntropy.toFixed(3),
  },
  {
    title: "token entropy", meaning: "mean entropy of a token's router probabilities / ln E; 1 is undecided",
    cell: (layer) => layer.tokenEntropy.toFixed(3), mean: ({ mean }) => mean.tokenEntropy.toFixed(3),
  },
  {
    title: "dead experts", meaning: "experts that got no token; the last row counts them in all layers",
    cell: (layer) => layer.deadExperts.join(", ") || "none", mean: ({ numDeadExperts, numExperts, layers }) => `${numDeadExperts} of ${numExperts * layers.length}`,
  },
];

/** How a model's routers used their experts over a text: a table in a notebook, figures on request. */
export class RoutingReport implements Displayable {
  readonly summary: RoutingSummary;

  constructor(summary: RoutingSummary) {
    this.summary = summary;
  }

  figures(): { expertLoad: Figure; loadBalance: Figure; entropy: Figure } {
    const { layers } = this.summary;
    return {
      expertLoad: expertLoad(layers.flatMap(({ layer, load }) => load.map((share, expert) => ({ layer, expert, share })))),
      loadBalance: loadBalance(layers),
      entropy: routerEntropy(layers),
    };
  }

  toJSON(): RoutingSummary {
    return this.summary;
  }

  /** The table in plain text. */
  toString(): string {
    const table = [columns.map((column) => column.title), ...this.rows()];
    const widths = columns.map((_, index) => Math.max(...table.map((row) => row[index].length)));
    const lines = table.map((row) => row.map((cell, index) => cell.padStart(widths[index])).join("  "));
    return [this.caption(), ...lines].join("\n");
  }

  [displaySymbol](): MimeBundle {
    return { "text/html": this.toHtml(), "text/plain": this.toString() };
  }

  /** One row a layer, then the means. */
  private rows(): string[][] {
    return [
      ...this.summary.layers.map((layer) => columns.map((column) => column.cell(layer))),
      columns.map((column) => column.mean(this.summary)),
    ];
  }

  private caption(): string {
    const { layers, numExperts, expertsPerToken } = this.summary;
    const numTokens = layers[0]?.numTokens ?? 0;
    return `Routing of ${numTokens.toLocaleString("en-US")} tokens: ${numExperts} experts, ${expertsPerToken} per token`;
  }

  private toHtml(): string {
    const cellStyle = "text-align:right;padding:3px 14px 3px 0;background:none";
    const head = columns.map(({ title, meaning }) => `<th title="${meaning}" style="${cellStyle};font-weight:600">${title}</th>`).join("");
    const rows = this.rows();
    const body = rows.map((row, index) => {
      const isMean = index === rows.length - 1;
      const rowStyle = `background:none${isMean ? ";font-weight:600;border-top:1px solid rgba(125,135,148,0.5)" : ""}`;
      return `<tr style="${rowStyle}">${row.map((cell) => `<td style="${cellStyle}">${cell}</td>`).join("")}</tr>`;
    }).join("");
    return `<table style="border-collapse:collapse;font:13px/1.5 Inter,'Segoe UI','Helvetica Neue',system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">`
      + `<caption style="caption-side:top;text-align:left;padding-bottom:6px;color:inherit">${this.caption()}</caption>`
      + `<thead><tr style="background:none;border-bottom:1px solid rgba(125,135,148,0.5)">${head}</tr></thead><tbody>${body}</tbody></table>`;
  }
}
