import ts from "#typescript";
import { nodeBefore } from "./openCell.ts";

/** What the cursor is in. `start`: where the text that is being typed begins, in the source file. */
export type CursorContext =
  | { readonly kind: "name"; readonly start: number }
  /** Behind a dot. */
  | { readonly kind: "member"; readonly start: number; readonly object: ts.Expression }
  | StringContext;

export interface StringContext {
  readonly kind: "string";
  readonly start: number;
  readonly literal: ts.StringLiteralLike;
  readonly role: StringRole;
}

/** What a string is for. */
export type StringRole =
  | { readonly kind: "module" }
  /** `object["…"]` */
  | { readonly kind: "key"; readonly object: ts.Expression }
  /** An argument, or within one, of `object.method(…)`. */
  | { readonly kind: "argument"; readonly object: ts.Expression; readonly method: string }
  | { readonly kind: "other" };

const NAME_BEFORE = /#?[\p{ID_Continue}$\u200c\u200d]*$/u;

/** The part of a name that stands before the cursor; in a string it may be part of a path. */
export function wordBefore(code: string, cursor: number): string {
  return NAME_BEFORE.exec(code.slice(0, cursor))?.[0] ?? "";
}

/** @param position of the cursor in the source file, UTF-16 units */
export function cursorContext(sourceFile: ts.SourceFile, position: number): CursorContext {
  const node = nodeBefore(sourceFile, position);
  if (ts.isStringLiteralLike(node) && isInside(node, sourceFile, position)) {
    return { kind: "string", start: node.getStart(sourceFile) + 1, literal: node, role: roleOf(node) };
  }
  const start = position - wordBefore(sourceFile.text, position).length;
  const access = ts.isPropertyAccessExpression(node) ? node : node.parent;
  const isMember = access !== undefined && ts.isPropertyAccessExpression(access) && access.expression.end < position
    && (node === access || node === access.name);
  return isMember ? { kind: "member", start, object: access.expression } : { kind: "name", start };
}

function isInside(literal: ts.StringLiteralLike, sourceFile: ts.SourceFile, position: number): boolean {
  const text = literal.getText(sourceFile);
  const isClosed = text.length > 1 && text.endsWith(text.charAt(0));
  return position < literal.end || !isClosed;
}

function roleOf(literal: ts.StringLiteralLike): StringRole {
  const { parent } = literal;
  if (ts.isElementAccessExpression(parent) && parent.argumentExpression === literal) return { kind: "key", object: parent.expression };
  if (isModuleSpecifier(literal)) return { kind: "module" };
  const call = enclosingCall(literal);
  if (call === null || !ts.isPropertyAccessExpression(call.expression)) return { kind: "other" };
  return { kind: "argument", object: call.expression.expression, method: call.expression.name.text };
}

function isModuleSpecifier({ parent }: ts.StringLiteralLike): boolean {
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent) || ts.isExternalModuleReference(parent)) return true;
  if (ts.isLiteralTypeNode(parent)) return ts.isImportTypeNode(parent.parent);
  return ts.isCallExpression(parent) && /^(import|require|require\.resolve|import\.meta\.resolve)$/.test(parent.expression.getText());
}

/** The call that a literal is an argument of, also inside arrays and objects of the argument. */
function enclosingCall(literal: ts.Node): ts.CallExpression | null {
  let node: ts.Node = literal;
  while (ts.isArrayLiteralExpression(node.parent) || ts.isObjectLiteralExpression(node.parent) || ts.isPropertyAssignment(node.parent)) node = node.parent;
  return ts.isCallExpression(node.parent) && node.parent.expression !== node ? node.parent : null;
}
