import { dirname, resolve } from "node:path";
import { KernelProcessError, NotebookError } from "../errors.ts";
import { kernelCommandLine, KERNEL_NAME } from "../install.ts";
import { stringField } from "../protocol/json.ts";
import { CellOutputs } from "./cellOutputs.ts";
import type { OutputEvent } from "./cellOutputs.ts";
import { KernelClient } from "./kernelClient.ts";
import { createCodeCell, readNotebook, tagsOf, writeNotebook } from "./notebook.ts";
import type { Notebook, NotebookCell } from "./notebook.ts";

/** A code cell starts or ends. */
export interface CellEvent {
  readonly phase: "start" | "end";
  /** Place among the notebook's cells, from 0. */
  readonly index: number;
  /** Place among the code cells, from 1, and how many there are. */
  readonly number: number;
  readonly total: number;
  readonly cell: NotebookCell;
  /** The nearest heading above the cell, or the cell's first line. */
  readonly title: string;
  /** At the end only. */
  readonly elapsedMs: number;
  readonly hasFailed: boolean;
}

/** How a notebook is to be run. */
export interface RunNotebookOptions {
  readonly inputPath: string;
  /** Written after each cell and at the end, also when a cell fails; without it nothing is written. */
  readonly outputPath?: string;
  /** Longest time for one cell, in s; without it there is no limit. */
  readonly timeoutSeconds?: number;
  /** Values for the notebook's parameters, as JSON has them. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly onCell?: (event: CellEvent) => void;
  readonly onOutput?: (event: OutputEvent, cell: NotebookCell) => void;
  /** Folder the kernel runs in; the notebook's own by default. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Stops the run: the running cell is interrupted. */
  readonly signal?: AbortSignal;
}

