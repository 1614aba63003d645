import { createHash } from "node:crypto";
import { RandomSource } from "../random.ts";
import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";
import { countOf, type DataReport } from "./dataReport.ts";
import { iterateDocuments, type DataDocument, type DocumentSource } from "./documents.ts";

export interface MemoryDocumentsOptions {
  /** how often the documents are gone through */
  readonly epochs?: number | "endless";
  /** another order in each epoch; as given without it */
  readonly shuffle?: { readonly seed: number };
}

/** Texts or records that are in memory already, as a stream of documents: what a notebook cell or a generator made. */
export class MemoryDocuments implements DocumentSource {
  private readonly values: readonly (string | Readonly<Record<string, unknown>>)[];
  private readonly options: MemoryDocumentsOptions;
  private order: Uint32Array;
  private epoch = 0;
  private index = 0;
  // Of the first cursor: a stream that is read once needs none.
  private sha256: string | undefined;

  constructor(values: readonly (string | Readonly<Record<string, unknown>>)[], options: MemoryDocumentsOptions = {}) {
    this.values = values;
    this.options = options;
    this.order = this.orderOf(0);
  }

  next(): Promise<DataDocument | undefined> {
    if (this.index === this.order.length && this.values.length > 0 && this.epoch !== (this.options.epochs ?? 1)) {
      this.epoch += 1;
      this.index = 0;
      this.order = this.orderOf(this.epoch);
    }
    if (this.values.length === 0 || this.epoch === (this.options.epochs ?? 1)) return Promise.resolve(undefined);
    const place = this.order[this.index++];
    const value = this.values[place];
    const base = { file: "memory", line: place + 1, domain: 0 };
    return Promise.resolve(typeof value === "string" ? { ...base, text: value, record: { text: value } } : { ...base, record: value });
  }

  cursor(): JsonValue {
    return { data: this.hash(), epoch: this.epoch, index: this.index };
  }

  restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.data !== this.hash()) refuseCursor("the cursor was taken from other documents or with another shuffle");
    const [epoch, index] = [countOf(fields, "epoch"), countOf(fields, "index")];
    if (index > this.values.length) refuseCursor(`the cursor stands at document ${index} of ${this.values.length}`);
    this.epoch = epoch;
    this.index = index;
    this.order = this.orderOf(epoch);
    return Promise.resolve();
  }

  report(): DataReport {
    const given = this.epoch * this.values.length + this.index;
    return { read: given, kept: given, bad: {}, filtered: {}, duplicates: 0, epochs: this.epoch };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncIterator](): AsyncGenerator<DataDocument> {
    return iterateDocuments(this);
  }

  private hash(): string {
    if (this.sha256 === undefined) {
      const hash = createHash("sha256").update(JSON.stringify(this.options.shuffle ?? null));
      for (const value of this.values) hash.update(JSON.stringify(value));
      this.sha256 = hash.digest("hex");
    }
    return this.sha256;
  }

  private orderOf(epoch: number): Uint32Array {
    const { shuffle } = this.options;
    return shuffle ? new RandomSource(shuffle.seed, epoch).permutation(this.values.length) : Uint32Array.from(this.values, (_, i) => i);
  }
}
