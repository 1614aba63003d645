import ts from "#typescript";
import type { Position } from "./positionMap.ts";

/** What the syntax of a source tells a debugger. */
export interface SourceSyntax {
  /** Where execution can stop, in order. V8 knows this for code that was run; a front end asks before. */
  readonly breakPlaces: readonly Position[];
  /** Blocks whose errors a catch clause takes. */
  readonly caughtRanges: readonly { readonly start: Position; readonly end: Position }[];
}

/** Reads a TypeScript or JavaScript source. */
export function readSyntax(code: string): SourceSyntax {
  const sourceFile = ts.createSourceFile("source.tsx", code, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  const places = new Map<number, Position>();
  const caughtRanges: { start: Position; end: Position }[] = [];
  const positionOf = (offset: number): Position => {
    const { line, character } = sourceFile.getLineAndCharacterOfPosition(offset);
    return { line, column: character };
  };
  const visit = (node: ts.Node): void => {
    if (isTypeOnly(node)) return;
    for (const offset of offsetsOf(node, sourceFile)) places.set(offset, positionOf(offset));
    if (ts.isTryStatement(node) && node.catchClause !== undefined) {
      caughtRanges.push({ start: positionOf(node.tryBlock.getStart(sourceFile)), end: positionOf(node.tryBlock.end) });
    }
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(sourceFile, visit);
  const breakPlaces = [...places].sort(([a], [b]) => a - b).map(([, position]) => position);
  return { breakPlaces, caughtRanges };
}

/** Whether an error thrown at a place is caught in the same source. */
export function isCaught({ caughtRanges }: SourceSyntax, place: Position): boolean {
  return caughtRanges.some(({ start, end }) => isBefore(start, place) && isBefore(place, end));
}

function isBefore(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.column <= b.column);
}

/** V8 stops before statements, calls and bodies of arrow functions, and where a function ends. */
function offsetsOf(node: ts.Node, sourceFile: ts.SourceFile): number[] {
  if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) return [node.body.getStart(sourceFile)];
  if (ts.isBlock(node)) return ts.isFunctionLike(node.parent) ? [node.end - 1] : [];
  if (ts.isPropertyDeclaration(node)) return node.initializer === undefined ? [] : [node.getStart(sourceFile)];
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) return [node.expression.name.getStart(sourceFile)];
  if (!ts.isStatement(node) || ts.isFunctionDeclaration(node) || ts.isEmptyStatement(node)) return [];
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.some(({ initializer }) => initializer !== undefined) ? [node.getStart(sourceFile)] : [];
  }
  return [node.getStart(sourceFile)];
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isTypeNode(node) || ts.isExportDeclaration(node)) return true;
  if (ts.isImportDeclaration(node)) return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
  return ts.canHaveModifiers(node) && (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) ?? false);
}
