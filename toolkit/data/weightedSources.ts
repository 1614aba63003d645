import { ConfigError } from "../errors.ts";
import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";
import { countOf } from "./dataReport.ts";
import { WeightedChoice, type ChoiceSettings } from "./weightedChoice.ts";

/** Something that gives items one by one and can go on where it stood. */
export interface ItemStream<Item> {
  /** @returns undefined when it is used up */
  next(): Promise<Item | undefined>;
  cursor(): JsonValue;
  restore(cursor: JsonValue): Promise<void>;
}

export interface WeightedSource<Item> {
  readonly name: string;
  readonly weight: number;
  readonly stream: ItemStream<Item>;
}

export interface WeightedSourcesOptions<Item> {
  readonly choice: ChoiceSettings;
  /** whether the others go on alone when a source ends */
  readonly whenSourceEnds: "continue" | "stop";
  /** what an item counts for in its source's share */
  readonly shareOf: (item: Item) => number;
  /** what an item adds to the sizes that are counted */
  readonly sizeOf: (item: Item) => number;
  /** settings that a cursor has to agree with, beside names and weights */
  readonly identity: JsonValue;
}

/** Items of several sources, each with its share, and how many came from which. */
export class WeightedSources<Item> {
  readonly names: readonly string[];
  private readonly sources: readonly WeightedSource<Item>[];
  private readonly options: WeightedSourcesOptions<Item>;
  private readonly choice: WeightedChoice;
  private isOpen: boolean[];
  private itemCounts: number[];
  private sizes: number[];

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_MIXTURE_NAMES */
  constructor(sources: readonly WeightedSource<Item>[], options: WeightedSourcesOptions<Item>) {
    this.names = checkNames(sources);
    this.sources = sources;
    this.options = options;
    this.choice = new WeightedChoice(sources.map(({ weight }) => weight), options.choice);
    this.isOpen = sources.map(() => true);
    this.itemCounts = sources.map(() => 0);
    this.sizes = sources.map(() => 0);
  }

  /** The next item and the index of its source; undefined at the end. */
  async next(): Promise<{ readonly item: Item; readonly index: number } | undefined> {
    for (let index = this.choice.choose(this.isOpen); index >= 0; index = this.choice.choose(this.isOpen)) {
      const item = await this.sources[index].stream.next();
      if (item !== undefined) {
        this.choice.add(index, this.options.shareOf(item));
        this.itemCounts[index] += 1;
        this.sizes[index] += this.options.sizeOf(item);
        return { item, index };
      }
      if (this.options.whenSourceEnds === "stop") this.isOpen.fill(false);
      this.isOpen[index] = false;
    }
    return undefined;
  }

  /** Items and their sizes that a source gave so far. */
  given(index: number): { readonly items: number; readonly size: number } {
    return { items: this.itemCounts[index], size: this.sizes[index] };
  }

  cursor(): JsonValue {
    return { mixture: this.identity(), choice: this.choice.state(), sources: this.sources.map(({ stream }, i) =>
      ({ cursor: stream.cursor(), isOpen: this.isOpen[i], items: this.itemCounts[i], size: this.sizes[i] })) };
  }

  /** @throws DataError E_DATA_CURSOR */
  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.mixture !== this.identity()) refuseCursor("the cursor was taken from another mixture");
    if (!Array.isArray(fields.sources) || fields.sources.length !== this.sources.length) refuseCursor("the cursor belongs to a mixture of other sources");
    const states = (fields.sources as JsonValue[]).map((state) => cursorFields(state));
    this.choice.restore(fields.choice);
    this.isOpen = states.map(({ isOpen }) => isOpen === true);
    this.itemCounts = states.map((state) => countOf(state, "items"));
    this.sizes = states.map((state) => countOf(state, "size"));
    for (const [i, { cursor: own }] of states.entries()) await this.sources[i].stream.restore(own);
  }

  private identity(): string {
    return JSON.stringify([this.sources.map(({ name, weight }) => [name, weight]), this.options.identity]);
  }
}

/** @throws ConfigError E_MIXTURE_NAMES when two sources have one name */
function checkNames(sources: readonly { readonly name: string }[]): readonly string[] {
  const names = sources.map(({ name }) => name);
  if (new Set(names).size === names.length) return names;
  throw new ConfigError({ code: "E_MIXTURE_NAMES", what: `two sources of the mixture have one name: ${names.join(", ")}`, why: "reports tell them apart by it", fix: "name each source differently" });
}
