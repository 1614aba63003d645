import ts from "#typescript";

/** A name that a cell declares at its top level, and how later cells may use it. */
export interface Declaration {
  readonly name: string;
  /** "let" and "const" are values only; "alias" may be a value, a type and a namespace at once. */
  readonly kind: "let" | "const" | "alias";
  /** Whether the cell itself already writes `export`. */
  readonly isExported: boolean;
  /** Whether it only says that something exists: `declare const x: number`. */
  readonly isAmbient: boolean;
}

/** The names that a cell declares at its top level, in order, each once. */
export function declarationsOf(sourceFile: ts.SourceFile): Declaration[] {
  const found = new Map<string, Declaration>();
  for (const statement of sourceFile.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) ?? [] : [];
    const isExported = modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    const isAmbient = modifiers.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword);
    const add = (name: string, kind: Declaration["kind"]): void => {
      if (!found.has(name)) found.set(name, { name, kind, isExported, isAmbient });
    };
    if (ts.isVariableStatement(statement)) {
      const { flags, declarations } = statement.declarationList;
      // Disposed at the end of their cell, so they are of no use later.
      if ((flags & ts.NodeFlags.Using) !== 0) continue;
      const kind = flags & ts.NodeFlags.Const ? "const" : "let";
      for (const declaration of declarations) for (const name of boundNames(declaration.name)) add(name, kind);
    } else if (ts.isImportDeclaration(statement)) {
      for (const name of importedNames(statement)) add(name, "alias");
    } else if (isNamedStatement(statement) && statement.name !== undefined && ts.isIdentifier(statement.name)) {
      add(statement.name.text, "alias");
    }
  }
  return [...found.values()];
}

function isNamedStatement(statement: ts.Statement): statement is
  ts.FunctionDeclaration | ts.ClassDeclaration | ts.InterfaceDeclaration | ts.TypeAliasDeclaration
  | ts.EnumDeclaration | ts.ModuleDeclaration | ts.ImportEqualsDeclaration {
  return ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement)
    || ts.isTypeAliasDeclaration(statement) || ts.isEnumDeclaration(statement) || ts.isModuleDeclaration(statement)
    || ts.isImportEqualsDeclaration(statement);
}

function boundNames(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : boundNames(element.name)));
}

function importedNames(statement: ts.ImportDeclaration): string[] {
  const clause = statement.importClause;
  if (clause === undefined) return [];
  const names = clause.name === undefined ? [] : [clause.name.text];
  const bindings = clause.namedBindings;
  if (bindings === undefined) return names;
  if (ts.isNamespaceImport(bindings)) return [...names, bindings.name.text];
  return [...names, ...bindings.elements.map((element) => element.name.text)];
}

/** All identifiers that occur in a cell; a superset of the outside names it uses. */
export function identifiersOf(sourceFile: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(sourceFile);
  return names;
}
