import { createHash, randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { FileFormatError } from "../errors.ts";

/** A folder whose manifest holds the SHA-256 of every other file: checkpoints and bundles. */
export interface SealedFolder {
  readonly manifest: Record<string, unknown>;
  readonly files: ReadonlyMap<string, Buffer>;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "w");
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    // Without it a power cut after the rename could leave a named but empty file.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}

function writeFailure(path: string, cause: unknown): FileFormatError {
  const code = systemCode(cause);
  return new FileFormatError({
    code: "E_WRITE_FAILED", what: `${path} could not be written (${code})`,
    why: code === "ENOSPC" || code === "EFBIG" || code === "EDQUOT" ? "the disk or its quota is full" : "the system refused the write",
    fix: "free space or choose another folder, then save again; what was there before is untouched", cause,
  });
}

/** Writes a file under a temporary name beside it and renames it, so that readers see the old or the new file, never half of one.
 *  @throws FileFormatError E_WRITE_FAILED; the earlier file is then untouched */
export function writeFileWhole(path: string, content: Uint8Array | string): void {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeWhole(temporary, typeof content === "string" ? Buffer.from(content) : content);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeFailure(path, error);
  }
}

/** Writes `files` and a manifest with their checksums as folder `path`, whole or not at all.
 *  A sealed folder of the same kind that was there is replaced after the new one is complete.
 *  @param manifestName tells the kind, e.g. "bundle.json"
 *  @throws FileFormatError E_WRITE_FAILED, E_FOLDER_NOT_OURS when `path` holds something else */
export function writeSealedFolder(path: string, manifestName: string, manifest: Record<string, unknown>, files: ReadonlyMap<string, Uint8Array | string>): void {
  if (existsSync(path) && !existsSync(join(path, manifestName)) && readdirSync(path).length > 0) {
    throw new FileFormatError({
      code: "E_FOLDER_NOT_OURS", what: `${path} exists and has no ${manifestName}`,
      why: "it holds something else, which would be lost", fix: "choose another folder or empty this one",
    });
  }
  const mark = randomBytes(4).toString("hex");
  const fresh = `${path}.${mark}.new`, old = `${path}.${mark}.old`;
  try {
    mkdirSync(fresh, { recursive: true });
    const checksums: Record<string, string> = {};
    for (const [name, content] of files) {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      checksums[name] = sha256(bytes);
      writeWhole(join(fresh, name), bytes);
    }
    writeWhole(join(fresh, manifestName), Buffer.from(`${JSON.stringify({ ...manifest, sha256: checksums }, null, 2)}\n`));
    if (existsSync(path)) renameSync(path, old);
    renameSync(fresh, path);
  } catch (error) {
    if (!existsSync(path) && existsSync(old)) renameSync(old, path);
    throw writeFailure(path, error);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    if (existsSync(path)) rmSync(old, { recursive: true, force: true });
  }
}

function damaged(path: string, why: string, cause?: unknown): FileFormatError {
  return new FileFormatError({
    code: "E_FOLDER_CORRUPT", what: `${path} can't be used`, why, fix: "use an earlier one, or write it again", cause,
  });
}

function parseManifest(path: string, manifestName: string): Record<string, unknown> & { sha256: Record<string, string> } {
  let text: string;
  try {
    text = readFileSync(join(path, manifestName), "utf8");
  } catch (error) {
    throw damaged(path, `its ${manifestName} can't be read (${systemCode(error)})`, error);
  }
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw damaged(path, `its ${manifestName} is not JSON`, error);
  }
  if (typeof manifest !== "object" || manifest === null || !("sha256" in manifest) || typeof manifest.sha256 !== "object" || manifest.sha256 === null) {
    throw damaged(path, `its ${manifestName} has no checksums`);
  }
  return manifest as Record<string, unknown> & { sha256: Record<string, string> };
}

/** Reads a sealed folder and verifies every checksum.
 *  @throws FileFormatError E_FOLDER_CORRUPT naming the file that is missing or changed */
export function readSealedFolder(path: string, manifestName: string): SealedFolder {
  const manifest = parseManifest(path, manifestName);
  const files = new Map<string, Buffer>();
  for (const [name, expected] of Object.entries(manifest.sha256)) {
    // A manifest must not reach outside its folder.
    if (name.includes("/") || name.includes("\\") || name === "..") throw damaged(path, `its ${manifestName} names ${JSON.stringify(name)}, which is no plain file name`);
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(path, name));
    } catch (error) {
      throw damaged(path, `${name} can't be read (${systemCode(error)})`, error);
    }
    if (sha256(bytes) !== expected) throw damaged(path, `${name} is cut short or changed: its SHA-256 differs from the one in ${manifestName}`);
    files.set(name, bytes);
  }
  return { manifest, files };
}

/** The named file of a sealed folder. @throws FileFormatError E_FOLDER_CORRUPT when it isn't there */
export function fileOf(folder: SealedFolder, name: string, path: string): Buffer {
  const bytes = folder.files.get(name);
  if (!bytes) throw damaged(path, `it has no ${name}`);
  return bytes;
}
