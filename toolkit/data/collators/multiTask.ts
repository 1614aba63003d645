import { cursorFields, refuseCursor, type JsonValue } from "../batchSource.ts";
import { countOf } from "../dataReport.ts";
import { checkNames } from "../mixture.ts";
import { WeightedChoice, type ChoiceSettings } from "../weightedChoice.ts";
import { RowBatches, type Row, type RowBatchesOptions, type RowSource } from "./rows.ts";
import type { SequenceCounts } from "./sequences.ts";

export interface RowMixtureSource {
  readonly name: string;
  readonly weight: number;
  readonly rows: RowSource;
}

export interface MixedRowsOptions {
  /** largestDeficit unless given */
  readonly choice?: ChoiceSettings;
  /** what the index of its source is called in a row: its task or its domain */
  readonly label: "task" | "domain";
  /** whether the others go on alone when a source ends */
  readonly whenSourceEnds?: "continue" | "stop";
}

/** Rows of several sources by weight, each with its own collator. A row comes from one source; the weights are shares
 *  of rows. */
export class MixedRows implements RowSource {
  readonly names: readonly string[];
  private readonly sources: readonly RowMixtureSource[];
  private readonly options: Required<MixedRowsOptions>;
  private readonly choice: WeightedChoice;
  private isOpen: boolean[];
  private rowCounts: number[];

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
  constructor(sources: readonly RowMixtureSource[], { choice = { kind: "largestDeficit" }, label, whenSourceEnds = "continue" }: MixedRowsOptions) {
    this.names = checkNames(sources);
    this.sources = sources;
    this.options = { choice, label, whenSourceEnds };
    this.choice = new WeightedChoice(sources.map(({ weight }) => weight), choice);
    this.isOpen = sources.map(() => true);
    this.rowCounts = sources.map(() => 0);
  }

  async next(): Promise<Row | undefined> {
    for (let index = this.choice.choose(this.isOpen); index >= 0; index = this.choice.choose(this.isOpen)) {
      const row = await this.sources[index].rows.next();
      if (row) {
        this.choice.add(index, 1);
        this.rowCounts[index] += 1;
        return this.options.label === "task" ? { ...row, task: index } : { ...row, domain: index };
      }
      if (this.options.whenSourceEnds === "stop") this.isOpen.fill(false);
      this.isOpen[index] = false;
    }
    return undefined;
  }

  cursor(): JsonValue {
    return { mixture: this.identity(), choice: this.choice.state(), sources: this.sources.map(({ rows }, i) => ({ cursor: rows.cursor(), isOpen: this.isOpen[i], rows: this.rowCounts[i] })) };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.mixture !== this.identity()) refuseCursor("the cursor was taken from another mixture");
    if (!Array.isArray(fields.sources) || fields.sources.length !== this.sources.length) refuseCursor("the cursor belongs to a mixture of other sources");
    const states = (fields.sources as JsonValue[]).map((state) => cursorFields(state));
    this.choice.restore(fields.choice);
    this.isOpen = states.map(({ isOpen }) => isOpen === true);
    this.rowCounts = states.map((state) => countOf(state, "rows"));
    for (const [i, { cursor: own }] of states.entries()) await this.sources[i].rows.restore(own);
  }

  report(): SequenceCounts {
    const reports = this.sources.map(({ rows }) => rows.report());
    const dropped: Record<string, number> = {};
    for (const [reason, count] of reports.flatMap((report) => Object.entries(report.dropped))) dropped[reason] = (dropped[reason] ?? 0) + count;
    return { sequences: reports.reduce((sum, report) => sum + report.sequences, 0), truncated: reports.reduce((sum, report) => sum + report.truncated, 0), dropped };
  }

  /** What each source gave, by name. */
  reportBySource(): Readonly<Record<string, SequenceCounts & { readonly rows: number }>> {
    return Object.fromEntries(this.sources.map(({ name, rows }, i) => [name, { ...rows.report(), rows: this.rowCounts[i] }]));
  }

  async close(): Promise<void> {
    for (const { rows } of this.sources) await rows.close();
  }

  private identity(): string {
    return JSON.stringify([this.sources.map(({ name, weight }) => [name, weight]), this.options]);
  }
}

/** Batches of several tasks, each with its own data and collator; `tasks` of a batch holds the task of each row.
 *  @throws ConfigError E_BATCH_SHAPE, E_PAD_MULTIPLE, E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
export function multiTaskBatches(tasks: readonly RowMixtureSource[], { choice, whenSourceEnds, ...options }: RowBatchesOptions & Omit<MixedRowsOptions, "label">): RowBatches {
  return new RowBatches(new MixedRows(tasks, { choice, whenSourceEnds, label: "task" }), options);
}
