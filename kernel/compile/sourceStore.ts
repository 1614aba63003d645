import { statSync } from "node:fs";
import ts from "#typescript";

/** Version of a file that is not there. */
export const MISSING_VERSION = "missing";

interface StoredFile { readonly sourceFile: ts.SourceFile; readonly version: string }

/** The source files of all programs: cells from memory, the rest from disk, each parsed once for each version. */
export class SourceStore {
  private readonly virtual = new Map<string, { readonly text: string; readonly version: string; readonly scriptKind: ts.ScriptKind | undefined }>();
  private readonly parsed = new Map<string, StoredFile>();
  private readonly present = new Set<string>();
  private readonly realPaths = new Map<string, string>();
  private readonly changes = new Map<string, number>();
  private nextVersion = 1;

  /** Sets the text of a file that is not on disk.
   *  @param scriptKind what the text is, where the name does not tell */
  setText(path: string, text: string, scriptKind?: ts.ScriptKind): void {
    const known = this.virtual.get(path);
    if (known?.text === text && known.scriptKind === scriptKind) return;
    this.virtual.set(path, { text, version: `cell-${this.nextVersion++}`, scriptKind });
    this.changes.set(path, (this.changes.get(path) ?? 0) + 1);
  }

  /** A number that changes when the text of any other file than this one is set. */
  stateWithout(path: string): number {
    return this.nextVersion - (this.changes.get(path) ?? 0);
  }

  /** Whether a text that was set has JSX. */
  hasJsx(path: string): boolean {
    const kind = this.virtual.get(path)?.scriptKind;
    return kind === ts.ScriptKind.TSX || kind === ts.ScriptKind.JSX;
  }

  /** Whether a file's text was given by setText. */
  isVirtual(path: string): boolean {
    return this.virtual.has(path);
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
    return String(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? MISSING_VERSION);
  }

  sourceFile(path: string, options: ts.ScriptTarget | ts.CreateSourceFileOptions): ts.SourceFile | undefined {
    const version = this.version(path);
    const stored = this.parsed.get(path);
    if (stored?.version === version) return stored.sourceFile;
    const text = this.readText(path);
    if (text === undefined) return undefined;
    // TypeScript's language service tells new files from old ones by this property.
    const sourceFile = Object.assign(parse(path, text, options, this.virtual.get(path)?.scriptKind), { version });
    this.parsed.set(path, { sourceFile, version });
    return sourceFile;
  }
}

/** Installed declarations are parsed without their documentation, which is half of the time and a third of the memory;
 *  documentation.ts fetches it where it is asked for. Parents are set when a file is bound. */
function parse(path: string, text: string, options: ts.ScriptTarget | ts.CreateSourceFileOptions, scriptKind: ts.ScriptKind | undefined): ts.SourceFile {
  if (!isInstalledDeclaration(path)) return ts.createSourceFile(path, text, options, true, scriptKind);
  const languageOptions = typeof options === "object" ? options : { languageVersion: options };
  return ts.createSourceFile(path, text, { ...languageOptions, jsDocParsingMode: ts.JSDocParsingMode.ParseNone }, false);
}

export function isInstalledDeclaration(path: string): boolean {
  return path.includes("/node_modules/") && /\.d\.[cm]?ts$/.test(path);
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
