import { isAscii } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import vm from "node:vm";
import { systemErrorCode } from "../errors.ts";

/** The function that Node.js wraps around a CommonJS module. Source: nodejs.org/api/modules.html#the-module-wrapper */
const WRAPPER = { head: "(function (exports, require, module, __filename, __dirname) {", tail: "\n})" } as const;
type WrappedModule = (exports: object, require: NodeJS.Require, module: { exports: unknown }, path: string, folder: string) => void;

const SHA256_BYTES = 32;
/** Caches of other versions of Node.js or of the package that are kept: a few, so that two kernels don't take turns overwriting. */
const OTHERS_KEPT = 3;

/** A large CommonJS module whose compiled code is kept on disk: 9 MB of TypeScript load in 60 ms instead of 200. */
export class CachedModule {
  private readonly path: string;
  /** The user's own cache folder; null for no cache. */
  private readonly cacheFolder: string | null;
  private script: vm.Script | null = null;
  private isCacheUsed = false;

  constructor(path: string, cacheFolder: string | null) {
    this.path = path;
    this.cacheFolder = cacheFolder;
  }

  /** Runs the module. @returns its exports */
  load(): unknown {
    const cachedData = this.read();
    this.script = new vm.Script(wrappedSource(this.path), { filename: this.path, ...(cachedData !== undefined && { cachedData }) });
    this.isCacheUsed = cachedData !== undefined && this.script.cachedDataRejected === false;
    const module = { exports: {} };
    // vm scripts are untyped; this one is the wrapper function.
    const run = this.script.runInThisContext() as WrappedModule;
    run(module.exports, createRequire(this.path), module, this.path, dirname(this.path));
    return module.exports;
  }

  /** Keeps the code compiled so far for the next start; call it when what a start needs has run. A cache is only a
   *  gain in speed, so a folder that can't be written is left alone. */
  save(): void {
    if (this.cacheFolder === null || this.script === null || this.isCacheUsed) return;
    const data = this.script.createCachedData();
    const path = this.cachePath(this.cacheFolder);
    const fresh = `${path}.${process.pid}`;
    try {
      mkdirSync(this.cacheFolder, { recursive: true, mode: 0o700 });
      writeFileSync(fresh, Buffer.concat([sha256(data), data]), { mode: 0o600 });
      renameSync(fresh, path);
      this.removeOthers(this.cacheFolder);
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
    }
    this.isCacheUsed = true;
  }

  /** V8 checks version, flags and length of the source; the digest finds a damaged file, and the owner a foreign one. */
  private read(): Buffer | undefined {
    if (this.cacheFolder === null) return undefined;
    const path = this.cachePath(this.cacheFolder);
    try {
      const { uid } = statSync(path);
      if (process.getuid !== undefined && uid !== process.getuid()) return undefined;
      const content = readFileSync(path);
      const data = content.subarray(SHA256_BYTES);
      return sha256(data).equals(content.subarray(0, SHA256_BYTES)) ? data : undefined;
    } catch (error) {
      // Most often ENOENT: there is no cache yet.
      if (systemErrorCode(error) === undefined) throw error;
      return undefined;
    }
  }

  private cachePath(cacheFolder: string): string {
    const { size, mtimeMs } = statSync(this.path);
    const key = createHash("sha256").update(JSON.stringify([this.path, size, mtimeMs, process.version, process.arch])).digest("hex").slice(0, 16);
    return join(cacheFolder, `${basename(this.path)}-${key}.code`);
  }

  private removeOthers(cacheFolder: string): void {
    const caches = readdirSync(cacheFolder).filter((name) => name.startsWith(`${basename(this.path)}-`)).map((name) => join(cacheFolder, name))
      .map((path) => ({ path, mtimeMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 })).sort((a, b) => b.mtimeMs - a.mtimeMs);
    // Also what a process that died while writing left behind.
    for (const { path } of caches.slice(1 + OTHERS_KEPT)) rmSync(path, { force: true });
  }
}

/** The module's text within the wrapper. Bytes are read beside the wrapper's, since joining strings would keep a second copy. */
function wrappedSource(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.allocUnsafeSlow(WRAPPER.head.length + size + WRAPPER.tail.length);
    bytes.write(WRAPPER.head, 0, "latin1");
    bytes.fill(" ", WRAPPER.head.length + readSync(file, bytes, WRAPPER.head.length, size, 0));
    bytes.write(WRAPPER.tail, bytes.length - WRAPPER.tail.length, "latin1");
    // One byte a character, which V8 then also keeps.
    return bytes.toString(isAscii(bytes) ? "latin1" : "utf8");
  } finally {
    closeSync(file);
  }
}

function sha256(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}
