import { createRequire } from "node:module";
import { posix } from "node:path";
import ts from "#typescript";
import { CompilerError } from "../errors.ts";
import type { NotebookLanguage } from "../notebookLanguage.ts";
import { AMBIENT_DECLARATIONS } from "./ambient.ts";
import { CellProgram } from "./cellProgram.ts";
import { declarationsOf, identifiersOf } from "./declarations.ts";
import type { Declaration } from "./declarations.ts";
import { blockingErrors, cellDiagnostic, cellErrors, isUnchecked } from "./diagnostics.ts";
import type { CellDiagnostic } from "./diagnostics.ts";
import { Documentation } from "./documentation.ts";
import { mayHoldJsx, parseCell, scriptKindOf } from "./jsx.ts";
import { NodeTypes } from "./nodeTypes.ts";
import { cellOptions, looseOptions, nodeTypesManifest } from "./options.ts";
import { aliasedFile } from "./pathAliases.ts";
import { emitPlain } from "./plainEmit.ts";
import type { EmittedCell } from "./plainEmit.ts";
import { Scope } from "./scope.ts";
import { runtimeName } from "./shadowing.ts";
import { SourceStore } from "./sourceStore.ts";
import { afterTransforms, beforeTransforms } from "./transform.ts";
import type { CheckedCell } from "./transform.ts";
import { TsConfig } from "./tsconfig.ts";
import type { ProjectSettings } from "./tsconfig.ts";

/** A cell that may run. */
export interface CompiledCell {
  readonly isRunnable: true;
  /** A script for Runtime.evaluate in REPL mode. */
  readonly javascript: string;
  /** Source map, JSON, from the script to the cell's file. */
  readonly sourceMap: string;
  /** Lines of the cell's file that come before the user's first line. */
  readonly lineOffset: number;
  /** Top-level names that exist at run time; see shadowing.ts for those of globals. */
  readonly declaredNames: readonly string[];
  /** For keep(). */
  readonly source: CellSource;
}

/** A cell that must not run. */
export interface RefusedCell { readonly isRunnable: false; readonly diagnostics: readonly CellDiagnostic[] }

/** What is known of a cell before it is checked. */
interface ParsedCell {
  /** A line, with its line feed, that imports what the cell needs, or an empty string. */
  readonly prefix: string;
  readonly declarations: readonly Declaration[];
  readonly identifiers: ReadonlySet<string>;
  readonly scriptKind: ts.ScriptKind;
}

/** What the scope remembers of a cell that has been run. */
interface CellSource extends ParsedCell { readonly code: string }

/** Checks cells against everything that earlier cells declared and turns them into JavaScript.
 *
 *  Speed: the program always has the same three root files, and a cell that imports nothing new has the same imports
 *  as the one before (none), so TypeScript reuses the program's whole structure; measured 2 ms for the program,
 *  1.5 ms for its checker, 0.5 ms for check and emit of a trivial cell (TypeScript 6.0.3, 2 cores). */
export class CellCompiler {
  readonly store = new SourceStore();
  readonly scope = new Scope();
  readonly cellPath: string;
  readonly rootPaths: readonly string[];
  private readonly scopePath: string;
  private readonly folder: string;
  private readonly language: NotebookLanguage;
  private readonly nodeTypes: NodeTypes;
  private readonly tsconfig: TsConfig;
  private settings: ProjectSettings;
  private toldSettings: ProjectSettings | null = null;
  private strict: CellProgram;
  private loose: CellProgram;
  private hasJsx = false;
  private keptCells = 0;
  private isScopeStale = true;
  /** Whether the scope has changed since a program was made of it. */
  private isProgramStale = true;

  /** @param folder the notebook's folder */
  constructor(folder: string, language: NotebookLanguage = "typescript") {
    this.language = language;
    this.folder = folder.replaceAll("\\", "/");
    this.cellPath = posix.join(this.folder, "__cell.ts");
    this.scopePath = posix.join(this.folder, "__scope.ts");
    const ambientPath = posix.join(this.folder, "__ambient.d.ts");
    this.rootPaths = [ambientPath, this.scopePath, this.cellPath];
    this.store.setText(ambientPath, AMBIENT_DECLARATIONS);
    this.nodeTypes = new NodeTypes(this.store, nodeTypesManifest());
    this.tsconfig = new TsConfig(folder);
    this.settings = this.tsconfig.read();
    ({ strict: this.strict, loose: this.loose } = this.createPrograms());
    const program = this.strict.refresh();
    const ambient = program.getSourceFile(ambientPath);
    if (ambient !== undefined) new Documentation().install(program.getTypeChecker(), ambient);
  }

