import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import type { NotebookCell } from "../../kernel/client/notebook.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import { kernelCommandLine } from "../../kernel/install.ts";
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
    expect(failedCell).toMatchObject({ index: 1, reason: "error", ename: "RangeError", evalue: "here" });
    const stored = readNotebook(outputPath);
    expect(stored.cells[0]?.outputs).toHaveLength(1);
    expect(stored.cells[1]?.outputs[0]).toMatchObject({ output_type: "error", ename: "RangeError" });
    expect(stored.cells[2]?.outputs).toEqual([]);
  });

  test("a cell tagged raises-exception may fail, one tagged skip-execution keeps what it had, and input() is refused", async () => {
    const skipped = { ...createCodeCell("throw new Error('never')", { tags: ["skip-execution"] }), executionCount: 9, outputs: [{ output_type: "stream" as const, name: "stdout", text: "earlier" }] };
    const { inputPath } = notebookFile([createCodeCell("throw new Error('expected')", { tags: ["raises-exception"] }), skipped, createCodeCell("1"), createCodeCell("input('who? ')")]);
    const { notebook, failedCell } = await runNotebook({ inputPath });
    expect(notebook.cells[0]?.outputs).toMatchObject([{ output_type: "error", evalue: "expected" }]);
    expect(notebook.cells[1]).toEqual(skipped);
    expect(notebook.cells[2]?.outputs).toHaveLength(1);
    expect(failedCell).toMatchObject({ index: 3, reason: "error", ename: "InputError" });
  });

  test("with allowErrors it goes on behind a failing cell and keeps the errors", async () => {
    const { inputPath, outputPath } = notebookFile([createCodeCell("throw new Error('one')"), createCodeCell("2")]);
    const { failedCell } = await runNotebook({ inputPath, outputPath, allowErrors: true });
    expect(failedCell).toBeUndefined();
    expect(readNotebook(outputPath).cells.map(({ outputs }) => outputs[0]?.output_type)).toEqual(["error", "execute_result"]);
  });

  test("stores when each cell ran, and the last state of the widgets that cells made", async () => {
    const { inputPath } = notebookFile([createCodeCell(`
      const bar = comms.open("jupyter.widget", { state: { _model_name: "FloatProgressModel", _model_module: "@jupyter-widgets/controls", _model_module_version: "2.0.0", value: 0 }, buffer_paths: [] });
      bar.send({ method: "update", state: { value: 1 }, buffer_paths: [["image"]] }, { buffers: [new Uint8Array([1, 2, 3])] });
      comms.open("jupyter.widget", { state: { _model_name: "Closed" } }).close();
      display({ "application/vnd.jupyter.widget-view+json": { version_major: 2, version_minor: 0, model_id: bar.id }, "text/plain": "bar" });`)]);
    const { notebook, failedCell } = await runNotebook({ inputPath });
    expect(failedCell).toBeUndefined();
    const { "iopub.status.busy": busy, "iopub.execute_input": input, "iopub.status.idle": idle, "shell.execute_reply": replied } = notebook.cells[0]?.metadata.execution as Record<string, string>;
    expect([busy, input, idle, replied].map((time) => Number.isFinite(Date.parse(time ?? "")))).toEqual([true, true, true, true]);
    expect(Date.parse(busy ?? "")).toBeLessThanOrEqual(Date.parse(idle ?? ""));
    // The form that nbclient writes and JupyterLab's and nbconvert's widget managers read.
    const { "application/vnd.jupyter.widget-state+json": stored } = notebook.metadata.widgets as Record<string, { state: Record<string, unknown> }>;
    expect(stored).toMatchObject({ version_major: 2, version_minor: 0 });
    expect(Object.values(stored?.state ?? {})).toEqual([{
      model_name: "FloatProgressModel", model_module: "@jupyter-widgets/controls", model_module_version: "2.0.0",
      state: { _model_name: "FloatProgressModel", _model_module: "@jupyter-widgets/controls", _model_module_version: "2.0.0", value: 1 },
      buffers: [{ encoding: "base64", path: ["image"], data: "AQID" }],
    }]);
  });

  test("a cell over its time is interrupted and reported", async () => {
    const { inputPath } = notebookFile([createCodeCell("while (true) {}")]);
    const { failedCell } = await runNotebook({ inputPath, timeoutSeconds: 5 });
    expect(failedCell).toMatchObject({ index: 0, reason: "timeout", ename: "KeyboardInterrupt", evalue: "the cell took longer than 5 s" });
  });

  test("a cell over its time has failed also when it ends by itself", async () => {
    const { inputPath } = notebookFile([createCodeCell("const signal = cellSignal; await new Promise((end) => { signal.addEventListener('abort', end); })")]);
    const { failedCell } = await runNotebook({ inputPath, timeoutSeconds: 5 });
    expect(failedCell).toMatchObject({ index: 0, reason: "timeout", ename: "KeyboardInterrupt", evalue: "the cell took longer than 5 s" });
  });

  test("a run that is stopped interrupts its cell", async () => {
    const { inputPath } = notebookFile([createCodeCell("console.log('running'); while (true) {}"), createCodeCell("1")]);
    const stop = new AbortController();
    const { failedCell, notebook } = await runNotebook({ inputPath, signal: stop.signal, onOutput: () => { stop.abort(); } });
    expect(failedCell).toMatchObject({ index: 0, reason: "stopped", evalue: "the run was stopped" });
    expect(notebook.cells[1]?.executionCount).toBeNull();
  });

  test("a kernel that dies is a failed cell", async () => {
    const { inputPath, outputPath } = notebookFile([createCodeCell("process.kill(process.pid, 'SIGKILL')")]);
    const { failedCell } = await runNotebook({ inputPath, outputPath });
    expect(failedCell).toMatchObject({ reason: "died", ename: "KernelProcessError" });
    expect(readNotebook(outputPath).cells[0]?.outputs).toMatchObject([{ output_type: "error", ename: "KernelProcessError" }]);
  });

  test("parameters come behind the cell tagged parameters and replace its values", async () => {
    const { inputPath } = notebookFile([
      createCodeCell("const untouched = 1"), createCodeCell("let steps: number = 1000\nconst label = 'default'", { tags: ["parameters"] }), createCodeCell("[steps, label, options.deep]"),
    ]);
    const { notebook, failedCell } = await runNotebook({ inputPath, parameters: { steps: 5, label: "mine", options: { deep: [true, null] } } });
    expect(failedCell).toBeUndefined();
    expect(notebook.cells[2]?.source).toBe("// Parameters\nlet steps: number = 5;\nlet label = \"mine\";\nlet options = {\"deep\":[true,null]};");
    expect(notebook.cells.map(({ metadata }) => metadata.tags)).toEqual([undefined, ["parameters"], ["injected-parameters"], undefined]);
    expect(notebook.cells[3]?.outputs[0]).toMatchObject({ data: { "text/plain": "[ 5, 'mine', [ true, null ] ]" } });
  });
});

describe("starting a kernel", () => {
  test("when another program takes one of its ports, it is started again with others", async () => {
    const folder = temporaryFolder();
    const script = join(folder, "start.sh");
    writeFileSync(script, `if mkdir tried 2>/dev/null; then echo 'Error: Address already in use (EADDRINUSE)' >&2; exit 1; fi\nexec "$@"`);
    const client = await KernelClient.start({ argv: ["/bin/sh", script, ...kernelCommandLine()], cwd: folder });
    expect((await client.execute("1")).content.status).toBe("ok");
    expect(await client.shutdown()).toMatchObject({ code: 0 });
  });

  test("one that ends at once is not tried again, and its last words are told", async () => {
    await expect(KernelClient.start({ argv: ["/bin/sh", "-c", "echo 'no such package' >&2; exit 127"], cwd: temporaryFolder() })).rejects.toThrow(/code 127.*no such package.*E_KERNEL_DIED/s);
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
