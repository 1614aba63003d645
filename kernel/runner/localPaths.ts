import { statSync } from "node:fs";
import type { Stats } from "node:fs";
import { systemErrorCode } from "../errors.ts";

/** What a local specifier without a fitting file may mean, in the order in which it is tried. */
const EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.tsx", "/index.js"];

/** Whether a specifier names a file of the user rather than a package. */
export function isLocal(specifier: string): boolean {
  return /^(\.{0,2}\/|\.{1,2}$|file:)/.test(specifier);
}

/** The file that a path in an import means: as TypeScript has it, `./a.js` may be `./a.ts`, and an extension may be
 *  left out; null when there is none. */
export function existingFile(path: string): string | null {
  const typescript = path.replace(/\.([mc]?)js$/, ".$1ts");
  const candidates = [path, typescript, path.replace(/\.js$/, ".tsx"), ...EXTENSIONS.map((extension) => path + extension)];
  return candidates.find(isFile) ?? null;
}

/** Whether a file's text is TypeScript. */
export function isTypeScript(path: string): boolean {
  return /\.[mc]?tsx?$/.test(path);
}

/** What the file system knows of a path; null where there is nothing, or nothing that can be reached. */
export function statsOf(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    // ENOTDIR below a file, EACCES, ELOOP, ENAMETOOLONG, …
    if (systemErrorCode(error) === undefined) throw error;
    return null;
  }
}

/** A text that changes when a file is written, made or removed. */
export function fileState(path: string): string {
  const stats = statsOf(path);
  return stats === null ? "missing" : `${stats.mtimeMs} ${stats.size}`;
}

function isFile(path: string): boolean {
  return statsOf(path)?.isFile() ?? false;
}