  /** The settings that cells are checked with; a new object when tsconfig.json or what it extends has changed. */
  get options(): ts.CompilerOptions {
    return this.strict.options;
  }

  /** The same settings for local modules, which may hold JSX before any cell does. */
  get moduleOptions(): ts.CompilerOptions {
    return cellOptions(this.settings, this.folder, true, this.language);
  }

  /** What is wrong with the notebook's tsconfig.json; each state of it is told once. */
  takeProblems(): readonly string[] {
    const isTold = this.toldSettings === this.settings;
    this.toldSettings = this.settings;
    return isTold ? [] : this.settings.problems;
  }

  /** @throws CompilerError E_COMPILE when TypeScript itself fails */
  compile(code: string): CompiledCell | RefusedCell {
    try {
      return this.checkAndEmit(code);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const isTooDeep = error instanceof RangeError;
      throw new CompilerError({
        code: "E_COMPILE", what: "The TypeScript compiler failed on this cell", cause: error,
        why: isTooDeep ? "its code is nested too deeply" : error.message,
        fix: isTooDeep ? "build the value in a loop, or read it from a file" : "divide the cell, and run the parts to find the line",
      });
    }
  }

  private checkAndEmit(code: string): CompiledCell | RefusedCell {
    this.followSettings();
    this.writeScope();
    let cell = this.setCell(code);
    if (this.store.hasJsx(this.cellPath) && this.takeJsxOptions()) cell = this.setCell(code);
    const { prefix, declarations } = cell;
    const lineOffset = prefix === "" ? 0 : 1;
    const program = this.strict.refresh();
    this.isProgramStale = false;
    const sourceFile = program.getSourceFile(this.cellPath);
    if (sourceFile === undefined) return { isRunnable: false, diagnostics: [] };
    const errors = this.errorsOf(program, sourceFile, code);
    if (this.nodeTypes.isTooSmall || (errors.length > 0 && !this.nodeTypes.isWhole)) {
      this.takeAllNodeTypes();
      return this.compile(code);
    }
    if (errors.length > 0) {
      this.strict.renew();
      this.loose.renew();
      return { isRunnable: false, diagnostics: errors.map((error) => cellDiagnostic(error, lineOffset)) };
    }
    const ownNames = new Set(declarations.filter(({ isAmbient }) => !isAmbient).map(({ name }) => name));
    const emitted = emitCell(program, sourceFile, {
      checker: program.getTypeChecker(), prefixEnd: prefix.length, cellFiles: [this.cellPath, this.scopePath],
      cellNames: [...cell.identifiers].filter((name) => ownNames.has(name) || this.scope.has(name)),
      aliasedFile: (specifier) => aliasedFile(specifier, this.cellPath, this.options),
    });
    return { isRunnable: true, ...emitted, lineOffset, declaredNames: declarations.map(({ name }) => runtimeName(name)), source: { code, ...cell } };
  }

  /** Makes a cell the local module "./name", for types and for imports; nothing is written to disk.
   *  @returns errors in its syntax; its types are checked where it is imported */
  addModule(name: string, code: string, hasJsx: boolean): readonly CellDiagnostic[] {
    const path = posix.join(this.folder, `${name}${hasJsx ? ".tsx" : ".ts"}`);
    const { diagnostics = [] } = ts.transpileModule(code, { fileName: path, reportDiagnostics: true, compilerOptions: this.moduleOptions });
    const javaScript = hasJsx ? ts.ScriptKind.JSX : ts.ScriptKind.JS;
    this.store.setText(path, code, this.language === "javascript" ? javaScript : undefined);
    return diagnostics.filter(({ file }) => file !== undefined).map((diagnostic) => cellDiagnostic(diagnostic, 0));
  }

