import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import type { Notebook, NotebookCell } from "../../kernel/client/notebook.ts";
import { notebookToHtml } from "../../kernel/client/notebookHtml.ts";
import { injectParameters, runNotebook } from "../../kernel/client/runNotebook.ts";
import { terminalReport } from "../../kernel/client/terminalReport.ts";
import { buildKernel, temporaryFolder } from "./kernelHarness.ts";

beforeAll(() => { buildKernel(); });

function markdownCell(source: string): NotebookCell {
  return { ...createCodeCell(source), cell_type: "markdown" };
}

function notebookFile(cells: NotebookCell[]): { inputPath: string; outputPath: string; folder: string } {
  const folder = temporaryFolder();
  const inputPath = join(folder, "in put.ipynb");
  writeNotebook(inputPath, { cells, metadata: {} });
  return { inputPath, outputPath: join(folder, "output.ipynb"), folder };
}

describe("runNotebook", () => {
  test("executes cells in order and stores outputs as nbformat 4.5 wants them", async () => {
    const { inputPath, outputPath, folder } = notebookFile([
      markdownCell("# Title"), createCodeCell("import { factor } from './unit.ts'\nconst n: number = 3"),
      createCodeCell("for (let i = 0; i < n; i++) { console.log(i); await new Promise((r) => setTimeout(r, 60)) }\nconsole.error('e')"),
      createCodeCell("display({ 'text/plain': 'step 1' }, { display_id: 'p' })"),
      createCodeCell("display({ 'text/plain': 'step 2' }, { display_id: 'p', update: true }); n * factor"),
      createCodeCell("console.log('gone'); clearOutput(); console.log('stays')"), createCodeCell("  "),
    ]);
    writeFileSync(join(folder, "unit.ts"), "export const factor: number = 2");
    const titles: string[] = [];
    const { notebook, failedCell } = await runNotebook({ inputPath, outputPath, onCell: ({ phase, title }) => { if (phase === "start") titles.push(title); } });
    expect(failedCell).toBeUndefined();
    expect(titles.slice(0, 2)).toEqual(["Title", `${"for (let i = 0; i < n; i++) { console.log(i); await new Promise((r) => setTimeout(r, 60)) }".slice(0, 71)}…`]);
    expect(notebook.cells.map(({ executionCount }) => executionCount)).toEqual([null, 1, 2, 3, 4, 5, null]);
    expect(notebook.cells[2]?.outputs).toEqual([{ output_type: "stream", name: "stdout", text: "0\n1\n2\n" }, { output_type: "stream", name: "stderr", text: "e\n" }]);
    expect(notebook.cells[3]?.outputs).toEqual([{ output_type: "display_data", data: { "text/plain": "step 2" }, metadata: {} }]);
    expect(notebook.cells[4]?.outputs).toEqual([{ output_type: "execute_result", data: { "text/plain": "6" }, metadata: {}, execution_count: 4 }]);
    expect(notebook.cells[5]?.outputs).toEqual([{ output_type: "stream", name: "stdout", text: "stays\n" }]);

    const stored = JSON.parse(readFileSync(outputPath, "utf8")) as { nbformat: number; nbformat_minor: number; metadata: object; cells: Record<string, unknown>[] };
    expect([stored.nbformat, stored.nbformat_minor]).toEqual([4, 5]);
    expect(stored.metadata).toMatchObject({ kernelspec: { name: "moe-lab" }, language_info: { name: "typescript" } });
    expect(stored.cells[2]?.outputs).toEqual([{ output_type: "stream", name: "stdout", text: ["0\n", "1\n", "2\n"] }, { output_type: "stream", name: "stderr", text: ["e\n"] }]);
    expect(stored.cells[0]).not.toHaveProperty("outputs");
    expect(stored.cells.every(({ id }) => typeof id === "string")).toBe(true);
    expect(readNotebook(outputPath)).toEqual(notebook);
    expect(readdirSync(folder).filter((name) => name.includes(".new"))).toEqual([]);
  });

  test("stops at the first failing cell and writes what was done", async () => {
    const { inputPath, outputPath } = notebookFile([createCodeCell("console.log('first')"), createCodeCell("throw new RangeError('here')"), createCodeCell("console.log('never')")]);
    const { failedCell } = await runNotebook({ inputPath, outputPath });
    expect(failedCell).toMatchObject({ index: 1, ename: "RangeError", evalue: "here" });
    const stored = readNotebook(outputPath);
    expect(stored.cells[0]?.outputs).toHaveLength(1);
    expect(stored.cells[1]?.outputs[0]).toMatchObject({ output_type: "error", ename: "RangeError" });
    expect(stored.cells[2]?.outputs).toEqual([]);
  });

  test("a cell tagged raises-exception may fail", async () => {
    const { inputPath } = notebookFile([createCodeCell("throw new Error('expected')", { tags: ["raises-exception"] }), createCodeCell("1")]);
    const { notebook, failedCell } = await runNotebook({ inputPath });
    expect(failedCell).toBeUndefined();
    expect(notebook.cells[1]?.outputs).toHaveLength(1);
  });

  test("a cell over its time is interrupted and reported", async () => {
    const { inputPath } = notebookFile([createCodeCell("while (true) {}")]);
    const { failedCell } = await runNotebook({ inputPath, timeoutSeconds: 5 });
    expect(failedCell).toMatchObject({ index: 0, ename: "KeyboardInterrupt", evalue: "the cell took longer than 5 s" });
  });

  test("a cell over its time has failed also when it ends by itself", async () => {
    const { inputPath } = notebookFile([createCodeCell("const signal = cellSignal; await new Promise((end) => { signal.addEventListener('abort', end); })")]);
    const { failedCell } = await runNotebook({ inputPath, timeoutSeconds: 5 });
    expect(failedCell).toMatchObject({ index: 0, ename: "KeyboardInterrupt", evalue: "the cell took longer than 5 s" });
  });

  test("a run that is stopped interrupts its cell", async () => {
    const { inputPath } = notebookFile([createCodeCell("console.log('running'); while (true) {}"), createCodeCell("1")]);
    const stop = new AbortController();
    const { failedCell, notebook } = await runNotebook({ inputPath, signal: stop.signal, onOutput: () => { stop.abort(); } });
    expect(failedCell).toMatchObject({ index: 0, evalue: "the run was stopped" });
    expect(notebook.cells[1]?.executionCount).toBeNull();
  });

  test("a kernel that dies is a failed cell", async () => {
    const { inputPath, outputPath } = notebookFile([createCodeCell("process.kill(process.pid, 'SIGKILL')")]);
    const { failedCell } = await runNotebook({ inputPath, outputPath });
    expect(failedCell?.ename).toBe("KernelProcessError");
    expect(existsSync(outputPath)).toBe(true);
  });

  test("parameters come behind the cell tagged parameters and replace its values", async () => {
    const { inputPath } = notebookFile([
      createCodeCell("const untouched = 1"), createCodeCell("let steps: number = 1000\nconst label = 'default'", { tags: ["parameters"] }), createCodeCell("[steps, label, options.deep]"),
    ]);
    const { notebook, failedCell } = await runNotebook({ inputPath, parameters: { steps: 5, label: "mine", options: { deep: [true, null] } } });
    expect(failedCell).toBeUndefined();
    expect(notebook.cells.map(({ metadata }) => metadata.tags)).toEqual([undefined, ["parameters"], ["injected-parameters"], undefined]);
    expect(notebook.cells[3]?.outputs[0]).toMatchObject({ data: { "text/plain": "[ 5, 'mine', [ true, null ] ]" } });
  });

  test("injected parameters replace earlier ones, and wrong names are refused", () => {
    const notebook: Notebook = { cells: [createCodeCell("1")], metadata: {} };
    injectParameters(notebook, { a: 1 });
    injectParameters(notebook, { a: 2 });
    expect(notebook.cells.map(({ source }) => source)).toEqual(["// Parameters\nlet a = 2;", "1"]);
    expect(() => { injectParameters(notebook, { "a; process.exit()": 1 }); }).toThrow(/E_NOTEBOOK_PARAMETER/);
  });

  test("files that are no notebooks are refused with a typed error", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "x"));
    writeFileSync(join(folder, "text.ipynb"), "{");
    writeFileSync(join(folder, "old.ipynb"), JSON.stringify({ nbformat: 3, worksheets: [] }));
    for (const name of ["text.ipynb", "old.ipynb", "missing.ipynb"]) expect(() => readNotebook(join(folder, name)), name).toThrow(/E_NOTEBOOK_READ/);
  });
});

