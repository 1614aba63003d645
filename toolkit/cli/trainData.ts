import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Batch } from "../data/batches.ts";
import { packedBatches } from "../data/collators/packing.ts";
import type { RowBatches } from "../data/collators/rows.ts";
import type { DataReport } from "../data/dataReport.ts";
import { openDataset, type Dataset } from "../data/dataset.ts";
import type { DataDocument } from "../data/documents.ts";
import { ConfigError, DataError } from "../errors.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { trainTokenizer } from "../tokenizer/train.ts";
import type { Recipe } from "../train/recipe.ts";
import type { TrainConfig } from "./trainConfig.ts";

/** Settings of the data with its files. */
export type DataConfig = TrainConfig["data"] & { readonly files: string | readonly string[] };

/** What the trainer reads. */
export interface OpenedData {
  readonly train: RowBatches;
  /** the same batches each time */
  readonly validation: () => readonly Batch[];
  /** what became of the training documents so far */
  report(): DataReport;
}

/** Opens the documents that are trained on, or those kept for validation. */
async function openDocuments(data: DataConfig, part: "train" | "validation", isOnce: boolean): Promise<Dataset> {
  const { validation, files } = data, settings: Partial<DataConfig> = { ...data };
  delete settings.packing;
  delete settings.validation;
  const once = isOnce ? { epochs: 1, shuffle: undefined } : {};
  if ("files" in validation) return openDataset({ ...settings, ...once, files: part === "train" ? [...[files].flat()] : validation.files });
  const { share } = validation;
  // By the text, so that a document has its place however the data is ordered, and equal documents have one place.
  const isValidation = (document: DataDocument): boolean => hashShare(document) < share;
  return openDataset({ ...settings, ...once, files: [...[files].flat()] }, { keep: part === "train" ? { validation: (document) => !isValidation(document) } : { training: isValidation } });
}

/** A number from 0 to 1 that depends on the document's content only. */
function hashShare({ text, ids, record }: DataDocument): number {
  const content = text ?? (ids ? ids.join(" ") : JSON.stringify(record));
  return createHash("sha256").update(content).digest().readUInt32BE(0) / 2 ** 32;
}

/** @throws ConfigError E_NO_TOKENIZER */
export function readTokenizer(path: string): Tokenizer {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ConfigError({ code: "E_NO_TOKENIZER", what: `${path} can't be read as JSON`, why: cause instanceof Error ? cause.message : String(cause), fix: "name a tokenizer.json, or give tokenizer.vocabSize to train a new one", cause });
  }
  return Tokenizer.fromJSON(json);
}

/** The tokenizer of a file, or a new one that learns from the training documents.
 *  @throws ConfigError E_NO_TOKENIZER */
export async function tokenizerOf(config: TrainConfig["tokenizer"], data: DataConfig): Promise<Tokenizer> {
  if ("file" in config) return readTokenizer(config.file);
  const documents = await openDocuments(data, "train", true), texts: string[] = [];
  let characters = 0;
  for await (const { text } of documents) {
    if (text === undefined) throw new ConfigError({ code: "E_NO_TOKENIZER", what: "the data is tokenised and there is no tokenizer.file", why: "token ids mean nothing without the tokenizer that made them", fix: "set tokenizer: { file: tokenizer.json }" });
    texts.push(text);
    characters += text.length;
    if (characters >= config.trainMegacharacters * 1e6) break;
  }
  await documents.close();
  return trainTokenizer(texts, { vocabSize: config.vocabSize });
}

/** Opens training and validation data as batches of packed documents. The caller closes `train`.
 *  @throws DataError E_NO_VALIDATION and those of the readers */
export async function openData(data: DataConfig, tokenizer: Tokenizer, { batchSize, contextLength }: Recipe): Promise<OpenedData> {
  const { packing } = data, shape = { batchSize, contextLength, packing };
  const documents = await openDocuments(data, "validation", true), validation: Batch[] = [];
  const batches = packedBatches(documents, tokenizer, shape);
  let tokens = 0;
  for await (const batch of batches) {
    validation.push(batch);
    tokens += batch.inputs.length;
    if (tokens >= data.validation.maxTokens) break;
  }
  await batches.close();
  if (validation.length === 0) {
    throw new DataError({ code: "E_NO_VALIDATION", what: "no document is left for validation", why: `${documents.report().read} documents were looked at`, fix: "raise data.validation.share, or name files: data: { validation: { files: … } }" });
  }
  const training = await openDocuments(data, "train", false);
  return { train: packedBatches(training, tokenizer, shape), validation: () => validation, report: () => training.report() };
}
