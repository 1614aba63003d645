import ts from "#typescript";

/** What the user typed into a debugger, as JavaScript for V8, or why it is none. */
export type DebugScript = { readonly javascript: string } | { readonly message: string };

/** Takes the types out of an expression, or else of statements; the value is that of the last one. */
export function debugScript(code: string): DebugScript {
  const expression = transpile(`(${code}\n)`);
  return "javascript" in expression ? expression : transpile(code);
}

/** Takes the types out of an expression that must stand alone, e.g. the condition of a breakpoint. */
export function debugExpression(code: string): DebugScript {
  const script = transpile(`(${code}\n)`);
  return "javascript" in script ? { javascript: script.javascript.trim().replace(/;$/, "") } : script;
}

/** The expression that a log point evaluates: prints its text with the values of `{expressions}` and never stops. */
export function logExpression(message: string): DebugScript {
  const pieces: string[] = [];
  for (const piece of message.split(/(\{[^{}]+\})/)) {
    if (!/^\{[^{}]+\}$/.test(piece)) {
      if (piece !== "") pieces.push(JSON.stringify(piece));
      continue;
    }
    const expression = debugExpression(piece.slice(1, -1));
    if ("message" in expression) return expression;
    pieces.push(expression.javascript);
  }
  return { javascript: `(console.log([${pieces.join(", ")}].map((piece) => typeof piece === "string" ? piece : require("node:util").inspect(piece)).join("")), false)` };
}

function transpile(code: string): DebugScript {
  const { outputText, diagnostics = [] } = ts.transpileModule(code, {
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, moduleDetection: ts.ModuleDetectionKind.Force },
  });
  const [first] = diagnostics;
  if (first !== undefined) return { message: `SyntaxError: ${ts.flattenDiagnosticMessageText(first.messageText, "\n")}` };
  // TypeScript marks a module without exports; V8 evaluates a script.
  return { javascript: outputText.replace(/^export \{\};\n?$/m, "") };
}
