import ts from "#typescript";
import type { NotebookLanguage } from "../notebookLanguage.ts";

/** Parses a cell as TypeScript, or as TypeScript with JSX where only that makes sense of it: a cell has no file name to
 *  tell, and `<T>value` means something else in JSX. In JavaScript it means nothing else. */
export function parseCell(code: string, language: NotebookLanguage = "typescript"): ts.SourceFile {
  if (language === "javascript") return parse("cell.js", code);
  const plain = parse("cell.ts", code);
  if (!mayHoldJsx(code) || syntaxErrors(plain) === 0) return plain;
  const withJsx = parse("cell.tsx", code);
  const gained = syntaxErrors(plain) - syntaxErrors(withJsx);
  // Both are wrong: then an element that is opened and closed tells what was meant.
  const isMeant = gained > 0 || (gained === 0 && /<([\w.]*)(\s[^]*?)?>[^]*<\/\1>/.test(code));
  return isMeant && containsJsx(withJsx) ? withJsx : plain;
}

/** What a parsed cell is: TypeScript or JavaScript, with or without JSX. */
export function scriptKindOf(cell: ts.SourceFile): ts.ScriptKind {
  const isJavaScript = (cell.flags & ts.NodeFlags.JavaScriptFile) !== 0;
  if (!isJavaScript) return cell.languageVariant === ts.LanguageVariant.JSX ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  return mayHoldJsx(cell.text) && containsJsx(cell) ? ts.ScriptKind.JSX : ts.ScriptKind.JS;
}

/** Every piece of JSX ends in `</…>` or `/>`. */
export function mayHoldJsx(code: string): boolean {
  return /<\/|\/>/.test(code);
}

function parse(name: string, code: string): ts.SourceFile {
  return ts.createSourceFile(name, code, ts.ScriptTarget.ES2023, false);
}

/** The parser's own list, which the typings leave out: a program would have to be made to ask for it. */
function syntaxErrors(sourceFile: ts.SourceFile): number {
  const errors: unknown = Reflect.get(sourceFile, "parseDiagnostics");
  return Array.isArray(errors) ? errors.length : 0;
}

function containsJsx(node: ts.Node): boolean {
  if (ts.isJsxElement(node) || ts.isJsxSelfClosingElement(node) || ts.isJsxFragment(node)) return true;
  return ts.forEachChild(node, containsJsx) ?? false;
}
