import ts from "#typescript";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";

/** Compiles one of an execute_request's user_expressions, without type check. */
export function compileExpression(code: string): { readonly javascript: string } | { readonly message: string } {
  const { outputText, diagnostics = [] } = ts.transpileModule(`${RUNTIME_NAME}.result((${code}\n))`, {
    reportDiagnostics: true, compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  const [first] = diagnostics;
  return first === undefined ? { javascript: outputText } : { message: ts.flattenDiagnosticMessageText(first.messageText, "\n") };
}
