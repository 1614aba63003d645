import ts from "#typescript";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";

/** `__moeLabCell.<name>`: what compiled cells call. */
export function runtimeMember(factory: ts.NodeFactory, name: "import" | "result" | "meta"): ts.Expression {
  return factory.createPropertyAccessExpression(factory.createIdentifier(RUNTIME_NAME), name);
}

/** `var <name> = <value>`, in the place of another statement. */
export function variable(factory: ts.NodeFactory, name: ts.BindingName, value: ts.Expression, original: ts.Node): ts.Statement {
  const declaration = factory.createVariableDeclaration(name, undefined, undefined, value);
  return ts.setTextRange(factory.createVariableStatement(undefined, [declaration]), original);
}

/** The call that takes the place of import().
 *  @param names names that a static import wants; checked when the module is there */
export function importCall(
  factory: ts.NodeFactory, specifier: ts.Expression, attributes: ts.Expression | undefined, names?: readonly string[],
): ts.CallExpression {
  const nameList = names === undefined ? [] : [factory.createArrayLiteralExpression(names.map((name) => factory.createStringLiteral(name)))];
  const options = attributes ?? (nameList.length > 0 ? factory.createVoidZero() : undefined);
  return factory.createCallExpression(runtimeMember(factory, "import"), undefined, [specifier, ...(options ? [options] : []), ...nameList]);
}

/** What the parts of an import statement are at run time. */
export interface ImportedNames {
  /** Where a specifier leads that only tsconfig.json explains; itself else. */
  readonly specifier: (specifier: ts.Expression) => ts.Expression;
  /** Whether a name exists at run time; types alone do not. */
  readonly isValue: (name: ts.Identifier) => boolean;
  readonly renamed: (name: ts.Identifier) => ts.Identifier;
}

/** Rewrites an import statement into awaited calls: a cell is evaluated as a script. */
export function importStatements(
  factory: ts.NodeFactory, statement: ts.ImportDeclaration, { specifier, isValue, renamed }: ImportedNames,
): ts.Statement[] {
  const clause = statement.importClause;
  if (clause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
  const elements: { readonly imported: string; readonly local: ts.Identifier }[] = [];
  if (clause?.name !== undefined && isValue(clause.name)) elements.push({ imported: "default", local: clause.name });
  const bindings = clause?.namedBindings;
  if (bindings !== undefined && ts.isNamedImports(bindings)) {
    for (const element of bindings.elements) {
      if (element.isTypeOnly || !isValue(element.name)) continue;
      elements.push({ imported: (element.propertyName ?? element.name).text, local: element.name });
    }
  }
  const call = importCall(factory, specifier(statement.moduleSpecifier), importAttributes(factory, statement), elements.map(({ imported }) => imported));
  const awaited = factory.createAwaitExpression(ts.setTextRange(call, statement));
  const made: ts.Statement[] = [];
  if (bindings !== undefined && ts.isNamespaceImport(bindings)) made.push(variable(factory, renamed(bindings.name), awaited, statement));
  if (elements.length > 0) {
    const pattern = factory.createObjectBindingPattern(elements.map(({ imported, local }) =>
      factory.createBindingElement(undefined, factory.createStringLiteral(imported), renamed(local))));
    made.push(variable(factory, pattern, awaited, statement));
  }
  return made.length > 0 ? made : [bareImport(factory, awaited, statement)];
}

/** `export … from "module"`: the module is loaded; its names are no names of the cell. */
export function reexport(
  factory: ts.NodeFactory, statement: ts.ExportDeclaration, { specifier }: Pick<ImportedNames, "specifier">,
): ts.Statement[] {
  if (statement.moduleSpecifier === undefined || statement.isTypeOnly) return [];
  const call = importCall(factory, specifier(statement.moduleSpecifier), importAttributes(factory, statement));
  return [bareImport(factory, factory.createAwaitExpression(ts.setTextRange(call, statement)), statement)];
}

function bareImport(factory: ts.NodeFactory, awaited: ts.Expression, original: ts.Node): ts.Statement {
  return ts.setTextRange(factory.createExpressionStatement(awaited), original);
}

function importAttributes(factory: ts.NodeFactory, { attributes }: ts.ImportDeclaration | ts.ExportDeclaration): ts.Expression | undefined {
  if (attributes === undefined) return undefined;
  const pairs = attributes.elements.map(({ name, value }) =>
    factory.createPropertyAssignment(factory.createStringLiteral(name.text), value));
  return factory.createObjectLiteralExpression([factory.createPropertyAssignment("with", factory.createObjectLiteralExpression(pairs))]);
}
