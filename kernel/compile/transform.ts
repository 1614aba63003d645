import ts from "#typescript";
import { importCall, importStatements, reexport, runtimeMember, variable } from "./importRewrite.ts";
import { Shadowing } from "./shadowing.ts";

/** A checked cell, for its rewriting. */
export interface CheckedCell {
  readonly checker: ts.TypeChecker;
  /** Offset where the user's code begins; statements before it are for the checker only. */
  readonly prefixEnd: number;
  /** Names in it that this cell or an earlier one declared. */
  readonly cellNames: readonly string[];
  /** Paths of the files whose top level cells declare. */
  readonly cellFiles: readonly string[];
  /** The file that a specifier means by tsconfig.json; null for all others. */
  readonly aliasedFile: (specifier: string) => string | null;
}

/** Rewrites a checked cell for evaluation as a script, before TypeScript's own transforms:
 *  imports become awaited calls, `export` goes, the last expression is handed over as the result. */
export function beforeTransforms({ checker, prefixEnd, cellNames, cellFiles, aliasedFile }: CheckedCell): ts.TransformerFactory<ts.SourceFile> {
  return (context) => (sourceFile) => {
    const shadowing = new Shadowing(checker, context.factory, cellNames, cellFiles);
    const rewriter = new CellRewriter(context, checker, shadowing, aliasedFile);
    const userStatements = sourceFile.statements.filter((statement) => statement.getStart(sourceFile) >= prefixEnd);
    const statements = userStatements.flatMap((statement, index) =>
      rewriter.statement(statement, index === userStatements.length - 1));
    return context.factory.updateSourceFile(sourceFile, ts.setTextRange(context.factory.createNodeArray(statements), sourceFile.statements));
  };
}

/** Makes all top-level declarations `var`, after TypeScript's own transforms: then a later cell may declare the
 *  name again as anything, which V8's REPL mode allows only for the same kind of declaration. */
export function afterTransforms(): ts.TransformerFactory<ts.SourceFile> {
  return (context) => (sourceFile) => {
    const { factory } = context;
    const statements = sourceFile.statements.flatMap((statement): ts.Statement[] => {
      if (ts.isExportDeclaration(statement)) return [];
      // The JSX transform imports its runtime.
      if (ts.isImportDeclaration(statement)) return importStatements(factory, statement, { specifier: (specifier) => specifier, isValue: () => true, renamed: (name) => name });
      if (ts.isVariableStatement(statement)) {
        const list = factory.createVariableDeclarationList(statement.declarationList.declarations, ts.NodeFlags.None);
        return [factory.updateVariableStatement(statement, undefined, ts.setTextRange(list, statement.declarationList))];
      }
      if (ts.isClassDeclaration(statement) && statement.name !== undefined) {
        const expression = factory.createClassExpression(
          statement.modifiers, statement.name, statement.typeParameters, statement.heritageClauses, statement.members);
        return [variable(factory, statement.name, ts.setTextRange(expression, statement), statement)];
      }
      return [statement];
    });
    return factory.updateSourceFile(sourceFile, ts.setTextRange(factory.createNodeArray(statements), sourceFile.statements));
  };
}

class CellRewriter {
  private readonly context: ts.TransformationContext;
  private readonly checker: ts.TypeChecker;
  private readonly shadowing: Shadowing;
  private readonly aliasedFile: CheckedCell["aliasedFile"];
  private readonly resetNames = new Set<string>();

  constructor(context: ts.TransformationContext, checker: ts.TypeChecker, shadowing: Shadowing, aliasedFile: CheckedCell["aliasedFile"]) {
    this.context = context;
    this.checker = checker;
    this.shadowing = shadowing;
    this.aliasedFile = aliasedFile;
  }

