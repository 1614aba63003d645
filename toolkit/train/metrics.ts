import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync } from "node:fs";
import { FileFormatError } from "../errors.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";
import type { Finding } from "./gradientMonitor.ts";

/** One line of metrics.jsonl. */
export type MetricsRecord = StepRecord | EvaluationRecord | EventRecord;

/** How the tokens of one step spread over the experts of one layer, beside their load. */
export interface RouterMetrics {
  readonly layer: number;
  /** (max count − mean count) / mean count (arXiv:2408.15664) */
  readonly maxVio: number;
  /** mean entropy of a token's router probabilities / ln E; only in every routerEntropyEvery-th step */
  readonly tokenEntropy?: number;
  /** choices that full experts dropped over all choices; left out where capacity is not limited */
  readonly dropRate?: number;
}

export interface StepRecord {
  readonly kind: "step";
  readonly step: number;
  /** training tokens so far, padding left out */
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
  /** balance loss within each row, where the model has it, unweighted */
  readonly sequenceBalanceLoss?: number;
  /** loss of the routers' own, where they have one, with its weight */
  readonly routerOwnLoss?: number;
  readonly learningRate: number;
  /** of parameter groups with their own: pattern → learning rate */
  readonly groupLearningRates?: Readonly<Record<string, number>>;
  /** global L2 norm before clipping */
  readonly gradientNorm: number;
  /** L2 norm of each weight's gradient; only in steps that monitor.gradientNormsEvery asks for */
  readonly gradientNorms?: Readonly<Record<string, number>>;
  readonly tokensPerSecond: number;
  /** share of the step's choices that each expert got, a row for each layer with a router, [L][E]; a row sums to 1 */
  readonly expertLoad: readonly (readonly number[])[];
  /** mean over layers of their maxVio */
  readonly maxVio: number;
  /** in the order of expertLoad's rows */
  readonly routers: readonly RouterMetrics[];
}

export interface EvaluationRecord {
  readonly kind: "evaluation";
  readonly step: number;
  readonly tokens: number;
  readonly flops: number;
  readonly seconds: number;
  /** of the first validation set */
  readonly validationLossNats: number;
  readonly validationTokens: number;
  /** of each set, where there are several */
  readonly sets?: Readonly<Record<string, { readonly lossNats: number; readonly tokens: number }>>;
}

/** Something out of the ordinary: what the monitor found, a roll-back, changed settings, the end before the last step. */
export interface EventRecord extends Omit<Finding, "event" | "action" | "value"> {
  readonly kind: "event";
  /** the step in which it happened; a step that was skipped or undone has a number too */
  readonly step: number;
  readonly tokens: number;
  readonly event: Finding["event"] | "recipeChanged" | "checkpointSkipped" | "earlyStop" | "dataEnded";
  readonly action?: Finding["action"];
  readonly value?: number | null;
  /** after a roll-back: the step that training goes on from; records of later steps before this line are undone */
  readonly toStep?: number;
}

/** Reads metrics.jsonl; a last line cut off by a crash is left out.
 *  @throws FileFormatError E_METRICS_CORRUPT naming file and line */
export function readMetrics(path: string): MetricsRecord[] {
  return wholeLines(path).map((line, index) => {
    try {
      return JSON.parse(line) as MetricsRecord;
    } catch (error) {
      throw new FileFormatError({ code: "E_METRICS_CORRUPT", what: `${path}:${index + 1} is not JSON`, why: "each line holds one record", fix: "delete that line", cause: error });
    }
  });
}

/** The records that led to the weights: those of steps that a roll-back undid are left out. Events stay. */
export function withoutUndone(records: readonly MetricsRecord[]): MetricsRecord[] {
  const kept: MetricsRecord[] = [];
  for (const record of records) {
    if (record.kind === "event" && record.toStep !== undefined) {
      const { toStep } = record, stays = kept.filter(({ kind, step }) => kind === "event" || step <= toStep);
      kept.splice(0, kept.length, ...stays);
    }
    kept.push(record);
  }
  return kept;
}

/** A whole line ends in a newline, so the last piece is empty or cut off. */
function wholeLines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

/** Appends to metrics.jsonl. */
export class MetricsLog {
  private readonly path: string;
  private count: number;

  /** @param resume where the run goes on: the lines that were there with the checkpoint stay, and what a crashed run wrote
   *  beyond them is dropped. Without `lines`, records up to `step` stay. */
  constructor(path: string, resume?: { readonly step: number; readonly lines?: number }) {
    this.path = path;
    const lines = resume && existsSync(path) ? wholeLines(path) : [];
    const kept = resume?.lines === undefined ? lines.filter((line) => (JSON.parse(line) as MetricsRecord).step <= (resume?.step ?? 0)) : lines.slice(0, resume.lines);
    if (resume?.lines !== undefined && kept.length < resume.lines) console.warn(`${path} has ${kept.length} lines and had ${resume.lines} when the checkpoint was written: records are missing.`);
    this.count = kept.length;
    writeFileWhole(path, kept.map((line) => `${line}\n`).join(""));
  }

  /** Records so far. */
  get lines(): number {
    return this.count;
  }

  append(record: MetricsRecord): void {
    appendFileSync(this.path, `${JSON.stringify(record)}\n`);
    this.count += 1;
  }

  /** Makes sure that a power cut can't take what was written: a checkpoint counts on it. */
  sync(): void {
    const file = openSync(this.path, "r+");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}
