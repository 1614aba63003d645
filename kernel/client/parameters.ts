import ts from "#typescript";
import { declarationsOf } from "../compile/declarations.ts";
import { NotebookError } from "../errors.ts";
import { createCodeCell, tagsOf } from "./notebook.ts";
import type { Notebook } from "./notebook.ts";

/** A value that a notebook's cell tagged `parameters` declares. */
export interface NotebookParameter {
  readonly name: string;
  /** What its type or its default says it is; "other" for everything else. */
  readonly kind: "number" | "string" | "boolean" | "other";
  /** The declared type as written, or null. */
  readonly type: string | null;
}

const TAG = "parameters";
const INJECTED_TAG = "injected-parameters";

/** What the cell tagged `parameters` declares.
 *  @returns null when there is no such cell */
export function notebookParameters(notebook: Notebook): NotebookParameter[] | null {
  const cell = notebook.cells.find((candidate) => tagsOf(candidate).includes(TAG));
  if (cell === undefined) return null;
  const sourceFile = ts.createSourceFile("parameters.ts", cell.source, ts.ScriptTarget.ESNext, true);
  const variables = new Map(sourceFile.statements.filter((statement) => ts.isVariableStatement(statement))
    .flatMap(({ declarationList }) => [...declarationList.declarations]).map((declaration) => [declaration.name.getText(), declaration]));
  return declarationsOf(sourceFile).filter(({ kind }) => kind !== "alias").map(({ name }) => {
    const declaration = variables.get(name);
    return { name, kind: kindOf(declaration), type: declaration?.type?.getText() ?? null };
  });
}

function kindOf(declaration: ts.VariableDeclaration | undefined): NotebookParameter["kind"] {
  const initializer = declaration?.initializer;
  const isNegative = initializer !== undefined && ts.isPrefixUnaryExpression(initializer) && initializer.operator === ts.SyntaxKind.MinusToken;
  switch (declaration?.type?.kind ?? (isNegative ? initializer.operand.kind : initializer?.kind)) {
    case ts.SyntaxKind.NumberKeyword: case ts.SyntaxKind.NumericLiteral: return "number";
    case ts.SyntaxKind.StringKeyword: case ts.SyntaxKind.StringLiteral: case ts.SyntaxKind.NoSubstitutionTemplateLiteral: return "string";
    case ts.SyntaxKind.BooleanKeyword: case ts.SyntaxKind.TrueKeyword: case ts.SyntaxKind.FalseKeyword: return "boolean";
    default: return "other";
  }
}

/** Puts a cell with the given values in the place of an earlier injected one, else behind the cell tagged `parameters`, else at the
 *  top. A declared type is kept, so that a value of another type is an error of that cell.
 *  Source: papermill.readthedocs.io/en/latest/usage-parameterize.html
 *  @throws NotebookError E_NOTEBOOK_PARAMETER for a name that is no identifier or a value that JSON has not */
export function injectParameters(notebook: Notebook, parameters: Readonly<Record<string, unknown>>): void {
  const types = new Map((notebookParameters(notebook) ?? []).map(({ name, type }) => [name, type]));
  const lines = Object.entries(parameters).map(([name, value]) => {
    const json: string | undefined = JSON.stringify(value);
    if (!/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name) || json === undefined) {
      throw new NotebookError({
        code: "E_NOTEBOOK_PARAMETER", what: `The parameter ${name} can't be put into a notebook`,
        why: "it needs the name of a variable and a JSON value", fix: "use names such as steps or learningRate",
      });
    }
    const type = types.get(name) ?? null;
    return `let ${name}${type === null ? "" : `: ${type}`} = ${json};`;
  });
  const cell = createCodeCell(`// Parameters\n${lines.join("\n")}`, { tags: [INJECTED_TAG] });
  const earlier = notebook.cells.findIndex((candidate) => tagsOf(candidate).includes(INJECTED_TAG));
  if (earlier >= 0) notebook.cells.splice(earlier, 1, cell);
  else notebook.cells.splice(notebook.cells.findIndex((candidate) => tagsOf(candidate).includes(TAG)) + 1, 0, cell);
}

/** Reads a value that was given as text, e.g. at the command line: as its parameter's kind wants it; JSON where it can be, text otherwise.
 *  @throws NotebookError E_NOTEBOOK_PARAMETER when the text is not of that kind */
export function parameterValue(name: string, text: string, kind: NotebookParameter["kind"]): unknown {
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  // "007" and "true" stay what was written where a string is wanted; quotes of JSON are taken off.
  if (kind === "string") return typeof value === "string" ? value : text;
  if (kind === "number" && typeof value === "string" && text.trim() !== "" && Number.isFinite(Number(text))) value = Number(text);
  checkParameter(name, value, kind);
  if (typeof value !== "number" || !/^-?\d+$/.test(text) || Number.isSafeInteger(value)) return value;
  throw wrongValue(name, `${text} is larger than a number holds exactly`, "declare it as a string in the notebook and make a BigInt of it");
}

/** @throws NotebookError E_NOTEBOOK_PARAMETER when a value is not of its parameter's kind */
export function checkParameter(name: string, value: unknown, kind: NotebookParameter["kind"]): void {
  if (kind !== "other" && typeof value !== kind) throw wrongValue(name, `the notebook wants a ${kind}, and ${JSON.stringify(value)} is none`, `give a ${kind}`);
}

/** @throws NotebookError E_NOTEBOOK_PARAMETER for a name that the notebook's cell tagged `parameters` does not declare */
export function checkKnown(name: string, known: readonly NotebookParameter[]): void {
  if (known.some((parameter) => parameter.name === name)) return;
  const names = known.map((parameter) => parameter.name).join(", ");
  throw wrongValue(name, names === "" ? "its cell tagged parameters declares nothing" : `its cell tagged parameters declares ${names}`, "check the spelling, or declare it in that cell");
}

function wrongValue(name: string, why: string, fix: string): NotebookError {
  return new NotebookError({ code: "E_NOTEBOOK_PARAMETER", what: `The notebook can't take the parameter ${name}`, why, fix });
}
