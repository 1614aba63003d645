import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { MessagePort } from "node:worker_threads";
import ts from "#typescript";
import { excerpt } from "../runner/excerpt.ts";
import { existingFile, fileState, isLocal, statsOf } from "../runner/localPaths.ts";
import type { ModuleAnswer, ModuleQuestion } from "../runner/moduleQuestion.ts";
import { aliasedFile, packageFile } from "./pathAliases.ts";
import type { SourceStore } from "./sourceStore.ts";

interface ScannedFile { readonly state: string; readonly imports: readonly string[] }

/** Settings of the notebook's tsconfig.json that change what a module does. */
const EMIT_SETTINGS = ["paths", "baseUrl", "experimentalDecorators", "emitDecoratorMetadata", "useDefineForClassFields", "jsx", "jsxFactory", "jsxFragmentFactory", "jsxImportSource"] as const;

/** Answers the loader of local modules: their versions and their JavaScript. */
export class LocalModules {
  private readonly scanned = new Map<string, ScannedFile>();
  private readonly options: () => ts.CompilerOptions;
  private readonly cellPath: string;
  private readonly store: SourceStore;

  /** @param options settings of the notebook's project
   *  @param cellPath where packages are looked up from
   *  @param store has the texts of modules that are cells */
  constructor(options: () => ts.CompilerOptions, cellPath: string, store: SourceStore) {
    this.store = store;
    this.options = options;
    this.cellPath = cellPath;
  }

  answer(port: MessagePort): void {
    port.on("message", (question: ModuleQuestion) => {
      port.postMessage(this.answerTo(question));
      if (question.answered === undefined) return;
      Atomics.store(question.answered, 0, 1);
      Atomics.notify(question.answered, 0);
    });
    port.unref();
  }

