import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
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

/** A larger file is refused before it is read. JSON of that size takes some ten times as much memory. */
export const MAX_NOTEBOOK_BYTES = 256 * 2 ** 20;

/** Reads a notebook of nbformat 4; texts that are lists of lines become one string, cells without a valid id of their own get one.
 *  What can be mended without loss is mended: missing metadata, outputs, counts.
 *  @throws NotebookError E_NOTEBOOK_READ, E_NOTEBOOK_SIZE, E_NOTEBOOK_FORMAT, E_NOTEBOOK_CELL */
export function readNotebook(path: string): Notebook {
  const parsed = parseNotebook(path);
  const { nbformat: version, cells } = parsed;
  if (version !== 4) {
    throw new NotebookError({
      code: "E_NOTEBOOK_FORMAT", what: `${path} is not a notebook of nbformat 4`,
      why: typeof version === "number" ? `its nbformat is ${version}` : "it is JSON without the field nbformat",
      fix: typeof version === "number" && version < 4 ? `convert it: jupyter nbconvert --to notebook --nbformat 4 ${path}` : "give the path of an .ipynb file of nbformat 4",
    });
  }
  if (!Array.isArray(cells)) {
    throw new NotebookError({ code: "E_NOTEBOOK_FORMAT", what: `${path} is not a notebook of nbformat 4`, why: "its field cells is not a list", fix: "save it once with Jupyter, or take an earlier copy" });
  }
  const ids = new Set<string>();
  return { cells: cells.map((cell, index) => readCell(path, cell, index, ids)), metadata: objectField(parsed, "metadata") };
}

function parseNotebook(path: string): JsonObject {
  const refuse = (why: string, fix: string, cause?: unknown): NotebookError => new NotebookError({
    code: "E_NOTEBOOK_READ", what: `${path} can't be read as a notebook`, why, fix, cause,
  });
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_NOTEBOOK_BYTES) {
      throw new NotebookError({
        code: "E_NOTEBOOK_SIZE", what: `${path} has ${(size / 2 ** 20).toFixed(0)} MiB`, why: `notebooks of at most ${MAX_NOTEBOOK_BYTES / 2 ** 20} MiB are read`,
        fix: "clear its outputs: jupyter nbconvert --clear-output --inplace FILE",
      });
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined || error instanceof NotebookError) throw error;
    throw refuse(code === "ENOENT" ? "the file does not exist" : `the system answered ${code}`, "check the path and its permissions", error);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw refuse(`it is not JSON: ${error.message}`, text.trim() === "" ? "the file is empty: take an earlier copy" : "a merge conflict or a cut download may have left it so: take an earlier copy", error);
  }
  if (!isJsonObject(parsed)) throw refuse("its JSON is not an object", "give the path of an .ipynb file");
  return parsed;
}

const CELL_FIELDS = new Set(["id", "cell_type", "source", "metadata", "outputs", "execution_count"]);
/** Source: nbformat.readthedocs.io/en/latest/format_description.html#cell-ids */
const CELL_ID = /^[a-zA-Z0-9_-]{1,64}$/;

function readCell(path: string, cell: unknown, index: number, ids: Set<string>): NotebookCell {
  const refuse = (why: string): NotebookError => new NotebookError({
    code: "E_NOTEBOOK_CELL", what: `Cell ${index + 1} of ${path} can't be read`, why, fix: "mend that cell in the file, or take an earlier copy of it",
  });
  if (!isJsonObject(cell)) throw refuse("it is not an object");
  const { id, cell_type: type, source, outputs, execution_count: count } = cell;
  if (type !== "code" && type !== "markdown" && type !== "raw") throw refuse(type === undefined ? "it has no cell_type" : `its cell_type is ${JSON.stringify(type)}; there are code, markdown and raw`);
  if (typeof source !== "string" && !isLineList(source)) throw refuse(source === undefined ? "it has no source" : "its source is neither a string nor a list of strings");
  const ownId = typeof id === "string" && CELL_ID.test(id) && !ids.has(id) ? id : newCellId();
  ids.add(ownId);
  return {
    id: ownId, cell_type: type, source: joinLines(source), metadata: objectField(cell, "metadata"),
    rest: Object.fromEntries(Object.entries(cell).filter(([key]) => !CELL_FIELDS.has(key))),
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
  return Object.fromEntries(entries.map(([mime, value]) => [mime, !isJsonMime(mime) && isLineList(value) ? value.join("") : value]));
}

/** Of these types a list or a string is itself the value, not lines of text. Source: nbformat.v4.rwbase */
function isJsonMime(mime: string): boolean {
  return mime === "application/json" || (mime.startsWith("application/") && mime.endsWith("+json"));
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

/** Writes a notebook of nbformat 4.5 whole or not at all: beside its place, then renamed. Makes its folder where it is missing.
 *  @throws NotebookError E_NOTEBOOK_WRITE; what was there before is untouched */
export function writeNotebook(path: string, notebook: Notebook): void {
  const cells = notebook.cells.map((cell) => ({
    ...cell.rest, id: cell.id, cell_type: cell.cell_type, metadata: cell.metadata, source: splitLines(cell.source),
    ...(cell.cell_type === "code" ? { outputs: cell.outputs.map(writeOutput), execution_count: cell.executionCount } : {}),
  }));
  const text = `${JSON.stringify({ cells, metadata: notebook.metadata, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`;
  const fresh = `${path}.${process.pid}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(fresh, text);
    renameSync(fresh, path);
  } catch (error) {
    if (existsSync(fresh)) rmSync(fresh);
    throw new NotebookError({
      code: "E_NOTEBOOK_WRITE", what: `The notebook ${path} could not be written`, why: `the system answered ${systemErrorCode(error) ?? "with an error"}`,
      fix: "choose a folder that may be written to, on a disk with space", cause: error,
    });
  }
}

function writeOutput(output: NotebookOutput): object {
  if (output.output_type === "stream") return { ...output, text: splitLines(output.text) };
  if (output.output_type === "error") return output;
  const entries = Object.entries(output.data);
  return { ...output, data: Object.fromEntries(entries.map(([mime, value]) => [mime, !isJsonMime(mime) && typeof value === "string" ? splitLines(value) : value])) };
}

/** Lines with their line feeds, the form in which notebooks are stored. */
function splitLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}
