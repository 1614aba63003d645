import { z } from "zod";
import type { JsonValue } from "./batchSource.ts";
import type { DataReport } from "./dataReport.ts";
import { openDataset, type DatasetOptions } from "./dataset.ts";
import { checkSettings, datasetSchema } from "./datasetSettings.ts";
import { sizeOf } from "./documentFields.ts";
import { iterateDocuments, type DataDocument, type DocumentSource } from "./documents.ts";
import type { ChoiceSettings } from "./weightedChoice.ts";
import { WeightedSources } from "./weightedSources.ts";

const mixtureSchema = z.strictObject({
  sources: z.array(z.strictObject({
    /** by which reports and analysis tell it apart */
    name: z.string().min(1),
    weight: z.number().positive(),
    data: datasetSchema,
  })).min(1),
  choice: z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("random"), seed: z.int().min(0) }), z.strictObject({ kind: z.literal("largestDeficit") })])
    .default({ kind: "largestDeficit" }),
  /** what the weights are shares of; with a random choice always documents */
  unit: z.enum(["documents", "characters"]).default("documents"),
  /** whether the others go on alone when a source ends; one with epochs: "endless" never does */
  whenSourceEnds: z.enum(["continue", "stop"]).default("continue"),
});
export type MixtureSettings = z.input<typeof mixtureSchema>;

/** Opens several datasets as one stream in which each has its share.
 *  @throws ConfigError E_DATA_SETTINGS, E_MIXTURE_NAMES, and what openDataset throws */
export async function openMixture(settings: MixtureSettings, options: DatasetOptions = {}): Promise<Mixture> {
  const { sources, ...rest } = checkSettings(mixtureSchema, settings, "mixture");
  const opened = await Promise.all(sources.map(async ({ name, weight, data }) => ({ name, weight, documents: await openDataset(data, options) })));
  return new Mixture(opened, rest);
}

export interface MixtureSource {
  readonly name: string;
  readonly weight: number;
  readonly documents: DocumentSource;
}

export interface MixtureOptions {
  readonly choice?: ChoiceSettings;
  readonly unit?: "documents" | "characters";
  readonly whenSourceEnds?: "continue" | "stop";
}

/** Documents of several sources by weight. A document's `domain` is the index of its source. For shares of tokens, and
 *  rows of one source each, mix rows instead (MixedRows). */
export class Mixture implements DocumentSource {
  readonly names: readonly string[];
  private readonly sources: readonly MixtureSource[];
  private readonly mixed: WeightedSources<DataDocument>;

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
  constructor(sources: readonly MixtureSource[], { choice = { kind: "largestDeficit" }, unit = "documents", whenSourceEnds = "continue" }: MixtureOptions = {}) {
    this.sources = sources;
    this.mixed = new WeightedSources(sources.map(({ name, weight, documents }) => ({ name, weight, stream: documents })), {
      choice, whenSourceEnds, shareOf: unit === "documents" ? () => 1 : sizeOf, sizeOf, identity: { choice, unit, whenSourceEnds },
    });
    this.names = this.mixed.names;
  }

  async next(): Promise<DataDocument | undefined> {
    const next = await this.mixed.next();
    return next && { ...next.item, domain: next.index };
  }

  cursor(): JsonValue {
    return this.mixed.cursor();
  }

  restore(cursor: JsonValue): Promise<void> {
    return this.mixed.restore(cursor);
  }

  report(): DataReport {
    const reports = this.sources.map(({ documents }, i) => {
      const { items, size } = this.mixed.given(i);
      return { ...documents.report(), documents: items, characters: size };
    });
    const sum = (count: (report: DataReport) => number) => reports.reduce((total, report) => total + count(report), 0);
    return {
      read: sum(({ read }) => read), kept: sum(({ kept }) => kept), duplicates: sum(({ duplicates }) => duplicates), epochs: Math.min(...reports.map(({ epochs }) => epochs)),
      bad: sumByName(reports.map(({ bad }) => bad)), filtered: sumByName(reports.map(({ filtered }) => filtered)),
      sources: Object.fromEntries(reports.map((report, i) => [this.names[i], report])),
    };
  }

  async close(): Promise<void> {
    for (const { documents } of this.sources) await documents.close();
  }

  [Symbol.asyncIterator](): AsyncGenerator<DataDocument> {
    return iterateDocuments(this);
  }
}

function sumByName(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((each) => Object.entries(each))) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
