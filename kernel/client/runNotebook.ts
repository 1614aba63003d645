import { dirname, resolve } from "node:path";
import { KernelProcessError } from "../errors.ts";
import { kernelCommandLine } from "../install.ts";
import { KERNELS, languageOf } from "../notebookLanguage.ts";
import { stringField } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import { CellOutputs } from "./cellOutputs.ts";
import type { OutputEvent } from "./cellOutputs.ts";
import { CellTiming } from "./cellTiming.ts";
import { KernelClient } from "./kernelClient.ts";
import { readNotebook, tagsOf, writeNotebook } from "./notebook.ts";
import type { Notebook, NotebookCell } from "./notebook.ts";
import { injectParameters } from "./parameters.ts";
import { WidgetStates } from "./widgetStates.ts";

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
  /** Written before the first cell, after cells and at the end, also when a cell fails; without it nothing is written. */
  readonly outputPath?: string;
  /** Longest time for one cell, in s; without it there is no limit. */
  readonly timeoutSeconds?: number;
  /** Values for the notebook's parameters, as JSON has them. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Goes on behind a cell that fails; a timeout, a stop and a dead kernel still end the run. */
  readonly allowErrors?: boolean;
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
  /** An error of the cell, a cell over its time, a stop by the caller's signal, a kernel that ended. */
  readonly reason: "error" | "timeout" | "stopped" | "died";
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** Between two interrupts of a cell that does not stop, in ms. */
const STOP_RETRY_MS = 1000;
/** A cell that has not stopped after this long, e.g. because it is in native code, loses its kernel, in ms. */
const STOP_GRACE_MS = 30_000;
/** A longer time than a timer takes, some 24 days, would fire at once, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** The notebook is written after a cell unless writing would take more than one part in so many of the time. */
const SAVE_SHARE = 10;
/** A title longer than this is cut, in UTF-16 units. */
const TITLE_LENGTH = 72;
/** A cell with this tag is left out. Source: nbclient's skip_cells_with_tag */
const SKIP_TAG = "skip-execution";
/** A cell with this tag may fail. Source: nbclient */
const MAY_FAIL_TAG = "raises-exception";

/** Runs a notebook from top to bottom in a fresh kernel over the Jupyter protocol; stops at the first failing cell
 *  that is not tagged `raises-exception`.
 *  @returns the executed notebook, and the failure if there was one
 *  @throws NotebookError, KernelProcessError when the kernel does not start */
export async function runNotebook(options: RunNotebookOptions): Promise<{ notebook: Notebook; failedCell?: CellFailure }> {
  const notebook = readNotebook(options.inputPath);
  if (options.parameters !== undefined) injectParameters(notebook, options.parameters);
  for (const cell of notebook.cells) {
    if (tagsOf(cell).includes(SKIP_TAG)) continue;
    cell.outputs = [];
    cell.executionCount = null;
  }
  const run = new NotebookRun(notebook, options);
  // Before anything runs: a place that can't be written would else be found out after hours.
  run.save();
  const cwd = resolve(options.cwd ?? dirname(options.inputPath));
  const client = await KernelClient.start({ argv: kernelCommandLine(languageOf(notebook.metadata)), cwd, env: options.env });
  try {
    await describeKernel(client, notebook);
    const failedCell = await run.cells(client);
    return failedCell === null ? { notebook } : { notebook, failedCell };
  } finally {
    try {
      run.finish();
    } finally {
      await client.shutdown();
    }
  }
}

async function describeKernel(client: KernelClient, notebook: Notebook): Promise<void> {
  const { content } = await client.request("shell", "kernel_info_request", {});
  const language = languageOf(notebook.metadata);
  const { kernelName, displayName } = KERNELS[language];
  notebook.metadata.kernelspec = { name: kernelName, display_name: displayName, language };
  notebook.metadata.language_info = content.language_info;
}

/** One run of a notebook. */
class NotebookRun {
  private readonly notebook: Notebook;
  private readonly options: RunNotebookOptions;
  private readonly outputs = new CellOutputs();
  private readonly widgets = new WidgetStates();
  /** Output of a timer may come long after its cell. */
  private readonly cellOfRequest = new Map<string, NotebookCell>();
  private savedMs = -Infinity;
  private saveTookMs = 0;

  constructor(notebook: Notebook, options: RunNotebookOptions) {
    this.notebook = notebook;
    this.options = options;
  }

  save(): void {
    const { outputPath } = this.options;
    const startedMs = performance.now();
    if (outputPath === undefined || startedMs - this.savedMs < SAVE_SHARE * this.saveTookMs) return;
    writeNotebook(outputPath, this.notebook);
    this.savedMs = performance.now();
    this.saveTookMs = this.savedMs - startedMs;
  }

  finish(): void {
    this.widgets.writeTo(this.notebook.metadata);
    this.saveTookMs = 0;
    this.save();
  }