  /** Makes properties of globalThis known to later cells, as any where no cell declared them. */
  noteGlobals(names: readonly string[]): void {
    if (this.scope.addUntyped(names)) this.isScopeStale = true;
  }

  /** Makes the names of a cell known to later cells. */
  keep({ source: cell }: CompiledCell): void {
    if (cell.declarations.length === 0) return;
    const ownNames = new Set(cell.declarations.map(({ name }) => name));
    const module = `./__cell-${++this.keptCells}.ts`;
    const exported = cell.declarations.filter(({ isExported }) => !isExported).map(({ name }) => name);
    const imports = this.scope.importLine(cell.identifiers, ownNames, "all");
    this.store.setText(posix.join(this.folder, module), `${imports}\n${cell.code}\nexport { ${exported.join(", ")} };\n`, cell.scriptKind);
    this.scope.add(module, cell.declarations);
    this.isScopeStale = true;
  }

  /** The names that cells have declared, newest last, with their types as TypeScript prints them; "type" for those that
   *  are nothing at run time. */
  names(): { readonly name: string; readonly type: string }[] {
    this.followSettings();
    this.writeScope();
    // Each name as a statement of its own.
    this.setCell(this.scope.names().join(";\n"));
    const program = this.strict.refresh();
    const checker = program.getTypeChecker();
    const found = (program.getSourceFile(this.cellPath)?.statements ?? []).flatMap((statement) => {
      if (!ts.isExpressionStatement(statement)) return [];
      const symbol = checker.getSymbolAtLocation(statement.expression);
      const type = checker.typeToString(checker.getTypeAtLocation(statement.expression));
      return [{ name: statement.expression.getText(), type: symbol === undefined ? "type" : type }];
    });
    this.store.setText(this.cellPath, "");
    return found;
  }

  /** Removes names from the scope of later cells. */
  forget(names: readonly string[]): void {
    this.scope.forget(names);
    this.isScopeStale = true;
  }

  /** Brings the program up to date with what keep() added, so that the next compile is fast; costs about 20 ms after a declaration. */
  updateScope(): void {
    this.writeScope();
    if (!this.isProgramStale && !this.strict.isOld) return;
    this.isProgramStale = false;
    this.strict.renew();
    this.store.setText(this.cellPath, "");
    this.strict.refresh().getTypeChecker();
  }

  /** Declares all of Node.js to the cells, which costs half a second once; see nodeTypes.ts. */
  takeAllNodeTypes(): void {
    if (this.nodeTypes.isWhole) return;
    this.nodeTypes.takeWhole();
    // What is in scope then are the library's names alone.
    this.store.setText(this.scopePath, new Scope().render());
    this.store.setText(this.cellPath, "");
    this.scope.setLibraryNames(libraryNames(this.strict.refresh(), this.cellPath));
    this.isScopeStale = true;
  }

  /** tsconfig.json may be written while the kernel runs. */
  private followSettings(): void {
    const settings = this.tsconfig.read();
    if (settings === this.settings) return;
    this.settings = settings;
    ({ strict: this.strict, loose: this.loose } = this.createPrograms());
    this.isScopeStale = true;
  }

  /** JSX brings an import into every cell, so its settings are taken when the first cell with JSX comes.
   *  @returns whether they are other than before; the cell is then to be set again */
  private takeJsxOptions(): boolean {
    this.hasJsx = true;
    const { jsx, jsxImportSource } = this.moduleOptions;
    if (jsx === this.options.jsx && jsxImportSource === this.options.jsxImportSource) return false;
    ({ strict: this.strict, loose: this.loose } = this.createPrograms());
    this.isScopeStale = true;
    this.writeScope();
    return true;
  }

  private createPrograms(): { readonly strict: CellProgram; readonly loose: CellProgram } {
    // Without the names of cells, so that what is left is the library's.
    this.store.setText(this.scopePath, new Scope().render());
    this.store.setText(this.cellPath, "");
    const options = cellOptions(this.settings, this.folder, this.hasJsx, this.language);
    const strict = new CellProgram(this.store, this.nodeTypes, this.rootPaths, options, this.folder);
    this.scope.setLibraryNames(libraryNames(strict.refresh(), this.cellPath));
    return { strict, loose: new CellProgram(this.store, this.nodeTypes, this.rootPaths, looseOptions(options), this.folder) };
  }

