import ts from "#typescript";
import { excerpt } from "../runner/excerpt.ts";

/** One error in a cell, counted from 1 as editors do. */
export interface CellDiagnostic {
  /** TypeScript's number, e.g. 2304 for an undefined name. */
  readonly code: number;
  readonly message: string;
  readonly line: number;
  /** In UTF-16 units, as in V8's stack traces and in editors. */
  readonly column: number;
  /** Underlined length in UTF-16 units, within its line. */
  readonly length: number;
}

/** The implicit-any family: a notebook without tsconfig.json may leave types out. */
const IMPLICIT_ANY = { first: 7005, last: 7057 };
/** "Cannot find module"; a dynamic import may name a file that an earlier line writes. */
const MODULE_NOT_FOUND = 2307;
/** `import x = require("y")` and `export =` "when targeting ECMAScript modules": a cell is not a file of a module system. */
const ABOUT_MODULE_SYSTEM = new Set([1202, 1203]);
/** Declared but never used: names, imports, destructured elements, types. */
const UNUSED = new Set([6133, 6192, 6196, 6198, 6199]);

/** Unknown name (with or without a suggestion), export or module: wrong under any settings, so no second check is needed. */
const STRICTNESS_FREE = new Set([2304, 2305, 2307, 2552]);

/** More errors than this in one cell help nobody. */
const MAX_SHOWN = 20;

/** The errors of a check that count in a cell, whatever its tsconfig.json says.
 *  @param isRequirable tells whether a package can be loaded although TypeScript can't find its types */
export function cellErrors(diagnostics: readonly ts.Diagnostic[], isRequirable: (specifier: string) => boolean): ts.Diagnostic[] {
  return diagnostics.filter((diagnostic) => {
    if (diagnostic.category !== ts.DiagnosticCategory.Error || ABOUT_MODULE_SYSTEM.has(diagnostic.code)) return false;
    if (diagnostic.code !== MODULE_NOT_FOUND && !UNUSED.has(diagnostic.code)) return true;
    const nodes = nodesAround(diagnostic);
    // Later cells may use what is declared at the top level; the last two nodes are a name and its declaration.
    if (UNUSED.has(diagnostic.code)) return nodes.slice(0, -2).some((node) => ts.isFunctionLike(node) || ts.isBlock(node) || ts.isModuleBlock(node));
    if (nodes.some((node) => ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)) return false;
    const specifier = nodes.at(-1);
    return specifier === undefined || !ts.isStringLiteral(specifier) || !isRequirable(specifier.text);
  });
}

/** Those of them that a notebook without a tsconfig.json is not forgiven.
 *  @param isAlsoLoose tells whether the check without strictness finds an error at the same place; asked only when needed */
export function blockingErrors(errors: readonly ts.Diagnostic[], isAlsoLoose: (diagnostic: ts.Diagnostic) => boolean): ts.Diagnostic[] {
  return errors.filter((error) =>
    !(error.code >= IMPLICIT_ANY.first && error.code <= IMPLICIT_ANY.last)
    && (STRICTNESS_FREE.has(error.code) || isAlsoLoose(error)));
}

/** The nodes that contain the place of an error, outermost first. */
function nodesAround({ file, start }: ts.Diagnostic): ts.Node[] {
  if (file === undefined || start === undefined) return [];
  const nodes: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    if (start < node.getStart(file) || start >= node.end) return;
    nodes.push(node);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return nodes;
}

/** Whether a cell begins with `// @ts-nocheck`, before any code.
 *  Source: typescriptlang.org/docs/handbook/release-notes/typescript-3-7.html */
export function isUnchecked(code: string): boolean {
  const comments = ts.getLeadingCommentRanges(code, 0) ?? [];
  return comments.some(({ pos, end }) => /^\/\/\/?\s*@ts-nocheck\b/.test(code.slice(pos, end)));
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
  const end = /[\r\n\u2028\u2029]/g;
  end.lastIndex = start;
  return end.exec(text)?.index ?? text.length;
}

/** The error reply for a cell that was not run. */
export function describeDiagnostics(diagnostics: readonly CellDiagnostic[], code: string, cellName: string): {
  ename: string; evalue: string; traceback: string[];
} {
  const lines = code.split(/\r\n|[\n\r\u2028\u2029]/);
  const traceback = diagnostics.slice(0, MAX_SHOWN).flatMap(({ code: number, message, line, column, length }) => [
    `${cellName}:${line}:${column} - error TS${number}: ${message}`,
    excerpt(lines[line - 1] ?? "", line, column, length),
  ]);
  if (diagnostics.length > MAX_SHOWN) traceback.push(`… ${diagnostics.length - MAX_SHOWN} more errors`);
  const [first] = diagnostics;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  const evalue = first === undefined ? "" : `TS${first.code}: ${first.message} at ${cellName}:${first.line}:${first.column}${more}`;
  const isSyntax = first !== undefined && first.code < 2000;
  return { ename: isSyntax ? "SyntaxError" : "TypeScriptError", evalue, traceback };
}
