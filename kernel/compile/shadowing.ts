import ts from "#typescript";
import { SHADOW_MARK } from "../runner/runtimeName.ts";

/** Names of the JavaScript and Node.js globals. A cell may declare one of them, `function process(batch)` or
 *  `class Event`, and its own code and later cells then mean the cell's; but packages and the kernel must keep theirs. */
const RUNTIME_GLOBALS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(globalThis));

/** The name at run time of what a cell declares as `name`. */
export function runtimeName(name: string): string {
  return RUNTIME_GLOBALS.has(name) ? name + SHADOW_MARK : name;
}

/** Renames the identifiers of one cell that mean a cell's declaration with the name of a global. */
export class Shadowing {
  private readonly checker: ts.TypeChecker;
  private readonly factory: ts.NodeFactory;
  private readonly names: ReadonlySet<string>;
  private readonly files: ReadonlySet<string>;

  /** @param candidates names declared by this cell or an earlier one
   *  @param files paths of the files whose top level is declared by cells: the cell itself and the scope file */
  constructor(checker: ts.TypeChecker, factory: ts.NodeFactory, candidates: Iterable<string>, files: readonly string[]) {
    this.checker = checker;
    this.factory = factory;
    this.names = new Set([...candidates].filter((name) => RUNTIME_GLOBALS.has(name)));
    this.files = new Set(files);
  }

  /** Whether nothing is to be renamed, as in almost every cell. */
  get isEmpty(): boolean {
    return this.names.size === 0;
  }

  /** A declared name or a reference under its name at run time. */
  renamed(name: ts.Identifier): ts.Identifier {
    if (!this.names.has(name.text) || !this.isOfCells(this.checker.getSymbolAtLocation(name))) return name;
    return this.renamedNode(name);
  }

  /** Shorthands name a property and a variable at once; the property keeps its name. Null for other nodes. */
  withoutShorthand(node: ts.Node): ts.Node | null {
    const { factory } = this;
    if (ts.isShorthandPropertyAssignment(node) && this.names.has(node.name.text)
      && this.isOfCells(this.checker.getShorthandAssignmentValueSymbol(node))) {
      const { objectAssignmentInitializer: fallback } = node;
      const target = this.renamedNode(node.name);
      const value = fallback === undefined ? target : factory.createAssignment(target, fallback);
      return ts.setTextRange(factory.createPropertyAssignment(node.name.text, value), node);
    }
    if (ts.isBindingElement(node) && node.propertyName === undefined && node.dotDotDotToken === undefined
      && ts.isObjectBindingPattern(node.parent) && ts.isIdentifier(node.name) && this.renamed(node.name) !== node.name) {
      return factory.updateBindingElement(node, undefined, factory.createIdentifier(node.name.text), node.name, node.initializer);
    }
    return null;
  }

  private renamedNode(name: ts.Identifier): ts.Identifier {
    return ts.setTextRange(this.factory.createIdentifier(runtimeName(name.text)), name);
  }

  private isOfCells(symbol: ts.Symbol | undefined): boolean {
    return symbol?.declarations?.some((declaration) =>
      this.files.has(declaration.getSourceFile().fileName) && isTopLevel(declaration)) ?? false;
  }
}

/** Parts of a statement that lie between a declared name and the statement. */
function isPartOfStatement(node: ts.Node): boolean {
  return ts.isBindingElement(node) || ts.isObjectBindingPattern(node) || ts.isArrayBindingPattern(node) || ts.isVariableDeclaration(node)
    || ts.isVariableDeclarationList(node) || ts.isVariableStatement(node) || ts.isNamedImports(node) || ts.isImportClause(node)
    || ts.isImportDeclaration(node) || ts.isNamedExports(node) || ts.isExportDeclaration(node)
    // The scope file declares names for all cells in `declare global`.
    || ts.isModuleBlock(node) || (ts.isModuleDeclaration(node) && (node.flags & ts.NodeFlags.GlobalAugmentation) !== 0);
}

function isTopLevel(declaration: ts.Node): boolean {
  let node = declaration;
  while (isPartOfStatement(node.parent)) node = node.parent;
  return ts.isSourceFile(node.parent);
}
