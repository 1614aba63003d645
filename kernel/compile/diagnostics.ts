import ts from "typescript";
import { excerpt } from "../runner/excerpt.ts";

/** One error in a cell, counted from 1 as editors do. */
export interface CellDiagnostic {
  /** TypeScript's number, e.g. 2304 for an undefined name. */
  readonly code: number;
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** Underlined length in UTF-16 units, within its line. */
  readonly length: number;
}

/** The implicit-any family: a notebook may leave types out. */
const IMPLICIT_ANY = { first: 7005, last: 7057 };
/** "Cannot find module"; a dynamic import may name a file that an earlier line writes. */
const MODULE_NOT_FOUND = 2307;

/** Unknown name (with or without a suggestion), export or module: wrong under any settings, so no second check is needed. */
const STRICTNESS_FREE = new Set([2304, 2305, 2307, 2552]);

/** The errors of a check that a notebook is not forgiven.
 *  @param isAlsoLoose tells whether the check without strictness finds an error at the same place; asked only when needed */
export function blockingDiagnostics(
  diagnostics: readonly ts.Diagnostic[], isAlsoLoose: (diagnostic: ts.Diagnostic) => boolean,
): ts.Diagnostic[] {
  return diagnostics.filter((diagnostic) =>
    diagnostic.category === ts.DiagnosticCategory.Error
    && !(diagnostic.code >= IMPLICIT_ANY.first && diagnostic.code <= IMPLICIT_ANY.last)
    && !(diagnostic.code === MODULE_NOT_FOUND && isInDynamicImport(diagnostic))
    && (STRICTNESS_FREE.has(diagnostic.code) || isAlsoLoose(diagnostic)));
}

function isInDynamicImport(diagnostic: ts.Diagnostic): boolean {
  const { file, start } = diagnostic;
  if (file === undefined || start === undefined) return false;
  let isDynamic = false;
  const visit = (node: ts.Node): void => {
    if (start < node.getStart(file) || start >= node.end) return;
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) isDynamic = true;
    ts.forEachChild(node, visit);
  };
  visit(file);
  return isDynamic;
}

/** Positions relative to the cell, which starts `lineOffset` lines into its file. */
export function cellDiagnostic(diagnostic: ts.Diagnostic, lineOffset: number): CellDiagnostic {
  const start = diagnostic.start ?? 0;
  const position = diagnostic.file?.getLineAndCharacterOfPosition(start) ?? { line: lineOffset, character: 0 };
  const lineEnd = diagnostic.file === undefined ? start : endOfLine(diagnostic.file.text, start);
  return {
    code: diagnostic.code,
    message: ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"),
    line: position.line - lineOffset + 1,
    column: position.character + 1,
    length: Math.max(1, Math.min(diagnostic.length ?? 1, lineEnd - start)),
  };
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end < 0 ? text.length : end;
}

/** The error reply for a cell that was not run. */
export function describeDiagnostics(diagnostics: readonly CellDiagnostic[], code: string, cellName: string): {
  ename: string; evalue: string; traceback: string[];
} {
  const lines = code.split("\n");
  const traceback = diagnostics.flatMap(({ code: number, message, line, column, length }) => [
    `${cellName}:${line}:${column} - error TS${number}: ${message}`,
    excerpt(lines[line - 1] ?? "", line, column, length),
  ]);
  const [first] = diagnostics;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  const evalue = first === undefined ? "" : `TS${first.code}: ${first.message} at ${cellName}:${first.line}:${first.column}${more}`;
  const isSyntax = first !== undefined && first.code < 2000;
  return { ename: isSyntax ? "SyntaxError" : "TypeScriptError", evalue, traceback };
}
