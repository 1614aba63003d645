import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { ConfigError, DataError } from "../errors.ts";
import { RandomSource } from "../random.ts";
import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";
import { countOf, RecordCounts, type DataReport } from "./dataReport.ts";
import { checkSettings, datasetSchema, type CheckedDatasetSettings, type DatasetSettings } from "./datasetSettings.ts";
import { contentOf, documentOf, fieldsOf, sizeOf, type DocumentContent } from "./documentFields.ts";
import { duplicateFinder } from "./dedup.ts";
import type { DuplicateFinder } from "./duplicateFinder.ts";
import { iterateDocuments, type DataDocument, type DocumentSource } from "./documents.ts";
import { findFiles } from "./files.ts";
import { textFilter } from "./filters.ts";
import { Quarantine } from "./quarantine.ts";
import type { BadRecord } from "./readers/record.ts";
import { fingerprintFiles, formatOf, RecordStream, type StreamPosition } from "./recordStream.ts";

export interface DatasetOptions {
  /** The user's own filters by name: a document that one of them is false for is left out and counted under that name.
   *  They must not depend on anything but the document, or a resumed run differs. */
  readonly keep?: Readonly<Record<string, (document: DataDocument) => boolean>>;
}

/** Opens files as a stream of documents: read, checked, filtered, freed of duplicates and shuffled. Memory is bounded
 *  by the read buffers, the shuffle buffer and what dedup remembers.
 *  @throws ConfigError E_DATA_SETTINGS, E_DATA_EXTENSION; DataError E_DATA_MISSING, E_DATA_UNREADABLE */
export async function openDataset(settings: DatasetSettings, { keep = {} }: DatasetOptions = {}): Promise<Dataset> {
  const checked = checkSettings(datasetSchema, settings, "dataset");
  const files = findFiles(checked.files);
  const formats = new Set(files.map((file) => checked.format ?? formatOf(file)));
  const { quarantineFile } = checked;
  if (quarantineFile !== undefined && files.some((file) => resolve(file) === resolve(quarantineFile))) {
    throw new ConfigError({ code: "E_DATA_SETTINGS", what: `quarantineFile ${quarantineFile} is one of the files that are read`, why: "bad records would be appended to the data", fix: "name another file" });
  }
  const content = contentOf(checked, formats.has("tokenised") && formats.size === 1);
  checkUses(checked, content);
  return new Dataset(files, checked, keep, content, await fingerprintFiles(files));
}

/** Settings that would do nothing are mistakes.
 *  @throws ConfigError E_DATA_SETTINGS */
function checkUses({ filters, vocabSize }: CheckedDatasetSettings, { kind }: DocumentContent): void {
  const unused = filters && kind !== "text" ? "filters" : vocabSize !== undefined && kind !== "ids" ? "vocabSize" : undefined;
  if (unused === undefined) return;
  throw new ConfigError({ code: "E_DATA_SETTINGS", what: `${unused} is set for documents of kind ${kind}`, why: unused === "filters" ? "filters look at a text, and these have none of their own" : "only token ids are compared with it",
    fix: unused === "filters" ? "leave filters out, or pass a keep function that looks at the record" : "leave vocabSize out" });
}

/** Where a block of documents begins. */
interface BlockStart {
  readonly position: StreamPosition;
  /** blocks before it in this epoch */
  readonly block: number;
  /** documents that came before it in this epoch */
  readonly documents: number;
  readonly counts: ReturnType<RecordCounts["toJSON"]>;
}

/** Blocks of an epoch have random streams of their own. */
const maxBlocks = 2 ** 24;

/** Made by openDataset. Documents come in blocks as large as the shuffle buffer: one is read, given in random order,
 *  then the next; without shuffling a block is one document. A cursor is the place where a block begins and a number
 *  of documents in it, so it stays small, and going on from it reads at most one block again (with dedup the epoch). */
export class Dataset implements DocumentSource {
  readonly files: readonly string[];
  private readonly settings: CheckedDatasetSettings;
  private readonly keep: Readonly<Record<string, (document: DataDocument) => boolean>>;
  private readonly content: DocumentContent;
  private readonly identity: { readonly data: string; readonly settings: string };
  private readonly stream: RecordStream;
  private readonly filter: ((text: string) => string | undefined) | undefined;
  private readonly quarantine: Quarantine | undefined;
  private duplicates: DuplicateFinder | undefined;
  private counts = new RecordCounts();
  private epoch = 0;
  private blocks = 0;
  private documents = 0;
  private start: BlockStart;
  private block: DataDocument[] = [];
  private order: Uint32Array = new Uint32Array();
  private index = 0;
  private lastBad: BadRecord | undefined;

