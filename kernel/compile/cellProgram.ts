import ts from "#typescript";
import type { NodeTypes } from "./nodeTypes.ts";
import { storeCompilerHost } from "./sourceStore.ts";
import type { SourceStore } from "./sourceStore.ts";

/** TypeScript's own step between parsing and checking, which its typings leave out. */
interface Binder { bindSourceFile(file: ts.SourceFile, options: ts.CompilerOptions): void }

/** What makes a cell part of the program's structure: imports, exports, ambient declarations, references. */
const STRUCTURAL = /\b(?:import|export|require|declare|module|namespace|global|reference|amd|jsx)\b/;
/** What a program notes on its files. */
const PROGRAM_FIELDS = ["resolvedPath", "originalFileName", "packageJsonLocations", "packageJsonScope", "imports", "moduleAugmentations", "ambientModuleNames"];
/** A checker keeps what it learned about every file it has seen; so many cells cost it about 1 MB. */
const MAX_CELLS = 50;

/** A TypeScript program that is renewed from its predecessor. A cell without imports and the like is put into the
 *  program that is there, with its checker: that saves half of a trivial cell's time. */
export class CellProgram {
  readonly options: ts.CompilerOptions;
  private readonly store: SourceStore;
  private readonly nodeTypes: NodeTypes;
  private readonly rootPaths: readonly string[];
  private readonly cellPath: string;
  private readonly host: ts.CompilerHost;
  private program: ts.Program | undefined;
  /** How the program asked for the cell's file; null before it did. */
  private cellOptions: ts.ScriptTarget | ts.CreateSourceFileOptions | null = null;
  /** Whether the program may take another cell. */
  private isReusable = false;
  private storeState = -1;
  private cells = 0;

  /** @param rootPaths the last is the cell's
   *  @param folder the notebook's folder */
  constructor(store: SourceStore, nodeTypes: NodeTypes, rootPaths: readonly string[], options: ts.CompilerOptions, folder: string) {
    this.store = store;
    this.nodeTypes = nodeTypes;
    this.rootPaths = rootPaths;
    this.cellPath = rootPaths.at(-1) ?? "";
    this.options = options;
    const host = storeCompilerHost(store, options, folder);
    this.host = {
      ...host,
      getSourceFile: (path, languageOptions) => {
        if (path === this.cellPath) this.cellOptions = languageOptions;
        return store.sourceFile(path, languageOptions);
      },
    };
  }

  /** The program of the store's present state. */
  refresh(): ts.Program {
    const reused = this.withCell();
    if (reused !== null) return reused;
    this.program = this.nodeTypes.watch(
      ts.createProgram({ rootNames: this.rootPaths, options: this.options, host: this.host, oldProgram: this.program }));
    this.storeState = this.store.stateWithout(this.cellPath);
    this.isReusable = this.isPlainCell();
    this.cells = 0;
    return this.program;
  }

  /** Makes the next program a new one: after errors, since a checker tells some of them only once. */
  renew(): void {
    this.isReusable = false;
  }

  /** The present program with the cell as it is now, or null where a new one is needed. */
  private withCell(): ts.Program | null {
    const { program, cellOptions } = this;
    const old = program?.getSourceFile(this.cellPath);
    if (program === undefined || cellOptions === null || old === undefined || !this.isReusable || !this.isPlainCell()) return null;
    if (this.cells >= MAX_CELLS || this.storeState !== this.store.stateWithout(this.cellPath) || this.hasChangedFiles(program)) return null;
    const fresh = this.store.sourceFile(this.cellPath, cellOptions);
    if (fresh === undefined || fresh === old) return fresh === undefined ? null : program;
    this.cells += 1;
    for (const name of PROGRAM_FIELDS) Object.assign(fresh, { [name]: Reflect.get(old, name) as unknown });
    // Its errors are kept under the path, and these are a new cell's.
    Object.assign(fresh, { path: `${this.cellPath}#${this.cells}` });
    (ts as typeof ts & Binder).bindSourceFile(fresh, this.options);
    const find = program.getSourceFile.bind(program);
    program.getSourceFile = (path) => (path === this.cellPath ? fresh : find(path));
    return program;
  }

  private isPlainCell(): boolean {
    return this.store.isTypeScript(this.cellPath) && !STRUCTURAL.test(this.store.readText(this.cellPath) ?? "");
  }

  /** Local modules that earlier cells imported may be edited at any time. */
  private hasChangedFiles(program: ts.Program): boolean {
    return program.getSourceFiles().some((file) =>
      file.fileName !== this.cellPath && !file.fileName.includes("/node_modules/") && this.store.version(file.fileName) !== Reflect.get(file, "version"));
  }
}
