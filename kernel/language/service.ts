import { dirname } from "node:path";
import ts from "#typescript";
import type { CellCompiler } from "../compile/cellCompiler.ts";
import { CellSlot } from "../compile/cellSlot.ts";
import { createResolutionCache, moduleResolution } from "../compile/moduleResolution.ts";
import { MISSING_VERSION } from "../compile/sourceStore.ts";
import type { SourceStore } from "../compile/sourceStore.ts";

/** TypeScript's language service over the same files as the compiler: libraries, earlier cells, and the cell being written. */
export class CellService {
  readonly service: ts.LanguageService;
  private readonly compiler: CellCompiler;
  private readonly slot: CellSlot;
  /** TypeScript looks for changes when this has changed. */
  private projectVersion = 0;

  constructor(compiler: CellCompiler) {
    this.compiler = compiler;
    const versions = new VersionCache(compiler.store);
    this.slot = new CellSlot(compiler.store, compiler.cellPath, (path) => versions.get(path));
    const host = serviceHost(compiler, versions);
    this.service = ts.createLanguageService({ ...host, getProjectVersion: () => String(this.projectVersion) }, sharedRegistry(compiler));
  }

  /** The program of the compiler's present files and settings. */
  refresh(): ts.Program {
    const reused = this.slot.put(this.compiler.cellFile());
    if (reused !== null && reused.getCompilerOptions() === this.compiler.options) return reused;
    this.projectVersion += 1;
    const program = this.service.getProgram();
    if (program === undefined) throw new Error("the language service has no program");
    return this.slot.hold(program);
  }
}

/** Within this time a file of the user counts as unchanged: a program has hundreds, and completion asks for each, in ms. */
const VERSION_AGE_MS = 500;
/** Within this time a package that was not there is not looked for again, in ms. */
const RESOLUTION_AGE_MS = 10_000;

function serviceHost(compiler: CellCompiler, versions: VersionCache): ts.LanguageServiceHost {
  const { store, rootPaths, cellPath } = compiler;
  const resolutions = new Resolutions(dirname(cellPath));
  const host: ts.LanguageServiceHost & ts.ModuleResolutionHost = {
    getCompilationSettings: () => compiler.options,
    getScriptFileNames: () => [...rootPaths],
    getScriptVersion: (path) => versions.get(path),
    getScriptSnapshot: (path) => (versions.exists(path) ? lazySnapshot(() => store.readText(path) ?? "") : undefined),
    getCurrentDirectory: () => dirname(cellPath),
    getDefaultLibFileName: (settings) => ts.getDefaultLibFilePath(settings),
    // As the compiler's host: a program writes a file's path on it, and both have the same files.
    useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    fileExists: (path) => store.exists(path),
    readFile: (path) => store.readText(path),
    readDirectory: (...rest) => ts.sys.readDirectory(...rest),
    directoryExists: (path) => store.directoryExists(path),
    realpath: (path) => store.realPath(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
  };
  // TypeScript reads package.json files through it; the typings leave it out.
  return Object.assign(host, {
    getModuleResolutionCache: () => resolutions.of(compiler.options),
    resolveModuleNameLiterals: moduleResolution(host, (options) => resolutions.of(options)),
  });
}

class VersionCache {
  private readonly store: SourceStore;
  private readonly versions = new Map<string, string>();
  private readSinceMs = 0;

  constructor(store: SourceStore) {
    this.store = store;
  }

  exists(path: string): boolean {
    return path.includes("/node_modules/") ? this.store.exists(path) : this.get(path) !== MISSING_VERSION;
  }

  get(path: string): string {
    if (this.store.isVirtual(path)) return this.store.version(path);
    if (performance.now() - this.readSinceMs > VERSION_AGE_MS) {
      this.versions.clear();
      this.readSinceMs = performance.now();
    }
    const version = this.versions.get(path) ?? this.store.version(path);
    this.versions.set(path, version);
    return version;
  }
}

/** What is known of packages near the notebook. Without it each question would read all their package.json files again. */
class Resolutions {
  private readonly folder: string;
  private cache: ts.ModuleResolutionCache | null = null;
  private options: ts.CompilerOptions | null = null;
  private madeMs = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  of(options: ts.CompilerOptions): ts.ModuleResolutionCache {
    const isOld = performance.now() - this.madeMs > RESOLUTION_AGE_MS;
    if (this.cache === null || this.options !== options || isOld) {
      this.cache = createResolutionCache(this.folder, options);
      this.options = options;
      this.madeMs = performance.now();
    }
    return this.cache;
  }
}

/** The service asks for the snapshots of all files for each question, and for their text never: the registry below has it. */
function lazySnapshot(read: () => string): ts.IScriptSnapshot {
  let text: string | null = null;
  const get = (): string => (text ??= read());
  return { getText: (start, end) => get().slice(start, end), getLength: () => get().length, getChangeRange: () => undefined };
}

/** Gives the language service the source files that the compiler has parsed already, instead of parsing all again. */
function sharedRegistry({ store }: CellCompiler): ts.DocumentRegistry {
  const registry = ts.createDocumentRegistry();
  const stored = (path: string, options: ts.ScriptTarget | ts.CreateSourceFileOptions | undefined): ts.SourceFile => {
    const sourceFile = store.sourceFile(path, options ?? ts.ScriptTarget.ES2023);
    return sourceFile ?? ts.createSourceFile(path, "", ts.ScriptTarget.ES2023);
  };
  return {
    ...registry,
    acquireDocumentWithKey: (path, _path, _settings, _key, _snapshot, _version, _kind, options) => stored(path, options),
    updateDocumentWithKey: (path, _path, _settings, _key, _snapshot, _version, _kind, options) => stored(path, options),
    releaseDocument: () => undefined,
    releaseDocumentWithKey: () => undefined,
  };
}