  constructor(files: readonly string[], settings: CheckedDatasetSettings, keep: NonNullable<DatasetOptions["keep"]>, content: DocumentContent, dataHash: string) {
    this.files = files;
    this.settings = settings;
    this.keep = keep;
    this.content = content;
    // A filter of the user's own may look at any column.
    this.stream = new RecordStream(files, settings, Object.keys(keep).length > 0 ? undefined : fieldsOf(content));
    this.identity = { data: dataHash, settings: hashOfSettings(settings, keep) };
    this.filter = settings.filters && textFilter(settings.filters);
    this.quarantine = settings.quarantineFile === undefined ? undefined : new Quarantine(settings.quarantineFile);
    this.duplicates = settings.dedup && duplicateFinder(settings.dedup);
    this.start = this.blockStart();
  }

  /** @throws DataError of the readers; E_BAD_RECORDS, E_DATA_EMPTY, E_DEDUP_FULL, E_QUARANTINE */
  async next(): Promise<DataDocument | undefined> {
    try {
      while (this.index === this.block.length) {
        if (this.epoch === this.settings.epochs) return undefined;
        await this.readBlock();
        if (this.block.length === 0) await this.endEpoch();
      }
    } catch (error) {
      await this.stream.close();
      throw error;
    }
    return this.block[this.order[this.index++]];
  }

  cursor(): JsonValue {
    const isThrough = this.index === this.block.length;
    const { position, block, documents, counts } = isThrough ? this.blockStart() : this.start;
    return { ...this.identity, position, block, documents, counts, index: isThrough ? 0 : this.index };
  }

  async restore(cursor: JsonValue): Promise<void> {
    const fields = cursorFields(cursor);
    if (fields.data !== this.identity.data) refuseCursor("the cursor was taken from other files, or the files have changed");
    if (fields.settings !== this.identity.settings) refuseCursor("the cursor was taken with other settings of the dataset");
    const start = readStart(fields);
    const index = countOf(fields, "index");
    if (start.position.file > this.files.length) refuseCursor(`the cursor stands in file ${start.position.file} of ${this.files.length}`);
    if (this.settings.dedup) await this.replay(start);
    else await this.stream.seek(start.position);
    this.epoch = start.position.epoch;
    this.blocks = start.block;
    this.documents = start.documents;
    this.counts = RecordCounts.fromJSON({ ...start.counts });
    this.clearBlock();
    if (index > 0) await this.readBlock();
    if (index > this.block.length) refuseCursor(`the cursor stands at document ${index} of a block of ${this.block.length}`);
    this.index = index;
  }

  report(): DataReport {
    return { ...this.counts.toJSON(), epochs: this.epoch };
  }

  close(): Promise<void> {
    return this.stream.close();
  }

  [Symbol.asyncIterator](): AsyncGenerator<DataDocument> {
    return iterateDocuments(this);
  }

  private blockStart(): BlockStart {
    const position = { ...this.stream.where(), epoch: this.epoch };
    return { position, block: this.blocks, documents: this.documents, counts: this.counts.toJSON() };
  }

  private clearBlock(): void {
    this.block = [];
    this.index = 0;
    this.start = this.blockStart();
  }

  /** Fills the shuffle buffer; it stays empty at the end of an epoch. */
  private async readBlock(): Promise<void> {
    this.clearBlock();
    const { shuffle } = this.settings;
    const [most, mostCharacters] = shuffle ? [shuffle.bufferDocuments, shuffle.bufferMegacharacters * 1e6] : [1, 0];
    for (let characters = 0; this.block.length === 0 || (this.block.length < most && characters < mostCharacters);) {
      const document = await this.readDocument();
      if (!document) break;
      this.block.push(document);
      characters += sizeOf(document);
    }
    if (this.blocks >= maxBlocks) throw new ConfigError({ code: "E_DATA_SETTINGS", what: `an epoch has more than ${maxBlocks} shuffle buffers`, why: "each has a random stream of its own", fix: "raise shuffle.bufferDocuments" });
    this.order = shuffle ? new RandomSource(shuffle.seed, 2 * (this.epoch * maxBlocks + this.blocks) + 1).permutation(this.block.length) : Uint32Array.of(0);
    if (shuffle) this.blocks += 1;
    this.documents += this.block.length;
  }

