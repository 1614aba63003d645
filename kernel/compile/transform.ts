import ts from "typescript";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";

/** Rewrites a checked cell for evaluation as a script, before TypeScript's own transforms:
 *  imports become awaited calls, `export` goes, the last expression is handed over as the result.
 *  @param prefixEnd offset where the user's code begins; statements before it are for the checker only */
export function beforeTransforms(checker: ts.TypeChecker, prefixEnd: number): ts.TransformerFactory<ts.SourceFile> {
  return (context) => (sourceFile) => {
    const rewriter = new CellRewriter(context, checker);
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
  private readonly resetNames = new Set<string>();

  constructor(context: ts.TransformationContext, checker: ts.TypeChecker) {
    this.context = context;
    this.checker = checker;
  }

  statement(statement: ts.Statement, isLast: boolean): ts.Statement[] {
    const { factory } = this.context;
    if (ts.isImportDeclaration(statement)) return this.importStatement(statement);
    if (ts.isImportEqualsDeclaration(statement) && ts.isExternalModuleReference(statement.moduleReference)) {
      const call = factory.createCallExpression(factory.createIdentifier("require"), undefined, [statement.moduleReference.expression]);
      return [variable(factory, statement.name, call, statement)];
    }
    if (ts.isExportDeclaration(statement)) return [];
    if (ts.isExportAssignment(statement)) return [this.expressionStatement(statement.expression, statement, isLast)];
    if (ts.isExpressionStatement(statement)) return [this.expressionStatement(statement.expression, statement, isLast)];
    const visited = this.visit(withoutExport(factory, statement));
    const isMerged = ts.isEnumDeclaration(statement) || ts.isModuleDeclaration(statement);
    if (!isMerged || !ts.isIdentifier(statement.name) || this.resetNames.has(statement.name.text) || isAmbient(statement)) return [visited];
    // TypeScript emits `(E || (E = {}))`, which would keep the members of an enum of this name from an earlier cell.
    this.resetNames.add(statement.name.text);
    return [variable(factory, statement.name, factory.createVoidZero(), statement), visited];
  }

  private expressionStatement(expression: ts.Expression, original: ts.Statement, isLast: boolean): ts.Statement {
    const { factory } = this.context;
    const visited = this.visit(expression);
    const value = isLast ? factory.createCallExpression(this.runtimeMember("result"), undefined, [visited]) : visited;
    return ts.setTextRange(factory.createExpressionStatement(value), original);
  }

  private importStatement(statement: ts.ImportDeclaration): ts.Statement[] {
    const { factory } = this.context;
    const clause = statement.importClause;
    if (clause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
    const elements: { readonly imported: string; readonly local: ts.Identifier }[] = [];
    if (clause?.name !== undefined) elements.push({ imported: "default", local: clause.name });
    const bindings = clause?.namedBindings;
    if (bindings !== undefined && ts.isNamedImports(bindings)) {
      for (const element of bindings.elements) {
        if (element.isTypeOnly || !this.isValue(element.name)) continue;
        elements.push({ imported: (element.propertyName ?? element.name).text, local: element.name });
      }
    }
    const call = this.importCall(statement.moduleSpecifier, importAttributes(factory, statement), elements.map(({ imported }) => imported));
    const awaited = factory.createAwaitExpression(ts.setTextRange(call, statement));
    const made: ts.Statement[] = [];
    if (bindings !== undefined && ts.isNamespaceImport(bindings)) made.push(variable(factory, bindings.name, awaited, statement));
    if (elements.length > 0) {
      const pattern = factory.createObjectBindingPattern(elements.map(({ imported, local }) =>
        factory.createBindingElement(undefined, factory.createStringLiteral(imported), local)));
      made.push(variable(factory, pattern, awaited, statement));
    }
    return made.length > 0 ? made : [ts.setTextRange(factory.createExpressionStatement(awaited), statement)];
  }

  /** Whether an imported name exists at run time; types alone do not. */
  private isValue(name: ts.Identifier): boolean {
    const symbol = this.checker.getSymbolAtLocation(name);
    if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Alias)) return true;
    return (this.checker.getAliasedSymbol(symbol).flags & ts.SymbolFlags.Value) !== 0;
  }

  private importCall(specifier: ts.Expression, attributes: ts.Expression | undefined, names: readonly string[] | undefined): ts.CallExpression {
    const { factory } = this.context;
    const nameList = names === undefined ? [] : [factory.createArrayLiteralExpression(names.map((name) => factory.createStringLiteral(name)))];
    const options = attributes ?? (nameList.length > 0 ? factory.createVoidZero() : undefined);
    return factory.createCallExpression(this.runtimeMember("import"), undefined, [specifier, ...(options ? [options] : []), ...nameList]);
  }

  private runtimeMember(name: "import" | "result" | "meta"): ts.Expression {
    const { factory } = this.context;
    return factory.createPropertyAccessExpression(factory.createIdentifier(RUNTIME_NAME), name);
  }

  private visit<N extends ts.Node>(root: N): N {
    const visitor = (node: ts.Node): ts.Node => {
      const visited = ts.visitEachChild(node, visitor, this.context);
      if (ts.isCallExpression(visited) && visited.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [specifier, attributes] = visited.arguments;
        if (specifier !== undefined) return ts.setTextRange(this.importCall(specifier, attributes, undefined), visited);
      }
      if (ts.isMetaProperty(visited) && visited.keywordToken === ts.SyntaxKind.ImportKeyword) return this.runtimeMember("meta");
      return visited;
    };
    // The visitor returns a node of the same kind for everything but import() and import.meta, which are expressions.
    return visitor(root) as N;
  }
}

function importAttributes(factory: ts.NodeFactory, statement: ts.ImportDeclaration): ts.Expression | undefined {
  if (statement.attributes === undefined) return undefined;
  const pairs = statement.attributes.elements.map(({ name, value }) =>
    factory.createPropertyAssignment(factory.createStringLiteral(name.text), value));
  return factory.createObjectLiteralExpression([factory.createPropertyAssignment("with", factory.createObjectLiteralExpression(pairs))]);
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

function variable(factory: ts.NodeFactory, name: ts.BindingName, value: ts.Expression, original: ts.Node): ts.Statement {
  const declaration = factory.createVariableDeclaration(name, undefined, undefined, value);
  return ts.setTextRange(factory.createVariableStatement(undefined, [declaration]), original);
}
