import ts from "#typescript";

/** Parses a cell as TypeScript, or as TypeScript with JSX where only that makes sense of it: a cell has no file name to
 *  tell, and `<T>value` means something else in JSX. The result's languageVariant tells which. */
export function parseCell(code: string): ts.SourceFile {
  const plain = parse("cell.ts", code);
  // Every piece of JSX ends in one of these.
  if (!/<\/|\/>/.test(code) || syntaxErrors(plain) === 0) return plain;
  const withJsx = parse("cell.tsx", code);
  const gained = syntaxErrors(plain) - syntaxErrors(withJsx);
  // Both are wrong: then an element that is opened and closed tells what was meant.
  const isMeant = gained > 0 || (gained === 0 && /<([\w.]*)(\s[^]*?)?>[^]*<\/\1>/.test(code));
  return isMeant && containsJsx(withJsx) ? withJsx : plain;
}

function parse(name: string, code: string): ts.SourceFile {
  return ts.createSourceFile(name, code, ts.ScriptTarget.ES2023, false);
}

/** The parser's own list, which the typings leave out: a program would have to be made to ask for it. */
function syntaxErrors(sourceFile: ts.SourceFile): number {
  const errors: unknown = Reflect.get(sourceFile, "parseDiagnostics");
  return Array.isArray(errors) ? errors.length : 0;
}

function containsJsx(node: ts.Node): boolean {
  if (ts.isJsxElement(node) || ts.isJsxSelfClosingElement(node) || ts.isJsxFragment(node)) return true;
  return ts.forEachChild(node, containsJsx) ?? false;
}
