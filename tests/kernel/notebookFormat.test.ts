import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import type { Notebook } from "../../kernel/client/notebook.ts";
import { checkKnown, injectParameters, notebookParameters, parameterValue } from "../../kernel/client/parameters.ts";
import { temporaryFolder } from "./kernelHarness.ts";

function file(content: unknown): string {
  const path = join(temporaryFolder(), "a.ipynb");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}
const cells = (...list: unknown[]): unknown => ({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: list });

// Expected: nbformat.readthedocs.io/en/latest/format_description.html
describe("reading a notebook", () => {
  test.each<[string, unknown, RegExp]>([
    ["cut short", "{\"cells\": [", /it is not JSON: .+E_NOTEBOOK_READ/s],
    ["empty", "", /the file is empty.+E_NOTEBOOK_READ/s],
    ["a list", [], /its JSON is not an object.+E_NOTEBOOK_READ/s],
    ["nbformat 3", { nbformat: 3, worksheets: [] }, /its nbformat is 3.+jupyter nbconvert.+E_NOTEBOOK_FORMAT/s],
    ["nbformat 5", { nbformat: 5, cells: [] }, /its nbformat is 5.+E_NOTEBOOK_FORMAT/s],
    ["other JSON", { name: "moe-lab" }, /without the field nbformat.+E_NOTEBOOK_FORMAT/s],
    ["no cells", { nbformat: 4 }, /its field cells is not a list.+E_NOTEBOOK_FORMAT/s],
    ["a cell that is none", cells(7), /Cell 1 of .+it is not an object.+E_NOTEBOOK_CELL/s],
    ["a cell without a type", cells({ cell_type: "code", source: "" }, { source: "x" }), /Cell 2 of .+it has no cell_type.+E_NOTEBOOK_CELL/s],
    ["a cell of an unknown type", cells({ cell_type: "heading", source: "x" }), /its cell_type is "heading".+E_NOTEBOOK_CELL/s],
    ["a cell without source", cells({ cell_type: "code" }), /it has no source.+E_NOTEBOOK_CELL/s],
    ["a cell whose source is a number", cells({ cell_type: "code", source: 5 }), /neither a string nor a list of strings.+E_NOTEBOOK_CELL/s],
  ])("%s is refused with a typed error", (_, content, message) => {
    expect(() => readNotebook(file(content))).toThrow(message);
  });

  test("a missing file, a folder and a file of more than 256 MiB are refused with a typed error", () => {
    const path = file("");
    expect(() => readNotebook(`${path}.gone`)).toThrow(/the file does not exist.+E_NOTEBOOK_READ/s);
    expect(() => readNotebook(temporaryFolder())).toThrow(/EISDIR.+E_NOTEBOOK_READ/s);
    truncateSync(path, 300 * 2 ** 20);
    expect(() => readNotebook(path)).toThrow(/has 300 MiB.+E_NOTEBOOK_SIZE/s);
  });

  test("missing metadata, outputs, ids and a byte order mark are mended", () => {
    const { cells: [cell], metadata } = readNotebook(file(`\uFEFF${JSON.stringify({ nbformat: 4, cells: [{ cell_type: "code", source: ["a\n", "b"] }] })}`));
    expect(metadata).toEqual({});
    expect(cell).toMatchObject({ source: "a\nb", metadata: {}, outputs: [], executionCount: null });
    expect(cell?.id).toMatch(/^[0-9a-f]{8}$/);
  });

  test("valid ids stay; the second of two equal ids, and one with a space, are replaced", () => {
    const ids = readNotebook(file(cells(...["own-id_1", "own-id_1", "with space", "x".repeat(65)].map((id) => ({ id, cell_type: "raw", source: "" }))))).cells.map(({ id }) => id);
    expect(ids[0]).toBe("own-id_1");
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  });

  test("lists and strings of JSON types stay what they are, lines of other types become one string, attachments are kept", () => {
    const data = { "application/json": ["a", "b"], "application/vnd.x+json": "text", "text/plain": ["a\n", "b"], "image/png": "AAA=" };
    const path = file(cells({ id: "a", cell_type: "code", source: "", metadata: {}, execution_count: null, outputs: [{ output_type: "display_data", data, metadata: {} }] },
      { id: "b", cell_type: "markdown", source: "", metadata: {}, attachments: { "x.png": { "image/png": "AAA=" } } }));
    const notebook = readNotebook(path);
    expect(notebook.cells[0]?.outputs[0]).toMatchObject({ data: { ...data, "text/plain": "a\nb" } });
    writeNotebook(path, notebook);
    const stored = JSON.parse(readFileSync(path, "utf8")) as { cells: Record<string, unknown>[] };
    expect(stored.cells[0]?.outputs).toEqual([{ output_type: "display_data", data: { ...data, "image/png": ["AAA="] }, metadata: {} }]);
    expect(stored.cells[1]?.attachments).toEqual({ "x.png": { "image/png": "AAA=" } });
    expect(readNotebook(path)).toEqual(notebook);
  });
});

