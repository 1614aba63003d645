import ts from "#typescript";
import { isInstalledDeclaration } from "./sourceStore.ts";

/** So many files parsed with documentation are kept, since the next question is often about the same one. */
const FILES_KEPT = 4;
/** A comment may stand at an ancestor: at the statement of a variable or the function of a parameter. */
const ANCESTORS = 4;
const SYMBOL_METHODS = ["getDocumentationComment", "getContextualDocumentationComment", "getJsDocTags", "getContextualJsDocTags"];
const SIGNATURE_METHODS = ["getDocumentationComment", "getJsDocTags"];

/** Documentation of installed declarations, which sourceStore.ts parses without: read for a name when TypeScript is
 *  asked for the documentation of its symbol or signature. */
export class Documentation {
  private readonly files = new Map<string, ts.SourceFile>();
  private readonly documented = new WeakSet<ts.Node>();

  /** Makes symbols and signatures read their documentation first.
   *  @param file any file of the program, for its global scope */
  install(checker: ts.TypeChecker, file: ts.SourceFile): void {
    const functions = checker.getSymbolsInScope(file, ts.SymbolFlags.Function);
    const [symbol] = functions;
    const signature = functions.flatMap((one) => checker.getSignaturesOfType(checker.getTypeOfSymbol(one), ts.SignatureKind.Call))[0];
    if (symbol === undefined || signature === undefined) return;
    this.wrap(Object.getPrototypeOf(symbol) as object, SYMBOL_METHODS, (owner: ts.Symbol) => owner.declarations ?? []);
    this.wrap(Object.getPrototypeOf(signature) as object, SIGNATURE_METHODS, ({ declaration }: ts.Signature) => (declaration === undefined ? [] : [declaration]));
  }

  private wrap<Owner extends object>(prototype: object, methods: readonly string[], declarationsOf: (owner: Owner) => readonly ts.Node[]): void {
    for (const name of methods) {
      const original: unknown = Reflect.get(prototype, name);
      if (typeof original !== "function") continue;
      const read = (declarations: readonly ts.Node[]): void => { declarations.forEach((node) => { this.read(node); }); };
      Object.defineProperty(prototype, name, {
        configurable: true, writable: true,
        value(this: Owner, ...rest: unknown[]): unknown {
          read(declarationsOf(this));
          return Reflect.apply(original, this, rest);
        },
      });
    }
  }

  private read(declaration: ts.Node): void {
    const file = declaration.getSourceFile();
    if (this.documented.has(declaration) || !isInstalledDeclaration(file.fileName)) return;
    const fresh = this.freshFile(file);
    let node = declaration;
    for (let depth = 0; depth < ANCESTORS && !ts.isSourceFile(node); depth += 1, node = node.parent) {
      this.documented.add(node);
      const twin = counterpart(fresh, node);
      const comments: unknown = twin === undefined ? undefined : Reflect.get(twin, "jsDoc");
      if (!Array.isArray(comments)) continue;
      // The comments belong to this tree now; their old parents would keep the other one.
      for (const comment of comments as object[]) Object.assign(comment, { parent: node });
      Object.assign(node, { jsDoc: comments });
    }
  }

  private freshFile({ fileName, text }: ts.SourceFile): ts.SourceFile {
    const fresh = this.files.get(fileName) ?? ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true);
    this.files.delete(fileName);
    this.files.set(fileName, fresh);
    for (const name of [...this.files.keys()].slice(0, -FILES_KEPT)) this.files.delete(name);
    return fresh;
  }
}

/** The node of the same kind and place in another parse of the same text. */
function counterpart(root: ts.Node, node: ts.Node): ts.Node | undefined {
  let found: ts.Node | undefined;
  const visit = (candidate: ts.Node): void => {
    if (candidate.pos > node.pos || candidate.end < node.end) return;
    if (candidate.pos === node.pos && candidate.end === node.end && candidate.kind === node.kind) found = candidate;
    else ts.forEachChild(candidate, visit);
  };
  visit(root);
  return found;
}
