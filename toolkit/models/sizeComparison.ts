import type { TransformerConfig } from "./config.ts";
import { denseTwin, modelSize, type ModelSize } from "./count.ts";

/** What a notebook calls to show a value; plain, so that models need no plotting. */
const displaySymbol: unique symbol = Symbol.for("Jupyter.display");

interface Line {
  readonly title: string;
  readonly unit: "" | "B";
  readonly value: (size: ModelSize) => number;
}

const lines: readonly Line[] = [
  { title: "parameters", unit: "", value: (size) => size.totalParameters },
  { title: "active parameters", unit: "", value: (size) => size.activeParameters },
  { title: "forward FLOPs a token", unit: "", value: (size) => size.forwardFlopsPerToken },
  { title: "training FLOPs a token", unit: "", value: (size) => size.trainingFlopsPerToken },
  { title: "weights", unit: "B", value: (size) => size.weightBytes },
  { title: "gradients", unit: "B", value: (size) => size.gradientBytes },
  { title: "AdamW moments", unit: "B", value: (size) => size.momentBytes },
  { title: "activations a token, estimated", unit: "B", value: (size) => size.activationBytesPerToken },
  { title: "key/value cache a token", unit: "B", value: (size) => size.kvCacheBytesPerToken },
  { title: "key/value cache of a full context", unit: "B", value: (size) => size.kvCacheBytes },
  { title: "read to decode a token", unit: "B", value: (size) => size.decodeBytesPerToken },
];

/** A model's size and cost beside those of its FLOP-matched dense twin; a table in a notebook. */
export class SizeComparison {
  readonly config: TransformerConfig;
  readonly twin: TransformerConfig;
  readonly size: ModelSize;
  readonly twinSize: ModelSize;

  constructor(config: TransformerConfig) {
    this.config = config;
    this.twin = denseTwin(config);
    this.size = modelSize(config);
    this.twinSize = modelSize(this.twin);
  }

  toJSON(): { size: ModelSize; twinSize: ModelSize; twin: TransformerConfig } {
    return { size: this.size, twinSize: this.twinSize, twin: this.twin };
  }

  /** The table in plain text. */
  toString(): string {
    const table = [this.head(), ...this.rows()];
    const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
    return table.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ")).join("\n");
  }

  [displaySymbol](): Record<string, string> {
    return { "text/html": this.toHtml(), "text/plain": this.toString() };
  }

  private head(): string[] {
    const { numExperts, expertsPerToken } = this.config.moe;
    return ["", `${expertsPerToken} of ${numExperts} experts`, `dense, hidden width ${this.twin.denseWidth}`, "ratio"];
  }

  private rows(): string[][] {
    return lines.map(({ title, unit, value }) => {
      const [model, twin] = [value(this.size), value(this.twinSize)];
      return [title, `${short(model)}${unit}`, `${short(twin)}${unit}`, (model / twin).toFixed(2)];
    });
  }

  private toHtml(): string {
    const cellStyle = (column: number): string => `text-align:${column === 0 ? "left" : "right"};padding:3px 14px 3px 0;background:none`;
    const cells = (row: readonly string[], tag: "th" | "td"): string => row.map((cell, column) => `<${tag} style="${cellStyle(column)}">${cell}</${tag}>`).join("");
    const body = this.rows().map((row) => `<tr style="background:none">${cells(row, "td")}</tr>`).join("");
    return `<table style="border-collapse:collapse;font:13px/1.5 Inter,'Segoe UI','Helvetica Neue',system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">`
      + `<thead><tr style="background:none;border-bottom:1px solid rgba(125,135,148,0.5)">${cells(this.head(), "th")}</tr></thead><tbody>${body}</tbody></table>`;
  }
}

/** Three digits with the prefix of a thousand: 46.7 G. */
function short(value: number): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  const step = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${Number((value / 1000 ** step).toPrecision(3))} ${prefixes[step]}`;
}

/** Sets a model beside the dense one of the same FLOPs. */
export function compareWithDenseTwin(config: TransformerConfig): SizeComparison {
  return new SizeComparison(config);
}
