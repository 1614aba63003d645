import ts from "#typescript";
import { nextIndent } from "./indent.ts";
import { isOtherLanguage, withoutMagics } from "./magicCode.ts";

/** The answer to an is_complete_request: a console runs complete code, and gives an incomplete one another line. */
export type Completeness = { readonly status: "complete" | "invalid" } | { readonly status: "incomplete"; readonly indent: string };

type Verdict = Completeness["status"];

/** Reported where a JSX element or fragment starts, when its end is missing. */
const UNCLOSED_JSX = new Set([17008, 17014]);
/** A string literal ends with its line. */
const UNTERMINATED_STRING = 1002;

/** Whether code is whole, could go on, or is wrong. Only its syntax counts.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#code-completeness */
export function completeness(code: string): Completeness {
  // As in IPython, an empty line ends text of another language.
  if (isOtherLanguage(code)) return /\n[ \t]*$/.test(code) ? { status: "complete" } : { status: "incomplete", indent: "" };
  const typescript = withoutMagics(code);
  const plain = verdict(typescript, "cell.ts");
  // `<T>value` and `<p>text</p>` can't both be meant; who writes one of them in a console gets what makes sense.
  const withJsx = plain !== "complete" && /<[A-Za-z>]/.test(code) ? verdict(typescript, "cell.tsx") : plain;
  const status = plain === "complete" || withJsx === "complete" ? "complete" : plain === "incomplete" ? plain : withJsx;
  return status === "incomplete" ? { status, indent: nextIndent(code) } : { status };
}

function verdict(code: string, fileName: string): Verdict {
  const { diagnostics = [] } = ts.transpileModule(code, {
    fileName, reportDiagnostics: true, compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, jsx: ts.JsxEmit.Preserve },
  });
  const first = diagnostics.find(({ category, code: number, file }) =>
    category === ts.DiagnosticCategory.Error && file !== undefined && !UNCLOSED_JSX.has(number));
  if (first === undefined) return lacksBody(code, fileName) ? "incomplete" : "complete";
  // An error at the end is what more lines may mend; before it, none will.
  return (first.start ?? 0) >= code.trimEnd().length && first.code !== UNTERMINATED_STRING ? "incomplete" : "invalid";
}

/** `function f()` and `const a` are no errors to the parser, but mean nothing as they are. */
function lacksBody(code: string, fileName: string): boolean {
  const last = ts.createSourceFile(fileName, code, ts.ScriptTarget.ESNext, true).statements.at(-1);
  if (last === undefined || last.getText().endsWith(";")) return false;
  if (ts.isFunctionDeclaration(last)) return last.body === undefined && !isDeclared(last);
  if (!ts.isVariableStatement(last) || isDeclared(last)) return false;
  const needsValue = (last.declarationList.flags & ts.NodeFlags.Const) !== 0;
  return last.declarationList.declarations.some(({ name, initializer }) => initializer === undefined && (needsValue || !ts.isIdentifier(name)));
}

function isDeclared(statement: ts.FunctionDeclaration | ts.VariableStatement): boolean {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) ?? false;
}
