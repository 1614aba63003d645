import ts from "#typescript";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import { mapOfInsertions } from "./insertionMap.ts";

/** What a cell becomes. */
export interface EmittedCell { readonly javascript: string; readonly sourceMap: string }

const { SyntaxKind } = ts;

/** Syntax that is the same in TypeScript, in JavaScript and in a script that is evaluated. */
const PLAIN: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.Identifier, SyntaxKind.NumericLiteral, SyntaxKind.BigIntLiteral, SyntaxKind.StringLiteral, SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral, SyntaxKind.TemplateExpression, SyntaxKind.TemplateHead, SyntaxKind.TemplateSpan, SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail, SyntaxKind.TaggedTemplateExpression, SyntaxKind.TrueKeyword, SyntaxKind.FalseKeyword, SyntaxKind.NullKeyword, SyntaxKind.ThisKeyword,
  SyntaxKind.ArrayLiteralExpression, SyntaxKind.OmittedExpression, SyntaxKind.SpreadElement, SyntaxKind.ObjectLiteralExpression,
  SyntaxKind.PropertyAssignment, SyntaxKind.ShorthandPropertyAssignment, SyntaxKind.SpreadAssignment, SyntaxKind.ComputedPropertyName,
  SyntaxKind.MethodDeclaration, SyntaxKind.GetAccessor, SyntaxKind.SetAccessor, SyntaxKind.PropertyAccessExpression, SyntaxKind.ElementAccessExpression,
  SyntaxKind.CallExpression, SyntaxKind.NewExpression, SyntaxKind.ParenthesizedExpression, SyntaxKind.FunctionExpression, SyntaxKind.ArrowFunction,
  SyntaxKind.Parameter, SyntaxKind.DeleteExpression, SyntaxKind.TypeOfExpression, SyntaxKind.VoidExpression, SyntaxKind.AwaitExpression,
  SyntaxKind.PrefixUnaryExpression, SyntaxKind.PostfixUnaryExpression, SyntaxKind.BinaryExpression, SyntaxKind.ConditionalExpression, SyntaxKind.YieldExpression,
  SyntaxKind.Block, SyntaxKind.EmptyStatement, SyntaxKind.VariableStatement, SyntaxKind.VariableDeclarationList, SyntaxKind.VariableDeclaration,
  SyntaxKind.ObjectBindingPattern, SyntaxKind.ArrayBindingPattern, SyntaxKind.BindingElement, SyntaxKind.ExpressionStatement, SyntaxKind.IfStatement,
  SyntaxKind.DoStatement, SyntaxKind.WhileStatement, SyntaxKind.ForStatement, SyntaxKind.ForInStatement, SyntaxKind.ForOfStatement, SyntaxKind.ContinueStatement,
  SyntaxKind.BreakStatement, SyntaxKind.ReturnStatement, SyntaxKind.SwitchStatement, SyntaxKind.CaseBlock, SyntaxKind.CaseClause, SyntaxKind.DefaultClause,
  SyntaxKind.LabeledStatement, SyntaxKind.ThrowStatement, SyntaxKind.TryStatement, SyntaxKind.CatchClause, SyntaxKind.FunctionDeclaration,
  // Parts of these.
  SyntaxKind.AsyncKeyword, SyntaxKind.AwaitKeyword, SyntaxKind.AsteriskToken, SyntaxKind.DotDotDotToken, SyntaxKind.EqualsGreaterThanToken,
  SyntaxKind.QuestionToken, SyntaxKind.QuestionDotToken, SyntaxKind.ColonToken,
]);

/** Emits a checked cell that holds no syntax of TypeScript's own: its text stays as it is, but for `var` at the top level
 *  and the call that takes the result, as transform.ts has them. TypeScript's emitter takes half the time of a small cell.
 *  @param sourceFile whose text is the user's alone, and in which no name is to be replaced
 *  @returns null for a cell that needs TypeScript's emitter */
export function emitPlain(checker: ts.TypeChecker, sourceFile: ts.SourceFile): EmittedCell | null {
  const { text, statements } = sourceFile;
  // V8 takes it in files only.
  if (text.startsWith("#!") || !statements.every((statement) => isPlain(statement, checker))) return null;
  const last = statements.at(-1);
  const result = last !== undefined && ts.isExpressionStatement(last) ? last.expression : null;
  let body = text;
  for (const statement of statements) {
    if (!ts.isVariableStatement(statement) || (statement.declarationList.flags & ts.NodeFlags.BlockScoped) === 0) continue;
    const start = statement.getStart(sourceFile);
    const length = (statement.declarationList.flags & ts.NodeFlags.Const) !== 0 ? "const".length : "let".length;
    body = body.slice(0, start) + "var".padEnd(length) + body.slice(start + length);
  }
  const insertions = result === null ? [] : [
    { at: result.getStart(sourceFile), text: `${RUNTIME_NAME}.result(${isSequence(result) ? "(" : ""}` },
    { at: result.end, text: isSequence(result) ? "))" : ")" },
  ];
  const [before, after] = insertions;
  const javascript = before === undefined || after === undefined ? body
    : body.slice(0, before.at) + before.text + body.slice(before.at, after.at) + after.text + body.slice(after.at);
  return { javascript, sourceMap: mapOfInsertions(sourceFile.fileName, text, insertions) };
}

function isPlain(node: ts.Node, checker: ts.TypeChecker): boolean {
  const { kind } = node;
  const isOperator = kind >= SyntaxKind.FirstBinaryOperator && kind <= SyntaxKind.LastBinaryOperator;
  if (!isOperator && !PLAIN.has(kind)) return false;
  return !isTypeScriptOnly(node, checker) && ts.forEachChild(node, (child) => (isPlain(child, checker) ? undefined : true)) === undefined;
}

/** Of syntax that both languages have, what only TypeScript allows or what it replaces. */
function isTypeScriptOnly(node: ts.Node, checker: ts.TypeChecker): boolean {
  if (ts.isParameter(node)) return node.questionToken !== undefined || (ts.isIdentifier(node.name) && node.name.text === "this");
  if (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) return node.body === undefined;
  // Down-levelled: Node.js 20 has no `using`.
  if (ts.isVariableDeclarationList(node)) return (node.flags & ts.NodeFlags.Using) !== 0;
  // Members of a const enum of a library don't exist at run time.
  return (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) && checker.getConstantValue(node) !== undefined;
}

function isSequence(node: ts.Expression): boolean {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === SyntaxKind.CommaToken;
}
