import ts from "#typescript";
import type { ValuePath, ValueStep } from "../runner/valuePath.ts";
import { runtimeName } from "../compile/shadowing.ts";
import { scopePath } from "./openCell.ts";
import type { OpenCell } from "./openCell.ts";

/** Callbacks of these get an element of the array: which parameter it is. */
const ELEMENT_PARAMETERS: Readonly<Record<string, number>> = {
  map: 0, filter: 0, forEach: 0, find: 0, findIndex: 0, findLast: 0, findLastIndex: 0, some: 0, every: 0, flatMap: 0, reduce: 1, reduceRight: 1,
};
/** Methods whose result is an array of the same elements. */
const SAME_ELEMENTS = new Set(["filter", "slice", "toSorted", "sort", "reverse", "toReversed", "concat"]);
/** Methods whose result is an element. */
const ONE_ELEMENT = new Set(["at", "find", "findLast", "pop", "shift"]);
/** Longer chains are not followed. */
const MAX_DEPTH = 30;

/** The value at run time that an expression stands for, or one like it: an element stands for each other one.
 *  The expression itself is never run.
 *  @returns null where that can't be told, as for calls of the user's functions */
export function valuePathOf(cell: OpenCell, expression: ts.Expression): ValuePath | null {
  return pathOf(cell, expression, MAX_DEPTH);
}

function pathOf(cell: OpenCell, node: ts.Expression, depth: number): ValuePath | null {
  if (depth === 0) return null;
  const inner = (next: ts.Expression): ValuePath | null => pathOf(cell, next, depth - 1);
  if (ts.isIdentifier(node)) return ofName(cell, node, depth);
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isNonNullExpression(node)) return inner(node.expression);
  if (ts.isPropertyAccessExpression(node)) return extended(inner(node.expression), { kind: "member", name: node.name.text });
  if (ts.isElementAccessExpression(node)) {
    const key = node.argumentExpression;
    const isFixed = ts.isStringLiteralLike(key) || ts.isNumericLiteral(key);
    return extended(inner(node.expression), isFixed ? { kind: "member", name: key.text } : { kind: "element" });
  }
  return ts.isCallExpression(node) ? ofCall(node, inner) : null;
}

function ofCall(node: ts.CallExpression, inner: (next: ts.Expression) => ValuePath | null): ValuePath | null {
  if (!ts.isPropertyAccessExpression(node.expression)) return null;
  const { expression: receiver, name: { text: method } } = node.expression;
  const [argument] = node.arguments;
  if (method === "get" && argument !== undefined && ts.isStringLiteralLike(argument)) return extended(inner(receiver), { kind: "get", key: argument.text });
  if (SAME_ELEMENTS.has(method)) return inner(receiver);
  return ONE_ELEMENT.has(method) ? extended(inner(receiver), { kind: "element" }) : null;
}

function extended(path: ValuePath | null, step: ValueStep): ValuePath | null {
  return path === null ? null : { root: path.root, steps: [...path.steps, step] };
}

function ofName(cell: OpenCell, node: ts.Identifier, depth: number): ValuePath | null {
  if (node.text === "globalThis") return { root: "", steps: [] };
  const declaration = cell.checker.getSymbolAtLocation(node)?.declarations?.[0];
  const declaredIn = declaration?.getSourceFile().fileName;
  const isOfCells = declaredIn === cell.sourceFile.fileName || declaredIn === scopePath(cell);
  const global: ValuePath = { root: isOfCells ? runtimeName(node.text) : node.text, steps: [] };
  if (declaration === undefined || declaredIn !== cell.sourceFile.fileName) return global;
  if (ts.isParameter(declaration)) return ofParameter(cell, declaration, depth);
  if (!ts.isVariableDeclaration(declaration)) return isTopLevel(declaration) ? global : null;
  const loop = declaration.parent.parent;
  if (ts.isForOfStatement(loop) && ts.isIdentifier(declaration.name)) return extended(pathOf(cell, loop.expression, depth - 1), { kind: "element" });
  // The cell has not run: what the name is to be says more than what an earlier cell left in it.
  const { initializer } = declaration;
  const initial = initializer !== undefined && ts.isIdentifier(declaration.name) ? pathOf(cell, initializer, depth - 1) : null;
  return initial ?? (isTopLevel(declaration) ? global : null);
}

function ofParameter(cell: OpenCell, parameter: ts.ParameterDeclaration, depth: number): ValuePath | null {
  const callback = parameter.parent;
  if (!ts.isArrowFunction(callback) && !ts.isFunctionExpression(callback)) return null;
  const call = callback.parent;
  if (!ts.isCallExpression(call) || call.arguments[0] !== callback || !ts.isPropertyAccessExpression(call.expression)) return null;
  const { expression: receiver, name: { text: method } } = call.expression;
  if (ELEMENT_PARAMETERS[method] !== callback.parameters.indexOf(parameter)) return null;
  return extended(pathOf(cell, receiver, depth - 1), { kind: "element" });
}

function isTopLevel(declaration: ts.Declaration): boolean {
  let node: ts.Node = declaration.parent;
  while (ts.isVariableDeclarationList(node) || ts.isVariableStatement(node) || ts.isBindingElement(node) || ts.isObjectBindingPattern(node) || ts.isArrayBindingPattern(node)
    || ts.isVariableDeclaration(node) || ts.isImportClause(node) || ts.isNamedImports(node) || ts.isImportDeclaration(node)) node = node.parent;
  return ts.isSourceFile(node);
}
