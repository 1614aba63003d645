import ts from "#typescript";
import type { SourceStore } from "./sourceStore.ts";

/** TypeScript's own step between parsing and checking, which its typings leave out. */
interface Binder { bindSourceFile(file: ts.SourceFile, options: ts.CompilerOptions): void }

/** What makes a cell part of the program's structure: imports, exports, ambient declarations, references. */
const STRUCTURAL = /\b(?:import|export|require|declare|module|namespace|global|reference|amd|jsx)\b/;
/** What a program notes on its files. */
const PROGRAM_FIELDS = ["resolvedPath", "originalFileName", "packageJsonLocations", "packageJsonScope", "imports", "moduleAugmentations", "ambientModuleNames"];
/** A checker keeps what it learned about every file it has seen; so many cells cost it about 1 MB. */
const MAX_CELLS = 50;
/** With so many a program is old: better renewed in a quiet moment than by the cell that is one too many. */
const OLD_CELLS = 30;

/** Number of the last cell that was put into any program. */
let lastCell = 0;

/** The cell's place in a program. A cell without imports and the like is put into the program that is there, with its
 *  checker, which saves a new program's time: 2 ms where nothing is imported, 40 where large libraries are. */
export class CellSlot {
  private readonly store: SourceStore;
  private readonly cellPath: string;
  /** Changes when the text of a file may have changed. */
  private readonly versionOf: (path: string) => string;
  private program: ts.Program | null = null;
  private cell: ts.SourceFile | undefined;
  private firstCell: ts.SourceFile | undefined;
  /** Whether the program may take another cell. */
  private isReusable = false;
  private storeState = -1;
  private numCells = 0;
  /** Files that may change while the kernel runs, but for the cell's. */
  private userFiles: readonly ts.SourceFile[] = [];

  constructor(store: SourceStore, cellPath: string, versionOf: (path: string) => string) {
    this.store = store;
    this.cellPath = cellPath;
    this.versionOf = versionOf;
  }

  /** Whether the program is better renewed when there is time. */
  get isOld(): boolean {
    return this.numCells >= OLD_CELLS;
  }

  /** Takes a new program of the store's present state. */
  hold(program: ts.Program): ts.Program {
    if (this.program === program) {
      // TypeScript found that nothing has changed since it was made.
      this.cell = this.firstCell;
      return program;
    }
    this.program = program;
    this.cell = this.firstCell = program.getSourceFile(this.cellPath);
    const find = program.getSourceFile.bind(program);
    program.getSourceFile = (path) => (path === this.cellPath && this.program === program ? this.cell : find(path));
    this.storeState = this.store.stateWithout(this.cellPath);
    this.isReusable = this.isPlainCell();
    this.userFiles = program.getSourceFiles().filter(({ fileName }) => fileName !== this.cellPath && !fileName.includes("/node_modules/"));
    this.numCells = 0;
    return program;
  }

  /** Makes the next program a new one: after errors, since a checker tells some of them only once. */
  renew(): void {
    this.isReusable = false;
  }

  /** The program with this cell, or null where a new one is needed.
   *  @param fresh the cell as it is now, parsed */
  put(fresh: ts.SourceFile | undefined): ts.Program | null {
    const { program, cell: old } = this;
    if (program === null || fresh === undefined || old === undefined || !this.isReusable || !this.isPlainCell()) return null;
    if (this.numCells >= MAX_CELLS || this.storeState !== this.store.stateWithout(this.cellPath) || this.hasChangedFiles()) return null;
    if (fresh === old) return program;
    this.numCells += 1;
    for (const name of PROGRAM_FIELDS) Object.assign(fresh, { [name]: Reflect.get(old, name) as unknown });
    // A program keeps errors by path, and these are a new cell's. Several programs share the file: no number comes twice.
    Object.assign(fresh, { path: `${this.cellPath}#${++lastCell}` });
    (ts as typeof ts & Binder).bindSourceFile(fresh, program.getCompilerOptions());
    this.cell = fresh;
    return program;
  }

  private isPlainCell(): boolean {
    return !this.store.hasJsx(this.cellPath) && !STRUCTURAL.test(this.store.readText(this.cellPath) ?? "");
  }

  /** Local modules that earlier cells imported may be edited at any time. */
  private hasChangedFiles(): boolean {
    return this.userFiles.some((file) => this.versionOf(file.fileName) !== Reflect.get(file, "version"));
  }
}
