import { open, type FileHandle } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { DataError } from "../../errors.ts";

/** Bytes that are read at once: large enough that a read costs little, small beside any model. */
const chunkBytes = 262_144;

/** The bytes of a file from an offset on, chunk by chunk; a file that ends in .gz is uncompressed, and the offset
 *  counts uncompressed bytes (those before it are read and dropped).
 *  @throws DataError E_DATA_MISSING, E_DATA_UNREADABLE, E_DATA_GZIP */
export async function* fileBytes(file: string, from = 0): AsyncGenerator<Buffer> {
  const handle = await openFile(file);
  try {
    if (isCompressed(file)) yield* dropBytes(uncompress(file, handle), from);
    else yield* readChunks(file, handle, from);
  } finally {
    await handle.close();
  }
}

export function isCompressed(file: string): boolean {
  return file.toLowerCase().endsWith(".gz");
}

/** @throws DataError E_DATA_MISSING, E_DATA_UNREADABLE */
export async function openFile(file: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    if (!(await handle.stat()).isDirectory()) return handle;
  } catch (error) {
    await handle?.close();
    throw unreadable(file, error);
  }
  await handle.close();
  throw new DataError({ code: "E_DATA_UNREADABLE", what: `${file} is a folder`, why: "records are read from files", fix: `name its files, e.g. ${file}/*.jsonl` });
}

/** Fills a buffer from a place of a file; shorter at its end.
 *  @throws DataError E_DATA_UNREADABLE */
export async function readAt(file: string, handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(buffer, filled, length - filled, position + filled));
    } catch (error) {
      throw unreadable(file, error);
    }
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function* readChunks(file: string, handle: FileHandle, from: number): AsyncGenerator<Buffer> {
  for (let position = from; ;) {
    const chunk = await readAt(file, handle, position, chunkBytes);
    if (chunk.length > 0) yield chunk;
    if (chunk.length < chunkBytes) return;
    position += chunk.length;
  }
}

async function* uncompress(file: string, handle: FileHandle): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  const feed = (async () => {
    for await (const chunk of readChunks(file, handle, 0)) {
      if (gunzip.destroyed) return;
      if (!gunzip.write(chunk)) await new Promise<void>((resume) => { gunzip.once("drain", resume).once("close", resume); });
    }
    gunzip.end();
  })().catch((error: unknown) => { gunzip.destroy(error as Error); });
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError({ code: "E_DATA_GZIP", what: `${file} can't be uncompressed (${error instanceof Error ? error.message : String(error)})`,
      why: "the file is damaged, cut off, or not gzip; what follows the damage can't be read", fix: `check it with gzip -t ${file}, and fetch or write it again`, cause: error });
  } finally {
    gunzip.destroy();
    await feed;
  }
}

async function* dropBytes(chunks: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      yield left > 0 ? chunk.subarray(left) : chunk;
      left = 0;
    }
  }
}

function unreadable(file: string, error: unknown): Error {
  if (!(error instanceof Error && "code" in error)) return error instanceof Error ? error : new Error(String(error));
  if (error.code === "ENOENT") {
    return new DataError({ code: "E_DATA_MISSING", what: `there is no file ${file}`, why: "the path is taken from the folder the process runs in", fix: `check the path; the folder is ${process.cwd()}`, cause: error });
  }
  return new DataError({ code: "E_DATA_UNREADABLE", what: `${file} can't be read`, why: error.message, fix: "pass the path of a file that may be read", cause: error });
}
