import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { NotebookError, systemErrorCode } from "../errors.ts";
import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";

/** One output of a code cell. Source: nbformat.readthedocs.io/en/latest/format_description.html */
export type NotebookOutput =
  | { output_type: "stream"; name: string; text: string }
  | { output_type: "display_data"; data: JsonObject; metadata: JsonObject }
  | { output_type: "execute_result"; data: JsonObject; metadata: JsonObject; execution_count: number | null }
  | { output_type: "error"; ename: string; evalue: string; traceback: string[] };

export interface NotebookCell {
  id: string;
  cell_type: "code" | "markdown" | "raw";
  source: string;
  metadata: JsonObject;
  /** Code cells only. */
  outputs: NotebookOutput[];
  /** Code cells only; null before it has run. */
  executionCount: number | null;
  /** Fields this program does not use, e.g. attachments. */
  rest: JsonObject;
}

export interface Notebook { cells: NotebookCell[]; metadata: JsonObject }

/** Reads a notebook of nbformat 4; texts that are lists of lines become one string, cells without an id get one.
 *  @throws NotebookError E_NOTEBOOK_READ */
export function readNotebook(path: string): Notebook {
  const refuse = (why: string, cause?: unknown): NotebookError => new NotebookError({
    code: "E_NOTEBOOK_READ", what: `${path} can't be read as a notebook`, why, fix: "give the path of a notebook of nbformat 4", cause,
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw refuse(systemErrorCode(error) === "ENOENT" ? "the file does not exist" : "it is not JSON", error);
  }
  if (!isJsonObject(parsed) || parsed.nbformat !== 4 || !Array.isArray(parsed.cells)) throw refuse("it is not nbformat 4");
  return { cells: parsed.cells.map((cell) => readCell(isJsonObject(cell) ? cell : {})), metadata: objectField(parsed, "metadata") };
}

const CELL_FIELDS = new Set(["id", "cell_type", "source", "metadata", "outputs", "execution_count"]);

function readCell(cell: JsonObject): NotebookCell {
  const { id, cell_type: type, source, outputs, execution_count: count } = cell;
  const rest = Object.fromEntries(Object.entries(cell).filter(([key]) => !CELL_FIELDS.has(key)));
  return {
    id: typeof id === "string" ? id : newCellId(),
    cell_type: type === "code" || type === "raw" ? type : "markdown",
    source: joinLines(source), metadata: objectField(cell, "metadata"), rest,
    outputs: Array.isArray(outputs) ? outputs.filter(isJsonObject).map(readOutput) : [],
    executionCount: typeof count === "number" ? count : null,
  };
}

function readOutput(output: JsonObject): NotebookOutput {
  const metadata = objectField(output, "metadata");
  switch (output.output_type) {
    case "stream": return { output_type: "stream", name: stringField(output, "name", "stdout"), text: joinLines(output.text) };
    case "error": return {
      output_type: "error", ename: stringField(output, "ename"), evalue: stringField(output, "evalue"),
      traceback: Array.isArray(output.traceback) ? output.traceback.map(String) : [],
    };
    case "execute_result": return {
      output_type: "execute_result", data: readBundle(output), metadata,
      execution_count: typeof output.execution_count === "number" ? output.execution_count : null,
    };
    default: return { output_type: "display_data", data: readBundle(output), metadata };
  }
}

function readBundle(output: JsonObject): JsonObject {
  const entries = Object.entries(objectField(output, "data"));
  return Object.fromEntries(entries.map(([mime, value]) => [mime, isLineList(value) ? value.join("") : value]));
}

function isLineList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((line) => typeof line === "string");
}

function joinLines(value: unknown): string {
  return isLineList(value) ? value.join("") : typeof value === "string" ? value : "";
}

/** Eight hexadecimal digits, as nbformat 4.5 wants an id for each cell. */
export function newCellId(): string {
  return randomBytes(4).toString("hex");
}

export function createCodeCell(source: string, metadata: JsonObject = {}): NotebookCell {
  return { id: newCellId(), cell_type: "code", source, metadata, outputs: [], executionCount: null, rest: {} };
}

/** The tags of a cell, e.g. "parameters". */
export function tagsOf(cell: NotebookCell): string[] {
  return Array.isArray(cell.metadata.tags) ? cell.metadata.tags.map(String) : [];
}

/** Writes a notebook of nbformat 4.5 whole or not at all: beside its place, then renamed. */
export function writeNotebook(path: string, notebook: Notebook): void {
  const cells = notebook.cells.map((cell) => ({
    ...cell.rest, id: cell.id, cell_type: cell.cell_type, metadata: cell.metadata, source: splitLines(cell.source),
    ...(cell.cell_type === "code" ? { outputs: cell.outputs.map(writeOutput), execution_count: cell.executionCount } : {}),
  }));
  const text = `${JSON.stringify({ cells, metadata: notebook.metadata, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`;
  const fresh = `${path}.${process.pid}.new`;
  try {
    writeFileSync(fresh, text);
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new NotebookError({
      code: "E_NOTEBOOK_WRITE", what: `The notebook ${path} could not be written`, why: `the system answered ${systemErrorCode(error) ?? "with an error"}`,
      fix: "choose a folder that exists and may be written to", cause: error,
    });
  }
}

function writeOutput(output: NotebookOutput): object {
  if (output.output_type === "stream") return { ...output, text: splitLines(output.text) };
  if (output.output_type === "error") return output;
  const entries = Object.entries(output.data);
  return { ...output, data: Object.fromEntries(entries.map(([mime, value]) => [mime, typeof value === "string" ? splitLines(value) : value])) };
}

/** Lines with their line feeds, the form in which notebooks are stored. */
function splitLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}
