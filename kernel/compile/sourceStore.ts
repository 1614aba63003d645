import { statSync } from "node:fs";
import ts from "typescript";

interface StoredFile { readonly sourceFile: ts.SourceFile; readonly version: string }

/** The source files of all programs: cells from memory, the rest from disk, each parsed once for each version. */
export class SourceStore {
  private readonly virtual = new Map<string, { readonly text: string; readonly version: string }>();
  private readonly parsed = new Map<string, StoredFile>();
  private readonly present = new Set<string>();
  private readonly realPaths = new Map<string, string>();
  private nextVersion = 1;

  /** Sets the text of a file that is not on disk. */
  setText(path: string, text: string): void {
    if (this.virtual.get(path)?.text === text) return;
    this.virtual.set(path, { text, version: `cell-${this.nextVersion++}` });
  }

  exists(path: string): boolean {
    return this.virtual.has(path) || this.installed("file", path, () => ts.sys.fileExists(path));
  }

  directoryExists(path: string): boolean {
    return this.installed("folder", path, () => ts.sys.directoryExists(path));
  }

  realPath(path: string): string {
    const known = this.realPaths.get(path);
    if (known !== undefined) return known;
    const real = ts.sys.realpath?.(path) ?? path;
    if (path.includes("/node_modules/")) this.realPaths.set(path, real);
    return real;
  }

  /** Remembers that something is in node_modules; not that it is missing, since it may be installed later. Asking the
   *  disk again took half the time of a renewed program. */
  private installed(kind: "file" | "folder", path: string, look: () => boolean): boolean {
    const key = `${kind} ${path}`;
    if (this.present.has(key)) return true;
    const isPresent = look();
    if (isPresent && path.includes("/node_modules/")) this.present.add(key);
    return isPresent;
  }

  readText(path: string): string | undefined {
    return this.virtual.get(path)?.text ?? ts.sys.readFile(path);
  }

  /** Changes when the text may have changed. */
  version(path: string): string {
    const virtual = this.virtual.get(path);
    if (virtual !== undefined) return virtual.version;
    // Installed packages and the TypeScript library don't change while a kernel runs; the user's files do.
    if (path.includes("/node_modules/")) return "installed";
    return String(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? "missing");
  }

  sourceFile(path: string, options: ts.ScriptTarget | ts.CreateSourceFileOptions): ts.SourceFile | undefined {
    const version = this.version(path);
    const stored = this.parsed.get(path);
    if (stored?.version === version) return stored.sourceFile;
    const text = this.readText(path);
    if (text === undefined) return undefined;
    // TypeScript's language service tells new files from old ones by this property.
    const sourceFile = Object.assign(ts.createSourceFile(path, text, options, true), { version });
    this.parsed.set(path, { sourceFile, version });
    return sourceFile;
  }
}

/** A compiler host that reads everything from the store.
 *  @param folder the notebook's folder, where relative imports start */
export function storeCompilerHost(store: SourceStore, options: ts.CompilerOptions, folder: string): ts.CompilerHost {
  return {
    ...ts.createCompilerHost(options, true),
    getCurrentDirectory: () => folder,
    fileExists: (path) => store.exists(path),
    directoryExists: (path) => store.directoryExists(path),
    realpath: (path) => store.realPath(path),
    readFile: (path) => store.readText(path),
    getSourceFile: (path, languageOptions) => store.sourceFile(path, languageOptions),
    writeFile: () => undefined,
  };
}