  statement(statement: ts.Statement, isLast: boolean): ts.Statement[] {
    const { factory } = this.context;
    if (ts.isImportDeclaration(statement)) {
      return importStatements(factory, statement, {
        specifier: (specifier) => this.specifier(specifier), isValue: (name) => this.isValue(name), renamed: (name) => this.shadowing.renamed(name),
      });
    }
    if (ts.isImportEqualsDeclaration(statement) && ts.isExternalModuleReference(statement.moduleReference)) {
      if (statement.isTypeOnly) return [];
      const call = factory.createCallExpression(factory.createIdentifier("require"), undefined, [this.specifier(statement.moduleReference.expression)]);
      return [variable(factory, this.shadowing.renamed(statement.name), call, statement)];
    }
    if (ts.isExportDeclaration(statement)) return reexport(factory, statement, { specifier: (specifier) => this.specifier(specifier) });
    if (ts.isExportAssignment(statement)) return [this.expressionStatement(statement.expression, statement, isLast)];
    if (ts.isExpressionStatement(statement)) return [this.expressionStatement(statement.expression, statement, isLast)];
    if (isNameless(statement)) return [];
    const visited = this.visit(withoutExport(factory, statement));
    const isMerged = ts.isEnumDeclaration(statement) || ts.isModuleDeclaration(statement);
    if (!isMerged || !ts.isIdentifier(statement.name) || isAmbient(statement) || !this.isFirstOfName(statement.name)) return [visited];
    // TypeScript emits `(E || (E = {}))`, which would keep the members of an enum of this name from an earlier cell.
    return [variable(factory, this.shadowing.renamed(statement.name), factory.createVoidZero(), statement), visited];
  }

  /** Whether no earlier statement of this cell has made a value for an enum or namespace to add to. */
  private isFirstOfName(name: ts.Identifier): boolean {
    if (this.resetNames.has(name.text)) return false;
    this.resetNames.add(name.text);
    const declarations = this.checker.getSymbolAtLocation(name)?.declarations ?? [];
    return !declarations.some((declaration) => ts.isFunctionDeclaration(declaration) || ts.isClassDeclaration(declaration));
  }

  private expressionStatement(expression: ts.Expression, original: ts.Statement, isLast: boolean): ts.Statement {
    const { factory } = this.context;
    const visited = this.visit(expression);
    const value = isLast ? factory.createCallExpression(runtimeMember(factory, "result"), undefined, [visited]) : visited;
    return ts.setTextRange(factory.createExpressionStatement(value), original);
  }

  private specifier(specifier: ts.Expression): ts.Expression {
    const file = ts.isStringLiteralLike(specifier) ? this.aliasedFile(specifier.text) : null;
    return file === null ? specifier : this.context.factory.createStringLiteral(file);
  }

  /** Whether an imported name exists at run time; types alone do not, and JavaScript imports none. */
  private isValue(name: ts.Identifier): boolean {
    if ((name.flags & ts.NodeFlags.JavaScriptFile) !== 0) return true;
    const symbol = this.checker.getSymbolAtLocation(name);
    if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Alias)) return true;
    return (this.checker.getAliasedSymbol(symbol).flags & ts.SymbolFlags.Value) !== 0;
  }

  private visit<N extends ts.Node>(root: N): N {
    const { factory } = this.context;
    const visitor = (original: ts.Node): ts.Node => {
      const node = this.shadowing.isEmpty ? original : this.shadowing.withoutShorthand(original) ?? original;
      if (ts.isIdentifier(node)) return this.shadowing.isEmpty ? node : this.shadowing.renamed(node);
      const visited = ts.visitEachChild(node, visitor, this.context);
      if (ts.isCallExpression(visited) && visited.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [specifier, attributes] = visited.arguments;
        if (specifier !== undefined) return ts.setTextRange(importCall(factory, this.specifier(specifier), attributes), visited);
      }
      if (ts.isMetaProperty(visited) && visited.keywordToken === ts.SyntaxKind.ImportKeyword) return runtimeMember(factory, "meta");
      return visited;
    };
    // The visitor returns a node of the same kind for everything but import() and import.meta, which are expressions.
    return visitor(root) as N;
  }
}

/** `export default function () {}` and `export default class {}` declare no name, and a cell has nobody to export to. */
function isNameless(statement: ts.Statement): boolean {
  return (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name === undefined;
}

function withoutExport(factory: ts.NodeFactory, statement: ts.Statement): ts.Statement {
  const isKept = ({ kind }: ts.ModifierLike): boolean => kind !== ts.SyntaxKind.ExportKeyword && kind !== ts.SyntaxKind.DefaultKeyword;
  if (ts.isClassDeclaration(statement)) return factory.replaceDecoratorsAndModifiers(statement, statement.modifiers?.filter(isKept) ?? []);
  if (ts.isVariableStatement(statement) || ts.isFunctionDeclaration(statement) || ts.isEnumDeclaration(statement) || ts.isModuleDeclaration(statement)) {
    return factory.replaceModifiers(statement, ts.getModifiers(statement)?.filter(isKept) ?? []);
  }
  return statement;
}

function isAmbient(statement: ts.EnumDeclaration | ts.ModuleDeclaration): boolean {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) ?? false;
}