  /** A hash that changes when the file or any local file it imports, however deep, is written. */
  version(path: string): string {
    const hash = createHash("sha256").update(JSON.stringify(this.emitSettings()));
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const scanned = this.scan(file);
      hash.update(`${file}\0${scanned?.state}\0`);
      for (const next of scanned?.imports ?? []) visit(next);
    };
    visit(path);
    return hash.digest("hex").slice(0, 16);
  }

  private answerTo({ id, kind, path }: ModuleQuestion): ModuleAnswer {
    try {
      if (kind === "resolve") return { id, text: this.packageFile(path), format: "module" };
      if (kind === "cell") return { id, text: this.moduleCell(path) ?? "", format: "module" };
      if (kind === "version") return { id, text: this.version(path), format: "module" };
      const text = this.textOf(path);
      const format = kind === "commonjs" || isCommonJs(path, text) ? "commonjs" : "module";
      return { id, text: this.transpile(path, text, format), format };
    } catch (error) {
      // Whatever went wrong belongs to the import() that asked, not to this thread.
      return { id, text: "", format: "module", error: error instanceof Error ? error.message : String(error) };
    }
  }

  /** @returns the file that import() of a package loads
   *  @throws Error when there is none */
  private packageFile(specifier: string): string {
    const found = packageFile(specifier, this.cellPath, this.options());
    if (found === null) throw new Error(`Cannot find package '${specifier}' imported from ${this.cellPath}`);
    return found;
  }

  private emitSettings(): ts.CompilerOptions {
    const options = this.options();
    return Object.fromEntries(EMIT_SETTINGS.map((name) => [name, options[name]]));
  }

  private scan(path: string): ScannedFile | null {
    const isCell = this.store.isVirtual(path);
    if (!isCell && statsOf(path) === null) return null;
    const state = isCell ? this.store.version(path) : fileState(path);
    const known = this.scanned.get(path);
    if (known?.state === state) return known;
    const names = /\.[mc]?[jt]sx?$/.test(path) ? ts.preProcessFile(this.textOf(path), true, true).importedFiles : [];
    const options = this.options();
    const imports = names.flatMap(({ fileName }) => {
      const file = isLocal(fileName) ? resolve(dirname(path), fileName) : aliasedFile(fileName, path, options);
      // A file that is not there yet counts too.
      return file === null ? [] : [existingFile(file) ?? this.moduleCell(file) ?? file];
    });
    const scanned = { state, imports };
    this.scanned.set(path, scanned);
    return scanned;
  }

  /** require() knows nothing of TypeScript's extensions, and nothing of Node.js knows the paths of tsconfig.json. */
  private fileName(specifier: string, path: string, format: ModuleAnswer["format"]): string | null {
    if (!isLocal(specifier)) return aliasedFile(specifier, path, this.options());
    return format === "commonjs" ? existingFile(resolve(dirname(path), specifier)) : null;
  }

  /** The module that a cell is, for the path of an import without extension. */
  private moduleCell(path: string): string | null {
    return [".ts", ".tsx"].map((extension) => path.replace(/\.[jt]sx?$/, "") + extension).find((file) => this.store.isVirtual(file)) ?? null;
  }

  private textOf(path: string): string {
    return (this.store.isVirtual(path) ? this.store.readText(path) : undefined) ?? readFileSync(path, "utf8");
  }

  private transpile(path: string, text: string, format: ModuleAnswer["format"]): string {
    // TypeScript loads `import x = require("y")` in a file that is a module by its name only.
    const importsByRequire = format === "module" && /\.ts$/.test(path) && /^\s*(export\s+)?import\s+[\w$]+\s*=\s*require\s*\(/m.test(text);
    const module = format === "commonjs" ? ts.ModuleKind.CommonJS : importsByRequire ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext;
    const { outputText, diagnostics = [] } = ts.transpileModule(text, {
      fileName: importsByRequire ? path.replace(/\.ts$/, ".mts") : path, reportDiagnostics: true,
      transformers: { before: [withFileNames((specifier) => this.fileName(specifier, path, format))] },
      compilerOptions: { ...this.emitSettings(), target: ts.ScriptTarget.ES2023, module, esModuleInterop: true, inlineSourceMap: true, inlineSources: true },
    });
    const first = diagnostics.find(({ file }) => file !== undefined);
    if (first?.file === undefined) return outputText;
    const { line, character } = first.file.getLineAndCharacterOfPosition(first.start ?? 0);
    const message = `${ts.flattenDiagnosticMessageText(first.messageText, "\n")} at ${path}:${line + 1}:${character + 1}`;
    throw new SyntaxError(`${message}\n${excerpt(text.split(/\r\n|[\n\r]/)[line] ?? "", line + 1, character + 1, first.length ?? 1)}`);
  }
}

/** Whether a TypeScript file is CommonJS: by its name, or because it exports the CommonJS way. */
function isCommonJs(path: string, text: string): boolean {
  if (/\.mts$/.test(path)) return false;
  return /\.cts$/.test(path) || /^\s*export\s*=/m.test(text) || (!/^\s*(import|export)\b/m.test(text) && /\bmodule\.exports\b/.test(text));
}

/** Gives specifiers the names of the files they mean, where Node.js would not find them.
 *  @param fileName null for a specifier that is right as it is */
function withFileNames(fileName: (specifier: string) => string | null): ts.TransformerFactory<ts.SourceFile> {
  return (context) => {
    const visit = (node: ts.Node): ts.Node => {
      const name = ts.isStringLiteral(node) && isSpecifier(node) ? fileName(node.text) : null;
      return name === null ? ts.visitEachChild(node, visit, context) : context.factory.createStringLiteral(name);
    };
    return (sourceFile) => ts.visitEachChild(sourceFile, visit, context);
  };
}

function isSpecifier({ parent }: ts.StringLiteral): boolean {
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent) || ts.isExternalModuleReference(parent)) return true;
  return ts.isCallExpression(parent)
    && (parent.expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(parent.expression) && parent.expression.text === "require"));
}
