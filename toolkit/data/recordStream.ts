import { createHash } from "node:crypto";
import { basename } from "node:path";
import { ConfigError } from "../errors.ts";
import { RandomSource } from "../random.ts";
import type { CheckedDatasetSettings, DataFormat } from "./datasetSettings.ts";
import { readCsv } from "./readers/csv.ts";
import { openFile, readAt } from "./readers/fileBytes.ts";
import { readJson } from "./readers/json.ts";
import { readJsonl } from "./readers/jsonl.ts";
import { readParquet } from "./readers/parquet.ts";
import { fileStart, type BadRecord, type DataRecord, type ReadPosition, type ReadSettings, type RecordReader } from "./readers/record.ts";
import { readTextDocuments } from "./readers/text.ts";
import { readTokenised } from "./readers/tokenised.ts";

const readers: Record<DataFormat, RecordReader> = {
  jsonl: readJsonl, json: readJson, text: readTextDocuments, csv: readCsv, parquet: readParquet, tokenised: readTokenised,
};

const formatOfExtension: Readonly<Record<string, DataFormat>> = {
  jsonl: "jsonl", ndjson: "jsonl", json: "json", txt: "text", md: "text", csv: "csv", tsv: "csv", parquet: "parquet", bin: "tokenised",
};

/** The format of a file by its extension.
 *  @throws ConfigError E_DATA_EXTENSION */
export function formatOf(file: string): DataFormat {
  const extension = extensionOf(file);
  const format = Object.hasOwn(formatOfExtension, extension) ? formatOfExtension[extension] : undefined;
  if (format) return format;
  throw new ConfigError({ code: "E_DATA_EXTENSION", what: `the format of ${file} is not known`, why: `extensions that are known are ${Object.keys(formatOfExtension).join(", ")}, each also with .gz`,
    fix: "name the format in the settings" });
}

function extensionOf(file: string): string {
  return /\.([^./\\]+)$/.exec(file.toLowerCase().replace(/\.gz$/, ""))?.[1] ?? "";
}

/** Where a RecordStream stands; plain JSON. */
export type StreamPosition = ReadPosition & {
  readonly epoch: number;
  /** index in the order of the files of this epoch */
  readonly file: number;
};

/** The records of several files, epoch by epoch: file after file, with a seed in another order each epoch. */
export class RecordStream {
  private readonly files: readonly string[];
  private readonly settings: CheckedDatasetSettings;
  private readonly columns: readonly string[] | undefined;
  private order: Uint32Array = new Uint32Array();
  private epoch = 0;
  private file = 0;
  private position: ReadPosition = fileStart;
  private open: AsyncGenerator<DataRecord | BadRecord> | undefined;

  /** @param columns fields to read where the format can choose; undefined for all */
  constructor(files: readonly string[], settings: CheckedDatasetSettings, columns: readonly string[] | undefined) {
    this.files = files;
    this.settings = settings;
    this.columns = columns;
    this.order = this.orderOf(0);
  }

  /** @returns undefined at the end of the epoch
   *  @throws DataError as the readers */
  async next(): Promise<DataRecord | BadRecord | undefined> {
    while (this.file < this.files.length) {
      this.open ??= this.openReader();
      const result = await this.open.next();
      if (!result.done) {
        this.position = result.value.after;
        return result.value;
      }
      this.open = undefined;
      this.file += 1;
      this.position = fileStart;
    }
    return undefined;
  }

  where(): StreamPosition {
    return { epoch: this.epoch, file: this.file, ...this.position };
  }

  /** Goes on at a position, of this or another epoch. */
  async seek({ epoch, file, byte, line }: StreamPosition): Promise<void> {
    await this.close();
    this.order = this.orderOf(epoch);
    this.epoch = epoch;
    this.file = file;
    this.position = { byte, line };
  }

  async close(): Promise<void> {
    await this.open?.return(undefined);
    this.open = undefined;
  }

  private openReader(): AsyncGenerator<DataRecord | BadRecord> {
    const file = this.files[this.order[this.file]];
    const { format, delimiter, maxRecordBytes, textDocuments } = this.settings;
    const settings: ReadSettings = { maxRecordBytes, textDocuments, delimiter: delimiter ?? (extensionOf(file) === "tsv" ? "\t" : ","), columns: this.columns };
    const isAtStart = this.position.byte === 0 && this.position.line === 0;
    return readers[format ?? formatOf(file)](file, settings, isAtStart ? undefined : this.position);
  }

  private orderOf(epoch: number): Uint32Array {
    const { shuffle } = this.settings;
    // Even streams are for the files, odd ones for the documents.
    return shuffle ? new RandomSource(shuffle.seed, 2 * epoch).permutation(this.files.length) : Uint32Array.from(this.files, (_, i) => i);
  }
}

/** Bytes at each end of a file that go into its fingerprint. */
const fingerprintBytes = 4096;

/** Tells data apart without reading all of it: SHA-256 over name, size, and both ends of each file.
 *  @throws DataError E_DATA_MISSING, E_DATA_UNREADABLE */
export async function fingerprintFiles(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    const handle = await openFile(file);
    try {
      const { size } = await handle.stat();
      hash.update(JSON.stringify([basename(file), size]));
      hash.update(await readAt(file, handle, 0, Math.min(size, fingerprintBytes)));
      hash.update(await readAt(file, handle, Math.max(0, size - fingerprintBytes), Math.min(size, fingerprintBytes)));
    } finally {
      await handle.close();
    }
  }
  return hash.digest("hex");
}