  /** Brings the file that declares earlier cells' names up to date. */
  writeScope(): void {
    if (!this.isScopeStale) return;
    this.store.setText(this.scopePath, this.scope.render());
    this.isScopeStale = false;
    this.isProgramStale = true;
  }

  /** Puts code into the cell's file, after the imports it needs. */
  setCell(code: string): ParsedCell {
    const parsed = this.parse(code);
    const declarations = declarationsOf(parsed);
    const identifiers = identifiersOf(parsed);
    const line = this.scope.importLine(identifiers, new Set(declarations.map(({ name }) => name)), "library");
    const prefix = line === "" ? "" : `${line}\n`;
    const scriptKind = scriptKindOf(parsed);
    this.store.setText(this.cellPath, prefix + code, scriptKind);
    return { prefix, declarations, identifiers, scriptKind };
  }

  /** Without JSX what is parsed is the program's own file, and parsed only once if no imports come before it. */
  private parse(code: string): ts.SourceFile {
    if (this.language === "javascript" || mayHoldJsx(code)) return parseCell(code, this.language);
    this.store.setText(this.cellPath, code, ts.ScriptKind.TS);
    return this.strict.cellFile() ?? parseCell(code);
  }

  /** The cell that was set last, parsed. */
  cellFile(): ts.SourceFile | undefined {
    return this.strict.cellFile();
  }

  private errorsOf(program: ts.Program, sourceFile: ts.SourceFile, code: string): ts.Diagnostic[] {
    // What stands before the code is TypeScript, also in JavaScript.
    const prefixEnd = sourceFile.text.length - code.length;
    const syntaxErrors = program.getSyntacticDiagnostics(sourceFile).filter(({ start }) => start >= prefixEnd);
    if (syntaxErrors.length > 0) return [...syntaxErrors];
    if (isUnchecked(code)) return [];
    const errors = cellErrors(program.getSemanticDiagnostics(sourceFile), (specifier) => this.isRequirable(specifier));
    if (this.settings.path !== null) return errors;
    let looseStarts: Set<number | undefined> | null = null;
    return blockingErrors(errors, (diagnostic) => {
      looseStarts ??= new Set(this.looseErrors().map(({ start }) => start));
      return looseStarts.has(diagnostic.start);
    });
  }

  /** Packages with only a "require" export are loaded by an import all the same; see runner/importer.ts. */
  private isRequirable(specifier: string): boolean {
    if (/^[./]/.test(specifier)) return false;
    try {
      return createRequire(this.cellPath).resolve(specifier) !== "";
    } catch (error) {
      // Node.js's ways to say that there is no such package or no such path in it.
      if (error instanceof Error) return false;
      throw error;
    }
  }

  private looseErrors(): readonly ts.Diagnostic[] {
    const program = this.loose.refresh();
    const sourceFile = program.getSourceFile(this.cellPath);
    return sourceFile === undefined ? [] : program.getSemanticDiagnostics(sourceFile);
  }
}

function emitCell(program: ts.Program, sourceFile: ts.SourceFile, cell: CheckedCell): EmittedCell {
  const isAsWritten = cell.prefixEnd === 0 && cell.cellNames.every((name) => runtimeName(name) === name);
  const plain = isAsWritten ? emitPlain(cell.checker, sourceFile) : null;
  if (plain !== null) return plain;
  let javascript = "";
  let sourceMap = "";
  program.emit(sourceFile, (path, text) => {
    if (path.endsWith(".map")) sourceMap = text;
    else javascript = text.replace(/\/\/# sourceMappingURL=.*\s*$/, "");
  }, undefined, false, { before: [beforeTransforms(cell)], after: [afterTransforms()] });
  return { javascript, sourceMap };
}

function libraryNames(program: ts.Program, cellPath: string): Set<string> {
  const sourceFile = program.getSourceFile(cellPath);
  if (sourceFile === undefined) return new Set();
  const meanings = ts.SymbolFlags.Value | ts.SymbolFlags.Type | ts.SymbolFlags.Namespace;
  return new Set(program.getTypeChecker().getSymbolsInScope(sourceFile, meanings).map((symbol) => symbol.name));
}