// Expected: papermill.readthedocs.io/en/latest/usage-parameterize.html
describe("parameters of a notebook", () => {
  const withParameters = (source: string): Notebook => ({ cells: [createCodeCell("first"), createCodeCell(source, { tags: ["parameters"] }), createCodeCell("last")], metadata: {} });
  const sources = (notebook: Notebook): string[] => notebook.cells.map(({ source }) => source);

  test("they are what the tagged cell declares, with the kind that its type or default says", () => {
    expect(notebookParameters(withParameters("let steps: number = 1000, rate = -1e-3;\nconst label = `x`, tiny = false; let layers: number[] = [1]\nconst { a, b } = load(); function helper() {}"))).toEqual([
      { name: "steps", kind: "number", type: "number" }, { name: "rate", kind: "number", type: null }, { name: "label", kind: "string", type: null }, { name: "tiny", kind: "boolean", type: null },
      { name: "layers", kind: "other", type: "number[]" }, { name: "a", kind: "other", type: null }, { name: "b", kind: "other", type: null },
    ]);
    expect(notebookParameters({ cells: [createCodeCell("let steps = 1")], metadata: {} })).toBeNull();
  });

  test("values go behind the tagged cell with its types, or to the top where there is none", () => {
    const notebook = withParameters("let steps: number = 1, layers: number[] = []");
    injectParameters(notebook, { steps: 5, layers: [2, 4] });
    expect(sources(notebook).slice(2)).toEqual(["// Parameters\nlet steps: number = 5;\nlet layers: number[] = [2,4];", "last"]);
    const bare: Notebook = { cells: [createCodeCell("1")], metadata: {} };
    injectParameters(bare, { a: "x", b: null, c: { d: true } });
    expect(sources(bare)).toEqual(["// Parameters\nlet a = \"x\";\nlet b = null;\nlet c = {\"d\":true};", "1"]);
  });

  test("an injected cell is replaced in its place, as papermill does", () => {
    const notebook: Notebook = { cells: [createCodeCell("1"), createCodeCell("let a = 1", { tags: ["injected-parameters"] }), createCodeCell("2")], metadata: {} };
    injectParameters(notebook, { a: 2 });
    expect(sources(notebook)).toEqual(["1", "// Parameters\nlet a = 2;", "2"]);
  });

  test.each(["a; process.exit()", "1a", "a b", ""])("the name %j is refused", (name) => {
    expect(() => { injectParameters({ cells: [], metadata: {} }, { [name]: 1 }); }).toThrow(/E_NOTEBOOK_PARAMETER/);
  });

  test.each<[string, Parameters<typeof parameterValue>[2], unknown]>([
    ["5", "number", 5], ["-1e-3", "number", -0.001], [".5", "number", 0.5], ["true", "boolean", true], ["007", "string", "007"], ["5", "string", "5"], ["true", "string", "true"],
    ["\"quoted\"", "string", "quoted"], ["a=b c", "string", "a=b c"], ["", "string", ""], ["[1, 2]", "other", [1, 2]], ["{\"a\": null}", "other", { a: null }], ["text", "other", "text"], ["5", "other", 5],
  ])("the text %j for a %s is %j", (text, kind, value) => {
    expect(parameterValue("x", text, kind)).toEqual(value);
  });

  test.each<[string, Parameters<typeof parameterValue>[2]]>([["ten", "number"], ["", "number"], ["5", "boolean"], ["True", "boolean"], ["[1]", "number"], ["12345678901234567890", "other"]])("the text %j for a %s is refused", (text, kind) => {
    expect(() => parameterValue("x", text, kind)).toThrow(/E_NOTEBOOK_PARAMETER/);
  });

  test("a name that the tagged cell does not declare is refused with the names that it does", () => {
    const known = notebookParameters(withParameters("let steps = 1, rate = 2")) ?? [];
    expect(() => { checkKnown("stpes", known); }).toThrow(/declares steps, rate.+E_NOTEBOOK_PARAMETER/s);
    expect(() => { checkKnown("rate", known); }).not.toThrow();
  });
});
