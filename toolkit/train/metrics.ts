import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { FileFormatError } from "../errors.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";

/** One line of metrics.jsonl. */
export type MetricsRecord =
  | {
      readonly kind: "step";
      readonly step: number;
      /** training tokens so far */
      readonly tokens: number;
      /** training FLOPs so far, by formula (models/count.ts) */
      readonly flops: number;
      /** seconds of training so far, evaluations and checkpoints left out */
      readonly seconds: number;
      /** cross-entropy of the batch, nats a token */
      readonly lossNats: number;
      /** balance loss and z-loss, means over layers, unweighted */
      readonly balanceLoss: number;
      readonly zLoss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      readonly tokensPerSecond: number;
      /** share of the batch's assignments that each expert got, [L][E]; a row sums to 1 */
      readonly expertLoad: readonly (readonly number[])[];
      /** (max count − mean count) / mean count, mean over layers (arXiv:2408.15664) */
      readonly maxVio: number;
    }
  | { readonly kind: "evaluation"; readonly step: number; readonly tokens: number; readonly seconds: number; readonly validationLossNats: number; readonly validationTokens: number };

export type StepRecord = Extract<MetricsRecord, { kind: "step" }>;
export type EvaluationRecord = Extract<MetricsRecord, { kind: "evaluation" }>;

/** Reads metrics.jsonl; a last line cut off by a crash is left out.
 *  @throws FileFormatError E_METRICS_CORRUPT naming file and line */
export function readMetrics(path: string): MetricsRecord[] {
  const lines = readFileSync(path, "utf8").split("\n");
  const records: MetricsRecord[] = [];
  for (const [index, line] of lines.entries()) {
    // A whole line ends in a newline, so the last piece is empty or cut off.
    if (index === lines.length - 1 || line === "") continue;
    try {
      records.push(JSON.parse(line) as MetricsRecord);
    } catch (error) {
      throw new FileFormatError({ code: "E_METRICS_CORRUPT", what: `${path}:${index + 1} is not JSON`, why: "each line holds one record", fix: "delete that line", cause: error });
    }
  }
  return records;
}

/** Appends to metrics.jsonl. */
export class MetricsLog {
  private readonly path: string;

  /** @param resumeAfterStep keeps the records up to this step and drops what a crashed run wrote beyond it */
  constructor(path: string, resumeAfterStep = 0) {
    this.path = path;
    const kept = resumeAfterStep > 0 && existsSync(path) ? readMetrics(path).filter((record) => record.step <= resumeAfterStep) : [];
    writeFileWhole(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(""));
  }

  append(record: MetricsRecord): void {
    appendFileSync(this.path, `${JSON.stringify(record)}\n`);
  }
}
