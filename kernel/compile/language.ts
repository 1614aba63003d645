import { dirname } from "node:path";
import ts from "typescript";
import type { CellCompiler } from "./cellCompiler.ts";
import { strictOptions } from "./options.ts";

export interface Completion { readonly name: string; readonly kind: string }
export interface Description { readonly text: string; readonly markdown: string }
export type Completeness = { readonly status: "complete" | "invalid" } | { readonly status: "incomplete"; readonly indent: string };

/** Longer lists help nobody and slow front ends down. */
const MAX_COMPLETIONS = 1000;
const INDENT = "  ";
/** Unterminated template literal, comment, regular expression: more lines may end them. */
const UNTERMINATED_CODES = new Set([1160, 1010, 1161]);

/** Answers questions about code that is being written, knowing what earlier cells declared. */
export class CellLanguage {
  private readonly compiler: CellCompiler;
  private readonly service: ts.LanguageService;

  constructor(compiler: CellCompiler) {
    this.compiler = compiler;
    this.service = ts.createLanguageService(serviceHost(compiler), sharedRegistry(compiler));
  }

  /** @param cursor UTF-16 units from the start of the code
   *  @returns where the completed word starts, and what may stand there */
  complete(code: string, cursor: number): { start: number; entries: Completion[] } {
    const offset = this.open(code);
    const start = cursor - (/[\w$]*$/.exec(code.slice(0, cursor))?.[0].length ?? 0);
    const typed = code.slice(start, cursor);
    const found = this.service.getCompletionsAtPosition(this.compiler.cellPath, offset + cursor, {});
    const entries = (found?.entries ?? []).filter(({ name, kind }) =>
      name.startsWith(typed) && kind !== ts.ScriptElementKind.warning
      && (kind !== ts.ScriptElementKind.keyword || typed !== "") && !name.startsWith("__moeLab"));
    entries.sort((a, b) => (a.sortText < b.sortText ? -1 : Number(a.sortText > b.sortText)));
    return { start, entries: entries.slice(0, MAX_COMPLETIONS).map(({ name, kind }) => ({ name, kind })) };
  }

  /** Type and documentation of the name at the cursor, or just before it. */
  describe(code: string, cursor: number): Description | null {
    const offset = this.open(code);
    for (const position of [cursor, cursor - 1]) {
      if (position < 0) continue;
      const info = this.service.getQuickInfoAtPosition(this.compiler.cellPath, offset + position);
      if (info === undefined) continue;
      const signature = ts.displayPartsToString(info.displayParts);
      const documentation = ts.displayPartsToString(info.documentation);
      const tags = (info.tags ?? []).map(({ name, text }) => `@${name} ${ts.displayPartsToString(text)}`).join("\n");
      const parts = [documentation, tags].filter((part) => part !== "");
      return { text: [signature, ...parts].join("\n\n"), markdown: [`\`\`\`typescript\n${signature}\n\`\`\``, ...parts].join("\n\n") };
    }
    return null;
  }

  /** Whether code is whole, could go on, or is wrong. */
  completeness(code: string): Completeness {
    const { diagnostics = [] } = ts.transpileModule(code, { reportDiagnostics: true, compilerOptions: strictOptions() });
    const errors = diagnostics.filter(({ category, file }) => category === ts.DiagnosticCategory.Error && file !== undefined);
    if (errors.length === 0) return { status: "complete" };
    const end = code.trimEnd().length;
    const goesOn = errors.some(({ code: number, start }) => UNTERMINATED_CODES.has(number) || (start ?? 0) >= end);
    if (!goesOn) return { status: "invalid" };
    const lastLine = code.trimEnd().split("\n").at(-1) ?? "";
    const deeper = /[{([]$|=>$/.test(lastLine) ? INDENT : "";
    return { status: "incomplete", indent: (/^\s*/.exec(lastLine)?.[0] ?? "") + deeper };
  }

  private open(code: string): number {
    this.compiler.updateScope();
    return this.compiler.setCell(code).prefix.length;
  }
}

function serviceHost({ store, rootPaths, cellPath }: CellCompiler): ts.LanguageServiceHost {
  const options = strictOptions();
  return {
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...rootPaths],
    getScriptVersion: (path) => store.version(path),
    getScriptSnapshot: (path) => {
      const text = store.readText(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => dirname(cellPath),
    getDefaultLibFileName: (settings) => ts.getDefaultLibFilePath(settings),
    fileExists: (path) => store.exists(path),
    readFile: (path) => store.readText(path),
    readDirectory: (...rest) => ts.sys.readDirectory(...rest),
    directoryExists: (path) => store.directoryExists(path),
    realpath: (path) => store.realPath(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
  };
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