describe("terminalReport", () => {
  const recorder = (isTTY: boolean): { text: string; isTTY: boolean; columns: number; write: (text: string) => void } => ({
    text: "", isTTY, columns: 30, write(text: string) { this.text += text; },
  });
  const progress = (text: string): Parameters<ReturnType<typeof terminalReport>["onOutput"]>[0] =>
    ({ output: { output_type: "display_data", data: { "text/plain": text }, metadata: {} }, isUpdate: true, displayId: "p" });
  const stream = (text: string): Parameters<ReturnType<typeof terminalReport>["onOutput"]>[0] =>
    ({ output: { output_type: "stream", name: "stdout", text }, isUpdate: false, displayId: null });
  const event = { index: 0, number: 1, total: 2, title: "Train", cell: createCodeCell(""), elapsedMs: 2000, hasFailed: false };

  test("rewrites one progress line on a terminal, shortened to its width", () => {
    const out = recorder(true);
    const report = terminalReport(out);
    report.onCell({ ...event, phase: "start" });
    report.onOutput(stream("begin"));
    report.onOutput(progress("step 1"));
    report.onOutput(progress(`step 2 ${"x".repeat(50)}`));
    report.onOutput(stream("done\n"));
    expect(out.text).toBe(`[1/2] Train\nbegin\n\r\u001b[2Kstep 1\r\u001b[2Kstep 2 ${"x".repeat(22)}\ndone\n`);
  });

  test("prints progress into a file every ten seconds at most", () => {
    const out = recorder(false);
    let nowMs = 0;
    const report = terminalReport(out, () => nowMs);
    for (let step = 0; step <= 25; step++) {
      nowMs = step * 1000;
      report.onOutput(progress(`step ${step}`));
    }
    expect(out.text).toBe("step 0\nstep 10\nstep 20\n");
  });

  test("shows the text of a cell's result, of a long one the first 30 lines", () => {
    const out = recorder(false);
    const report = terminalReport(out);
    const result = (text: string): void => {
      report.onOutput({ output: { output_type: "execute_result", data: { "text/plain": text, "text/html": "<b>" }, metadata: {}, execution_count: 1 }, isUpdate: false, displayId: null });
    };
    result("Tensor [2]");
    result(Array.from({ length: 32 }, (_, line) => String(line)).join("\n"));
    const shown = out.text.split("\n");
    expect(shown.slice(0, 3)).toEqual(["Tensor [2]", "0", "1"]);
    expect(shown.slice(-3)).toEqual(["29", "… 2 more lines", ""]);
  });

  test("shows errors and the time of long cells", () => {
    const out = recorder(false);
    const report = terminalReport(out);
    report.onCell({ ...event, phase: "end" });
    report.onOutput({ output: { output_type: "error", ename: "Error", evalue: "x", traceback: ["Error: x", "    at cell-1.ts:1:1"] }, isUpdate: false, displayId: null });
    report.onCell({ ...event, phase: "end", hasFailed: true });
    expect(out.text).toBe("[1/2] 2.0 s\nError: x\n    at cell-1.ts:1:1\n[1/2] failed after 2.0 s\n");
  });
});

