import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { tooLong } from "./jsonl.ts";
import { cutPieces, type Border } from "./pieces.ts";
import { badRecord, type BadRecord, type DataRecord, type RecordPlace, type RecordReader } from "./record.ts";

/** What stands beside a .bin file of token ids, as `<name>.bin.json`. */
const tokenFileSchema = z.strictObject({
  dtype: z.enum(["uint16", "uint32"]),
  /** V; ids from it on are bad */
  vocabSize: z.int().min(1),
  /** the id that ends each document */
  endOfText: z.int().min(0),
});
export type TokenFileSettings = z.output<typeof tokenFileSchema>;

/** Token ids, little endian, each document ended by `endOfText`, which is left out of the records {input_ids};
 *  `line` counts documents. Empty documents are left out. */
export const readTokenised: RecordReader = async function* (file, { maxRecordBytes }, from) {
  const settings = await readSettings(file);
  const idBytes = settings.dtype === "uint16" ? 2 : 4;
  let documents = from?.line ?? 0;
  for await (const piece of cutPieces(file, new EndOfTextBorder(settings.endOfText, idBytes), maxRecordBytes, from)) {
    documents += 1;
    const place = { file, line: documents, byte: piece.byte, after: { byte: piece.after.byte, line: documents } };
    const bytes = piece.isClosed ? piece.bytes.subarray(0, -idBytes) : piece.bytes;
    if (piece.isTooLong) yield tooLong(place, bytes, maxRecordBytes);
    else if (bytes.length % idBytes !== 0) yield badRecord(place, "truncated", `the file ends inside a ${settings.dtype}`, bytes);
    else if (bytes.length > 0) yield recordOf(place, bytes, settings);
  }
};

/** Ends pieces after each end-of-text id; ids may lie across chunks. */
class EndOfTextBorder implements Border {
  readonly isText = false;
  private readonly endOfText: number;
  private readonly idBytes: number;
  private id = 0;
  private filled = 0;

  constructor(endOfText: number, idBytes: number) {
    this.endOfText = endOfText;
    this.idBytes = idBytes;
  }

  find(chunk: Uint8Array, from: number): number {
    for (let i = from; i < chunk.length; i++) {
      this.id += chunk[i] * 2 ** (8 * this.filled);
      this.filled += 1;
      if (this.filled < this.idBytes) continue;
      const isEnd = this.id === this.endOfText;
      this.id = this.filled = 0;
      if (isEnd) return i + 1;
    }
    return -1;
  }

  /** Does nothing: a document that is too long still ends at its end-of-text. */
  reset(): void {
    // see above
  }
}

function recordOf(place: RecordPlace, bytes: Buffer, { dtype, vocabSize }: TokenFileSettings): DataRecord | BadRecord {
  const ids = dtype === "uint16"
    ? Int32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i))
    : Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong !== undefined) return badRecord(place, "token-id", `token id ${wrong} is not below vocabSize ${vocabSize}`, bytes);
  return { kind: "record", ...place, value: { input_ids: Int32Array.from(ids) } };
}

async function readSettings(file: string): Promise<TokenFileSettings> {
  const path = `${file}.json`;
  let cause: unknown;
  try {
    const parsed = tokenFileSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
    if (parsed.success) return parsed.data;
    cause = parsed.error;
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof Error && "code" in error)) throw error;
    cause = error;
  }
  throw new DataError({ code: "E_DATA_TOKEN_FILE", what: `${path} can't be used (${cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)})`,
    why: "a .bin file holds bare numbers; their kind, the vocabulary and the end of documents are told beside it",
    fix: `write ${path} with {"dtype": "uint16", "vocabSize": 32000, "endOfText": 0}, in the numbers of the tokenizer that made the ids`, cause });
}