  async cells(client: KernelClient): Promise<CellFailure | null> {
    const code = this.notebook.cells.map((cell, index) => ({ cell, index }))
      .filter(({ cell }) => cell.cell_type === "code" && cell.source.trim() !== "" && !tagsOf(cell).includes(SKIP_TAG));
    client.onStrayMessage = (message) => {
      const cell = this.cellOfRequest.get(message.parentHeader.msg_id ?? "");
      if (cell !== undefined) this.take(cell, message);
    };
    for (const [position, { cell, index }] of code.entries()) {
      const about = { index, number: position + 1, total: code.length, cell, title: titleOf(this.notebook, index) };
      this.options.onCell?.({ ...about, phase: "start", elapsedMs: 0, hasFailed: false });
      const startedMs = performance.now();
      const failure = await this.cell(client, cell, index);
      const isExpected = failure?.reason === "error" && tagsOf(cell).includes(MAY_FAIL_TAG);
      this.options.onCell?.({ ...about, phase: "end", elapsedMs: performance.now() - startedMs, hasFailed: failure !== null && !isExpected });
      this.save();
      if (failure !== null && !isExpected && !(failure.reason === "error" && this.options.allowErrors === true)) return failure;
    }
    return null;
  }

  private take(cell: NotebookCell, message: Message): void {
    this.widgets.add(message);
    const event = this.outputs.add(cell, message);
    if (event !== null) this.options.onOutput?.(event, cell);
  }

  private async cell(client: KernelClient, cell: NotebookCell, index: number): Promise<CellFailure | null> {
    if (this.options.signal?.aborted === true) return stopped(index, BY_CALLER);
    const stop = new CellStop(client, this.options);
    const timing = new CellTiming();
    try {
      const reply = await client.execute(cell.source, {
        onMessage: (message) => {
          this.cellOfRequest.set(message.parentHeader.msg_id ?? "", cell);
          timing.add(message);
          this.take(cell, message);
        },
      });
      timing.add(reply);
      const reason = stop.reason();
      // A cell that was asked to end may do so without an error.
      if (reply.content.status === "ok") return reason === null ? null : stopped(index, reason);
      const traceback = Array.isArray(reply.content.traceback) ? reply.content.traceback.map(String) : [];
      if (reason !== null) return { ...stopped(index, reason), traceback };
      return { index, reason: "error", ename: stringField(reply.content, "ename"), evalue: stringField(reply.content, "evalue"), traceback };
    } catch (error) {
      if (!(error instanceof KernelProcessError)) throw error;
      const reason = stop.reason();
      const failure: CellFailure = reason === null
        ? { index, reason: "died", ename: error.name, evalue: error.message, traceback: [error.message] }
        : { ...stopped(index, reason), evalue: `${reason.evalue} and did not stop; its kernel was ended` };
      cell.outputs.push({ output_type: "error", ename: failure.ename, evalue: failure.evalue, traceback: [`${failure.ename}: ${failure.evalue}`] });
      return failure;
    } finally {
      stop.end();
      cell.metadata.execution = timing.metadata();
    }
  }
}

interface StopReason { readonly reason: "timeout" | "stopped"; readonly evalue: string }

const BY_CALLER: StopReason = { reason: "stopped", evalue: "the run was stopped" };

function stopped(index: number, { reason, evalue }: StopReason): CellFailure {
  return { index, reason, ename: "KeyboardInterrupt", evalue, traceback: [] };
}

/** Stops a running cell when its time is over or the caller wants it. */
class CellStop {
  private stoppedFor: StopReason | null = null;
  private readonly client: KernelClient;
  private readonly signal: AbortSignal | undefined;
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly onAbort = (): void => { this.begin(BY_CALLER); };

  constructor(client: KernelClient, { timeoutSeconds, signal }: RunNotebookOptions) {
    this.client = client;
    this.signal = signal;
    signal?.addEventListener("abort", this.onAbort);
    if (timeoutSeconds === undefined) return;
    this.timers.push(setTimeout(() => { this.begin({ reason: "timeout", evalue: `the cell took longer than ${timeoutSeconds} s` }); }, Math.min(timeoutSeconds * 1000, MAX_TIMER_MS)));
  }

  /** Why the cell was stopped, or null while it has not been. */
  reason(): StopReason | null {
    return this.stoppedFor;
  }

  end(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.signal?.removeEventListener("abort", this.onAbort);
  }

  private begin(reason: StopReason): void {
    if (this.stoppedFor !== null) return;
    this.stoppedFor = reason;
    // Again and again: the cell may catch what stops it. A kernel that died meanwhile has failed the cell already.
    const interrupt = (): void => { this.client.interrupt().catch(() => undefined); };
    interrupt();
    this.timers.push(setInterval(interrupt, STOP_RETRY_MS), setTimeout(() => { this.client.process.kill(); }, STOP_GRACE_MS));
  }
}

function titleOf(notebook: Notebook, index: number): string {
  const [cell, above] = [notebook.cells[index], notebook.cells[index - 1]];
  const heading = above?.cell_type === "markdown" ? /^#+\s+(.+)$/m.exec(above.source)?.[1] : undefined;
  const firstLine = cell?.source.split("\n").find((line) => line.trim() !== "")?.trim() ?? "";
  const title = (heading ?? firstLine.replace(/^\/\/\s*/, "")).trim();
  return title.length > TITLE_LENGTH ? `${title.slice(0, TITLE_LENGTH - 1)}…` : title;
}