describe("notebookToHtml", () => {
  const page = (...outputs: NotebookCell["outputs"]): string => notebookToHtml({ cells: [markdownCell("# Head\n\n| a | b |\n|--|--|\n| 1 | 2 |"), { ...createCodeCell("const tag: string = `<${1 + 1}>` // note\nconst found = /re/g.test('x') && a < 2 / 3\nArray.from({ type: 1 })"), outputs }], metadata: {} }, { title: "A & B" });
  const data = (bundle: Record<string, unknown>): NotebookCell["outputs"][number] => ({ output_type: "display_data", data: bundle, metadata: {} });

  test("renders Markdown, coloured code and all kinds of outputs in one page without addresses elsewhere", () => {
    const html = page(
      { output_type: "stream", name: "stdout", text: "\u001b[31mred\u001b[0m <b>\n10%\r20%\n" }, { output_type: "error", ename: "E", evalue: "v", traceback: ["\u001b[1mE: v\u001b[0m"] },
      data({ "text/html": "<i id='own'>html</i>", "text/plain": "hidden" }), data({ "image/png": "iVBO\nRw0=" }), data({ "image/svg+xml": "<svg id='pic'></svg>" }), data({ "text/plain": "a < b" }),
    );
    expect(html).toContain("<title>A &amp; B</title>");
    expect(html).toMatch(/<h1>Head<\/h1>[^]*<td>1<\/td>/);
    expect(html).toContain("<span class=\"k\">const</span>");
    expect(html).toContain("<span class=\"c\">// note</span>");
    expect(html).toContain("<span class=\"s\">`&lt;${</span><span class=\"n\">1</span> + <span class=\"n\">1</span><span class=\"s\">}&gt;`</span>");
    expect(html).toContain("<span class=\"s\">/re/g</span>");
    expect(html).toContain("Array.from({ type: ");
    expect(html).toContain("red &lt;b&gt;\n20%\n");
    expect(html).toContain("<pre class=\"error\">E: v</pre>");
    expect(html).toContain("<i id='own'>html</i>");
    expect(html).not.toContain("hidden</pre>");
    expect(html).toContain("src=\"data:image/png;base64,iVBORw0=\"");
    expect(html).toContain("<svg id='pic'></svg>");
    expect(html).toContain("a &lt; b");
    expect(html).not.toMatch(/(src|href)="https?:/);
    expect(html).not.toContain("Plotly");
  });

  test("has plotly.js in it once, however many plots there are, and no plot can end the script", () => {
    const plot = { "application/vnd.plotly.v1+json": { data: [{ y: [1, 2], name: "</script><script>alert(1)</script>" }], layout: { height: 300 } } };
    const html = page(data(plot), data(plot));
    expect(html.match(/Plotly\.newPlot\("plot-/g)).toHaveLength(2);
    expect(html.match(/plotly\.js v\d/g)).toHaveLength(1);
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).toContain("style=\"height:300px\"");
  });
});
