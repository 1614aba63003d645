import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { MessagePort } from "node:worker_threads";
import ts from "typescript";
import type { ModuleAnswer, ModuleQuestion } from "../runner/moduleHooks.ts";

interface ScannedFile { readonly mtimeMs: number; readonly imports: readonly string[] }

/** Answers the loader hooks: versions of local modules and their JavaScript. */
export class LocalModules {
  private readonly scanned = new Map<string, ScannedFile>();

  answer(port: MessagePort): void {
    port.on("message", ({ id, kind, path }: ModuleQuestion) => {
      let answer: ModuleAnswer;
      try {
        answer = { id, text: kind === "version" ? this.version(path) : transpile(path) };
      } catch (error) {
        // Whatever went wrong belongs to the import() that asked, not to this thread.
        answer = { id, text: "", error: error instanceof Error ? error.message : String(error) };
      }
      port.postMessage(answer);
    });
    port.unref();
  }

  /** A hash that changes when the file or any local file it imports, however deep, is written. */
  version(path: string): string {
    const hash = createHash("sha256");
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const scanned = this.scan(file);
      if (scanned === null) return;
      hash.update(`${file}\0${scanned.mtimeMs}\0`);
      for (const next of scanned.imports) visit(next);
    };
    visit(path);
    return hash.digest("hex").slice(0, 16);
  }

  private scan(path: string): ScannedFile | null {
    const mtimeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (mtimeMs === undefined) return null;
    const known = this.scanned.get(path);
    if (known?.mtimeMs === mtimeMs) return known;
    const isCode = /\.[mc]?[jt]s$/.test(path);
    const names = isCode ? ts.preProcessFile(readFileSync(path, "utf8"), true, true).importedFiles.map(({ fileName }) => fileName) : [];
    const imports = names.filter((name) => name.startsWith(".")).map((name) => resolve(dirname(path), name));
    const scanned = { mtimeMs, imports };
    this.scanned.set(path, scanned);
    return scanned;
  }
}

function transpile(path: string): string {
  const { outputText, diagnostics = [] } = ts.transpileModule(readFileSync(path, "utf8"), {
    fileName: path, reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, inlineSourceMap: true, inlineSources: true },
  });
  const [first] = diagnostics;
  if (first === undefined) return outputText;
  const position = first.file?.getLineAndCharacterOfPosition(first.start ?? 0) ?? { line: 0, character: 0 };
  throw new SyntaxError(`${path}:${position.line + 1}:${position.character + 1}: ${ts.flattenDiagnosticMessageText(first.messageText, "\n")}`);
}
