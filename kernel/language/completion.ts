import ts from "#typescript";

/** What kind of thing a completion names. The first five are those that JupyterLab has colours for; the rest are ipykernel's. */
export type CompletionType = "function" | "instance" | "class" | "module" | "keyword" | "property" | "param" | "magic" | "path" | "dict key" | "statement";

/** One thing that may stand at the cursor. */
export interface Completion {
  readonly text: string;
  readonly type: CompletionType;
  /** Parameters and result of a function, e.g. "(x: number): number"; else "". */
  readonly signature: string;
}

/** Completions, best first. */
export interface CompletionList {
  /** Where the text that they replace starts and ends, UTF-16 units from the start of the code. */
  readonly start: number;
  readonly end: number;
  readonly entries: readonly Completion[];
}

/** Longer lists help nobody and slow front ends down. */
export const MAX_COMPLETIONS = 1000;

const TYPES: Readonly<Record<string, CompletionType>> = {
  [ts.ScriptElementKind.functionElement]: "function",
  [ts.ScriptElementKind.localFunctionElement]: "function",
  [ts.ScriptElementKind.memberFunctionElement]: "function",
  [ts.ScriptElementKind.constructSignatureElement]: "function",
  [ts.ScriptElementKind.callSignatureElement]: "function",
  [ts.ScriptElementKind.classElement]: "class",
  [ts.ScriptElementKind.localClassElement]: "class",
  [ts.ScriptElementKind.interfaceElement]: "class",
  [ts.ScriptElementKind.typeElement]: "class",
  [ts.ScriptElementKind.typeParameterElement]: "class",
  [ts.ScriptElementKind.primitiveType]: "class",
  [ts.ScriptElementKind.enumElement]: "class",
  [ts.ScriptElementKind.moduleElement]: "module",
  [ts.ScriptElementKind.externalModuleName]: "module",
  [ts.ScriptElementKind.keyword]: "keyword",
  [ts.ScriptElementKind.memberVariableElement]: "property",
  [ts.ScriptElementKind.memberGetAccessorElement]: "property",
  [ts.ScriptElementKind.memberSetAccessorElement]: "property",
  [ts.ScriptElementKind.memberAccessorVariableElement]: "property",
  [ts.ScriptElementKind.jsxAttribute]: "property",
  [ts.ScriptElementKind.parameterElement]: "param",
  [ts.ScriptElementKind.directory]: "path",
  [ts.ScriptElementKind.scriptElement]: "path",
  [ts.ScriptElementKind.string]: "statement",
  [ts.ScriptElementKind.label]: "statement",
};

/** The type for a kind of TypeScript's language service; variables are instances. */
export function completionType(kind: ts.ScriptElementKind): CompletionType {
  return TYPES[kind] ?? "instance";
}

/** Those whose text begins as typed; when none does, those that do so in another case. Each text once, in their order. */
export function fitting<E extends { readonly text: string }>(entries: readonly E[], typed: string): E[] {
  const exact = entries.filter(({ text }) => text.startsWith(typed));
  const lower = typed.toLowerCase();
  const found = exact.length > 0 ? exact : entries.filter(({ text }) => text.toLowerCase().startsWith(lower));
  return [...new Map(found.toReversed().map((entry) => [entry.text, entry])).values()].reverse().slice(0, MAX_COMPLETIONS);
}