export interface CellFailure {
  /** Place among the notebook's cells, from 0. */
  readonly index: number;
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** Between two interrupts of a cell that does not stop, in ms. */
const STOP_RETRY_MS = 1000;
/** A title longer than this is cut, in UTF-16 units. */
const TITLE_LENGTH = 72;
const STOPPED = { ename: "KeyboardInterrupt", evalue: "the run was stopped", traceback: [] };

/** Runs a notebook from top to bottom in a fresh kernel over the Jupyter protocol; stops at the first failing cell
 *  that is not tagged `raises-exception`.
 *  @returns the executed notebook, and the failure if there was one
 *  @throws NotebookError, KernelProcessError when the kernel does not start */
export async function runNotebook(options: RunNotebookOptions): Promise<{ notebook: Notebook; failedCell?: CellFailure }> {
  const notebook = readNotebook(options.inputPath);
  if (options.parameters !== undefined) injectParameters(notebook, options.parameters);
  for (const cell of notebook.cells) {
    cell.outputs = [];
    cell.executionCount = null;
  }
  const cwd = resolve(options.cwd ?? dirname(options.inputPath));
  const client = await KernelClient.start({ argv: kernelCommandLine(), cwd, env: options.env });
  try {
    await describeKernel(client, notebook);
    const failedCell = await runCells(client, notebook, options);
    return failedCell === null ? { notebook } : { notebook, failedCell };
  } finally {
    if (options.outputPath !== undefined) writeNotebook(options.outputPath, notebook);
    await client.shutdown();
  }
}

async function describeKernel(client: KernelClient, notebook: Notebook): Promise<void> {
  const info = await client.request("shell", "kernel_info_request", {});
  notebook.metadata.language_info = info.content.language_info;
  notebook.metadata.kernelspec = { name: KERNEL_NAME, display_name: "TypeScript (MoE Lab)", language: "typescript" };
}

async function runCells(client: KernelClient, notebook: Notebook, options: RunNotebookOptions): Promise<CellFailure | null> {
  const outputs = new CellOutputs();
  const code = notebook.cells.map((cell, index) => ({ cell, index })).filter(({ cell }) => cell.cell_type === "code" && cell.source.trim() !== "");
  // Output of a timer that fires after its cell ended belongs to that cell all the same.
  const cellOfRequest = new Map<string, NotebookCell>();
  client.onStrayMessage = (message) => {
    const cell = cellOfRequest.get(message.parentHeader.msg_id ?? "");
    const event = cell === undefined ? null : outputs.add(cell, message);
    if (cell !== undefined && event !== null) options.onOutput?.(event, cell);
  };
  for (const [position, { cell, index }] of code.entries()) {
    const about = { index, number: position + 1, total: code.length, cell, title: titleOf(notebook, index) };
    options.onCell?.({ ...about, phase: "start", elapsedMs: 0, hasFailed: false });
    const startedMs = performance.now();
    const failure = await runCell(client, cell, index, outputs, cellOfRequest, options);
    const hasFailed = failure !== null && !tagsOf(cell).includes("raises-exception");
    options.onCell?.({ ...about, phase: "end", elapsedMs: performance.now() - startedMs, hasFailed });
    if (options.outputPath !== undefined) writeNotebook(options.outputPath, notebook);
    if (hasFailed) return failure;
  }
  return null;
}

async function runCell(
  client: KernelClient, cell: NotebookCell, index: number, outputs: CellOutputs, cellOfRequest: Map<string, NotebookCell>, options: RunNotebookOptions,
): Promise<CellFailure | null> {
  if (options.signal?.aborted === true) return { index, ...STOPPED };
  let stopReason: string | null = null;
  let stopping: NodeJS.Timeout | undefined;
  const stop = (reason: string): void => {
    stopReason ??= reason;
    // Again and again: the cell may catch what stops it. A kernel that died meanwhile has failed the cell already.
    const interrupt = (): void => { client.interrupt().catch(() => undefined); };
    interrupt();
    stopping ??= setInterval(interrupt, STOP_RETRY_MS);
  };
  const timer = options.timeoutSeconds === undefined ? undefined
    : setTimeout(stop, options.timeoutSeconds * 1000, `the cell took longer than ${options.timeoutSeconds} s`);
  const onAbort = (): void => { stop(STOPPED.evalue); };
  options.signal?.addEventListener("abort", onAbort);
  try {
    const reply = await client.execute(cell.source, {
      onMessage: (message) => {
        cellOfRequest.set(message.parentHeader.msg_id ?? "", cell);
        const event = outputs.add(cell, message);
        if (event !== null) options.onOutput?.(event, cell);
      },
    });
    if (reply.content.status === "ok") {
      // A cell that was asked to end may do so without an error.
      return stopReason === null ? null : { index, ...STOPPED, evalue: stopReason };
    }
    const traceback = Array.isArray(reply.content.traceback) ? reply.content.traceback.map(String) : [];
    return { index, ename: stringField(reply.content, "ename"), evalue: stopReason ?? stringField(reply.content, "evalue"), traceback };
  } catch (error) {
    if (!(error instanceof KernelProcessError)) throw error;
    cell.outputs.push({ output_type: "error", ename: error.name, evalue: error.message, traceback: [error.message] });
    return { index, ename: error.name, evalue: error.message, traceback: [error.message] };
  } finally {
    clearTimeout(timer);
    clearInterval(stopping);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/** Puts a cell with the given values behind the cell tagged `parameters`, or at the top, replacing an earlier one.
 *  Source: papermill.readthedocs.io/en/latest/usage-parameterize.html
 *  @throws NotebookError E_NOTEBOOK_PARAMETER for a name that is no identifier or a value that JSON has not */
export function injectParameters(notebook: Notebook, parameters: Readonly<Record<string, unknown>>): void {
  const lines = Object.entries(parameters).map(([name, value]) => {
    const json: string | undefined = JSON.stringify(value);
    if (!/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name) || json === undefined) {
      throw new NotebookError({
        code: "E_NOTEBOOK_PARAMETER", what: `The parameter ${name} can't be put into a notebook`,
        why: "it needs the name of a variable and a JSON value", fix: "use names such as steps or learningRate",
      });
    }
    return `let ${name} = ${json};`;
  });
  notebook.cells = notebook.cells.filter((cell) => !tagsOf(cell).includes("injected-parameters"));
  const place = notebook.cells.findIndex((cell) => tagsOf(cell).includes("parameters"));
  notebook.cells.splice(place + 1, 0, createCodeCell(`// Parameters\n${lines.join("\n")}`, { tags: ["injected-parameters"] }));
}

function titleOf(notebook: Notebook, index: number): string {
  const [cell, above] = [notebook.cells[index], notebook.cells[index - 1]];
  const heading = above?.cell_type === "markdown" ? /^#+\s+(.+)$/m.exec(above.source)?.[1] : undefined;
  const firstLine = cell?.source.split("\n").find((line) => line.trim() !== "")?.trim() ?? "";
  const title = (heading ?? firstLine.replace(/^\/\/\s*/, "")).trim();
  return title.length > TITLE_LENGTH ? `${title.slice(0, TITLE_LENGTH - 1)}…` : title;
}
