import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { dedupSchema } from "./dedup.ts";
import { filterSchema } from "./filters.ts";

export const dataFormats = ["jsonl", "json", "text", "csv", "parquet", "tokenised"] as const;
export type DataFormat = (typeof dataFormats)[number];

/** The settings of openDataset: plain JSON, so that they can stand in a recipe. */
export const datasetSchema = z.strictObject({
  /** paths and patterns (`*`, `**`, `?`, `{a,b}`) */
  files: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  /** by the files' extensions unless given; .gz is looked through */
  format: z.enum(dataFormats).optional(),
  /** field that holds the text; "text" unless fields or idsField is given */
  textField: z.string().min(1).optional(),
  /** fields that each record must have, e.g. ["prompt", "response"]; documents then have no text of their own */
  fields: z.array(z.string().min(1)).min(1).optional(),
  /** field that holds token ids, e.g. "input_ids"; that of .bin files unless given */
  idsField: z.string().min(1).optional(),
  /** V; token ids from it on are bad records */
  vocabSize: z.int().min(1).optional(),
  /** what a document of a text file is: lines between blank ones, or the whole file */
  textDocuments: z.enum(["blankLines", "file"]).default("blankLines"),
  /** field separator of CSV; a tab for .tsv files, else a comma, unless given */
  delimiter: z.string().regex(/^[\t -~]$/, "is one ASCII character").refine((value) => value !== '"', "can't be the quote").optional(),
  /** longer records are bad records */
  maxRecordBytes: z.int().min(1).max(2 ** 28).default(16 * 2 ** 20),
  filters: filterSchema.optional(),
  dedup: dedupSchema.optional(),
  /** files in another order each epoch, and documents shuffled in blocks of a buffer */
  shuffle: z.strictObject({
    seed: z.int().min(0),
    /** documents that are held and given in random order, then the next as many */
    bufferDocuments: z.int().min(1).max(10_000_000).default(10_000),
    /** text held at most, in millions of characters (or token ids) */
    bufferMegacharacters: z.number().positive().default(64),
  }).optional(),
  /** how often the data is gone through */
  epochs: z.union([z.int().min(1), z.literal("endless")]).default(1),
  /** more bad records end the reading with an error */
  maxBadRecords: z.int().min(0).optional(),
  /** a larger share of bad records does; looked at from 1000 records on and at the end of each epoch */
  maxBadShare: z.number().min(0).max(1).default(0.01),
  /** JSON Lines file to which bad records are written */
  quarantineFile: z.string().min(1).optional(),
}).refine(({ textField, fields, idsField }) => [textField, fields, idsField].filter((value) => value !== undefined).length <= 1,
  { message: "textField, fields and idsField exclude each other" });

export type DatasetSettings = z.input<typeof datasetSchema>;
export type CheckedDatasetSettings = z.output<typeof datasetSchema>;

/** @throws ConfigError E_DATA_SETTINGS naming each setting that is wrong */
export function checkSettings<Schema extends z.ZodType>(schema: Schema, settings: unknown, name: string): z.output<Schema> {
  const parsed = schema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => [path.join("."), message].filter((part) => part !== "").join(": ")).join("; ");
  throw new ConfigError({ code: "E_DATA_SETTINGS", what: `the settings of the ${name} are wrong: ${wrong}`, why: "they are checked before anything is read", fix: "correct these settings" });
}
