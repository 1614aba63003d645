import type { JsonValue } from "../batchSource.ts";
import type { ChoiceSettings } from "../weightedChoice.ts";
import { WeightedSources } from "../weightedSources.ts";
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
  private readonly label: MixedRowsOptions["label"];
  private readonly mixed: WeightedSources<Row>;

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
  constructor(sources: readonly RowMixtureSource[], { choice = { kind: "largestDeficit" }, label, whenSourceEnds = "continue" }: MixedRowsOptions) {
    this.sources = sources;
    this.label = label;
    this.mixed = new WeightedSources(sources.map(({ name, weight, rows }) => ({ name, weight, stream: rows })), {
      choice, whenSourceEnds, shareOf: () => 1, sizeOf: () => 1, identity: { choice, label, whenSourceEnds },
    });
    this.names = this.mixed.names;
  }

  async next(): Promise<Row | undefined> {
    const next = await this.mixed.next();
    if (!next) return undefined;
    return this.label === "task" ? { ...next.item, task: next.index } : { ...next.item, domain: next.index };
  }

  cursor(): JsonValue {
    return this.mixed.cursor();
  }

  restore(cursor: JsonValue): Promise<void> {
    return this.mixed.restore(cursor);
  }

  report(): SequenceCounts {
    const reports = this.sources.map(({ rows }) => rows.report());
    const dropped: Record<string, number> = {};
    for (const [reason, count] of reports.flatMap((report) => Object.entries(report.dropped))) dropped[reason] = (dropped[reason] ?? 0) + count;
    return { sequences: reports.reduce((sum, report) => sum + report.sequences, 0), truncated: reports.reduce((sum, report) => sum + report.truncated, 0), dropped };
  }

  /** What each source gave, by name. */
  reportBySource(): Readonly<Record<string, SequenceCounts & { readonly rows: number }>> {
    return Object.fromEntries(this.sources.map(({ name, rows }, i) => [name, { ...rows.report(), rows: this.mixed.given(i).items }]));
  }

  async close(): Promise<void> {
    for (const { rows } of this.sources) await rows.close();
  }
}

/** Batches of several tasks, each with its own data and collator; `tasks` of a batch holds the task of each row.
 *  @throws ConfigError E_BATCH_SHAPE, E_PAD_MULTIPLE, E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
export function multiTaskBatches(tasks: readonly RowMixtureSource[], { choice, whenSourceEnds, ...options }: RowBatchesOptions & Omit<MixedRowsOptions, "label">): RowBatches {
  return new RowBatches(new MixedRows(tasks, { choice, whenSourceEnds, label: "task" }), options);
}