  /** The next document that is kept; undefined at the end of the epoch. */
  private async readDocument(isReplay = false): Promise<DataDocument | undefined> {
    for (let item = await this.stream.next(); item; item = await this.stream.next()) {
      this.counts.read += 1;
      const document = item.kind === "bad" ? item : documentOf(item, this.content);
      if ("reason" in document) {
        this.countBad(document, isReplay);
        continue;
      }
      const broken = this.brokenFilter(document);
      if (broken !== undefined) this.counts.addFiltered(broken);
      else if (this.duplicates?.isDuplicate(document.text ?? textOfRecord(document))) this.counts.duplicates += 1;
      else {
        this.counts.kept += 1;
        return document;
      }
    }
    return undefined;
  }

  private brokenFilter(document: DataDocument): string | undefined {
    const broken = document.text === undefined ? undefined : this.filter?.(document.text);
    return broken ?? Object.keys(this.keep).find((name) => !this.keep[name](document));
  }

  private countBad(record: BadRecord, isReplay: boolean): void {
    this.counts.addBad(record.reason);
    if (isReplay) return;
    this.quarantine?.add(record);
    const { maxBadRecords = Infinity, maxBadShare } = this.settings;
    const bad = this.counts.badRecords;
    if (bad > maxBadRecords || (this.counts.read >= 1000 && bad > maxBadShare * this.counts.read)) throw this.tooManyBad(record);
    this.lastBad = record;
  }

  private tooManyBad(last: BadRecord | undefined): DataError {
    const { bad, read } = this.counts;
    const byReason = Object.entries(bad).map(([reason, count]) => `${count} ${reason}`).join(", ");
    const place = last ? `; the last is ${last.file}, line ${last.line}: ${last.detail}` : "";
    return new DataError({ code: "E_BAD_RECORDS", what: `${this.counts.badRecords} of ${read} records can't be used (${byReason}${place})`,
      why: "that is more than maxBadRecords or maxBadShare allow", fix: "mend the data (quarantineFile collects what is bad), check format and field names, or raise the limits" });
  }

  private async endEpoch(): Promise<void> {
    const { read, kept, badRecords } = this.counts;
    if (badRecords > this.settings.maxBadShare * read) throw this.tooManyBad(this.lastBad);
    if (kept === 0) {
      throw new DataError({ code: "E_DATA_EMPTY", what: `none of ${read} records of ${this.files.length} files is kept`, why: JSON.stringify(this.report()), fix: "check files, fields and filters" });
    }
    this.epoch += 1;
    this.blocks = this.documents = 0;
    this.duplicates = this.settings.dedup && duplicateFinder(this.settings.dedup);
    await this.stream.seek({ epoch: this.epoch, file: 0, byte: 0, line: 0 });
    this.clearBlock();
  }

  /** Reads an epoch again up to a block, so that dedup remembers what it did then. */
  private async replay(start: BlockStart): Promise<void> {
    this.duplicates = this.settings.dedup && duplicateFinder(this.settings.dedup);
    await this.stream.seek({ epoch: start.position.epoch, file: 0, byte: 0, line: 0 });
    for (let i = 0; i < start.documents; i++) await this.readDocument(true);
    const hasArrived = () => {
      const { file, byte, line } = this.stream.where();
      return file === start.position.file && byte === start.position.byte && line === start.position.line;
    };
    // The last block of an epoch was closed by looking for one more document.
    if (!hasArrived() && await this.readDocument(true)) refuseCursor("reading the epoch again finds another document");
    if (!hasArrived()) refuseCursor("reading the epoch again doesn't lead to the place of the cursor");
  }
}

function readStart(fields: { readonly [key: string]: JsonValue }): BlockStart {
  const position = cursorFields(fields.position);
  const [epoch, file, byte, line] = ["epoch", "file", "byte", "line"].map((name) => countOf(position, name));
  return { position: { epoch, file, byte, line }, block: countOf(fields, "block"), documents: countOf(fields, "documents"), counts: RecordCounts.fromJSON(fields.counts).toJSON() };
}

/** What dedup compares of documents without a text. */
function textOfRecord({ ids, record }: DataDocument): string {
  return ids ? ids.join(" ") : JSON.stringify(record);
}

/** Settings that may change when a run goes on: they don't decide which documents come in which order. */
const freeSettings = new Set(["files", "epochs", "maxBadRecords", "maxBadShare", "quarantineFile"]);

function hashOfSettings(settings: CheckedDatasetSettings, keep: object): string {
  const deciding = Object.entries(settings).filter(([name]) => !freeSettings.has(name));
  return createHash("sha256").update(JSON.stringify([deciding, Object.keys(keep)])).digest("hex");
}
