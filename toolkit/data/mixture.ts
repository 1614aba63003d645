import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";
import { countOf, type DataReport } from "./dataReport.ts";
import { openDataset, type DatasetOptions } from "./dataset.ts";
import { checkSettings, datasetSchema } from "./datasetSettings.ts";
import { sizeOf } from "./documentFields.ts";
import { iterateDocuments, type DataDocument, type DocumentSource } from "./documents.ts";
import { WeightedChoice, type ChoiceSettings } from "./weightedChoice.ts";

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
  private readonly options: Required<MixtureOptions>;
  private readonly choice: WeightedChoice;
  private isOpen: boolean[];
  private documents: number[];
  private characters: number[];

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
  constructor(sources: readonly MixtureSource[], { choice = { kind: "largestDeficit" }, unit = "documents", whenSourceEnds = "continue" }: MixtureOptions = {}) {
    this.names = checkNames(sources);
    this.sources = sources;
    this.options = { choice, unit, whenSourceEnds };
    this.choice = new WeightedChoice(sources.map(({ weight }) => weight), choice);
    this.isOpen = sources.map(() => true);
    this.documents = sources.map(() => 0);
    this.characters = sources.map(() => 0);
  }

  async next(): Promise<DataDocument | undefined> {
    for (let index = this.choice.choose(this.isOpen); index >= 0; index = this.choice.choose(this.isOpen)) {
      const document = await this.sources[index].documents.next();
      if (document) {
        const size = sizeOf(document);
        this.choice.add(index, this.options.unit === "documents" ? 1 : size);
        this.documents[index] += 1;
        this.characters[index] += size;
        return { ...document, domain: index };
      }
      if (this.options.whenSourceEnds === "stop") this.isOpen.fill(false);
      this.isOpen[index] = false;
    }
    return undefined;
  }

  cursor(): JsonValue {
    return { mixture: this.identity(), choice: this.choice.state(), sources: this.sources.map(({ documents }, i) =>
      ({ cursor: documents.cursor(), isOpen: this.isOpen[i], documents: this.documents[i], characters: this.characters[i] })) };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.mixture !== this.identity()) refuseCursor("the cursor was taken from another mixture");
    if (!Array.isArray(fields.sources) || fields.sources.length !== this.sources.length) refuseCursor("the cursor belongs to a mixture of other sources");
    const states = (fields.sources as JsonValue[]).map((state) => cursorFields(state));
    this.choice.restore(fields.choice);
    this.isOpen = states.map(({ isOpen }) => isOpen === true);
    this.documents = states.map((state) => countOf(state, "documents"));
    this.characters = states.map((state) => countOf(state, "characters"));
    for (const [i, { cursor: own }] of states.entries()) await this.sources[i].documents.restore(own);
  }

  report(): DataReport {
    const reports = this.sources.map(({ documents }, i) => ({ ...documents.report(), documents: this.documents[i], characters: this.characters[i] }));
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

  private identity(): string {
    return JSON.stringify([this.sources.map(({ name, weight }) => [name, weight]), this.options]);
  }
}

/** @throws ConfigError E_MIXTURE_NAMES when two sources have one name */
export function checkNames(sources: readonly { readonly name: string }[]): readonly string[] {
  const names = sources.map(({ name }) => name);
  if (new Set(names).size === names.length) return names;
  throw new ConfigError({ code: "E_MIXTURE_NAMES", what: `two sources of the mixture have one name: ${names.join(", ")}`, why: "reports tell them apart by it", fix: "name each source differently" });
}

function sumByName(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((each) => Object.entries(each))) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
