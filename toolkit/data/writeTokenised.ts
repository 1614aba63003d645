import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError } from "../errors.ts";
import { textSequences, type DocumentEncoder } from "./collators/sequences.ts";
import type { DocumentSource } from "./documents.ts";
import type { TokenFileSettings } from "./readers/tokenised.ts";

/** Ids are written when this many bytes of them have gathered. */
const bufferBytes = 2 ** 20;

/** Encodes documents once, so that many runs can read their ids: a .bin file of uint16, or uint32 for 65,536 tokens and
 *  more, little endian, each document ended by end-of-text, and `<path>.json` beside it, which openDataset reads.
 *  The file has its name only when it is whole.
 *  @param path ends in .bin
 *  @returns what was written; tokens with end-of-text
 *  @throws ConfigError E_END_OF_TEXT; DataError E_DATA_TOKEN_FILE when path exists or isn't .bin, E_TOKEN_ID, and what documents.next throws */
export async function writeTokenised(path: string, documents: DocumentSource, encoder: DocumentEncoder & { readonly vocabSize: number }): Promise<{ documents: number; tokens: number }> {
  if (!path.endsWith(".bin") || existsSync(path)) {
    throw new DataError({ code: "E_DATA_TOKEN_FILE", what: `${path} ${existsSync(path) ? "exists" : "doesn't end in .bin"}`, why: "token ids are written to a new .bin file", fix: "choose another path" });
  }
  const { vocabSize, endOfText } = encoder;
  const settings: TokenFileSettings = { dtype: vocabSize <= 65_536 ? "uint16" : "uint32", vocabSize, endOfText };
  const toSequence = textSequences(encoder);
  const temporary = `${path}.${randomBytes(4).toString("hex")}.new`;
  await mkdir(dirname(path), { recursive: true });
  const file = await open(temporary, "wx");
  try {
    const written = { documents: 0, tokens: 0 };
    let gathered: Buffer[] = [], bytes = 0;
    const flush = async () => {
      await file.writeFile(Buffer.concat(gathered));
      gathered = [];
      bytes = 0;
    };
    for await (const document of documents) {
      const sequence = toSequence(document);
      if ("dropped" in sequence) throw new DataError({ code: "E_DATA_TOKEN_FILE", what: `${document.file}, line ${document.line} has neither text nor token ids`, why: "there is nothing to write", fix: "set textField or idsField of the data" });
      checkIds(sequence.ids, settings, document);
      gathered.push(bytesOf(sequence.ids, settings.dtype));
      bytes += gathered[gathered.length - 1].length;
      if (bytes >= bufferBytes) await flush();
      written.documents += 1;
      written.tokens += sequence.ids.length;
    }
    await flush();
    await file.sync();
    await file.close();
    await writeFile(`${path}.json`, `${JSON.stringify(settings)}\n`);
    await rename(temporary, path);
    return written;
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** End-of-text inside a document would cut it in two when it is read. */
function checkIds(ids: Int32Array, { vocabSize, endOfText }: TokenFileSettings, { file, line }: { readonly file: string; readonly line: number }): void {
  const wrong = ids.findIndex((id, i) => id < 0 || id >= vocabSize || (id === endOfText && i < ids.length - 1));
  if (wrong < 0) return;
  throw new DataError({ code: "E_TOKEN_ID", what: `${file}, line ${line} has token id ${ids[wrong]} at ${wrong}`, why: `ids are 0 to ${vocabSize - 1}, and ${endOfText} only ends a document`, fix: "encode the text with the tokenizer that is given" });
}

function bytesOf(ids: Int32Array, dtype: TokenFileSettings["dtype"]): Buffer {
  const idBytes = dtype === "uint16" ? 2 : 4;
  const buffer = Buffer.allocUnsafe(ids.length * idBytes);
  for (let i = 0; i < ids.length; i++) {
    if (dtype === "uint16") buffer.writeUInt16LE(ids[i], 2 * i);
    else buffer.writeUInt32LE(ids[i], 4 * i);
  }
  return buffer;
}
