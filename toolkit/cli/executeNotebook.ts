import type { Notebook } from "../../kernel/client/notebook.ts";
import { writeNotebook } from "../../kernel/client/notebook.ts";
import { notebookToHtml } from "../../kernel/client/notebookHtml.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import type { CellFailure } from "../../kernel/client/runNotebook.ts";
import { terminalReport } from "../../kernel/client/terminalReport.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";

export interface ExecuteNotebookOptions {
  /** The executed notebook; written before, while and after it runs. */
  outputPath?: string;
  /** The executed notebook, written at its end only: a cell may set the folder aside that it goes to. */
  finalPath?: string;
  htmlPath?: string;
  title: string;
  timeoutSeconds?: number;
  parameters?: Record<string, unknown>;
  allowErrors?: boolean;
  cwd?: string;
}

/** What a run ended with: the failure that ended it, or null; the signal that stopped it, or null. */
export interface NotebookEnd { readonly failure: CellFailure | null; readonly stoppedBy: "SIGINT" | "SIGTERM" | null }

/** Runs a notebook in a fresh kernel of ours, prints what it says, and writes the executed notebook and its report,
 *  also when a cell fails; what was written then holds the error. */
export async function executeNotebook(inputPath: string, options: ExecuteNotebookOptions): Promise<NotebookEnd> {
  const { outputPath, timeoutSeconds, parameters, allowErrors, cwd } = options;
  const interrupt = new AbortController();
  let stoppedBy: NotebookEnd["stoppedBy"] = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    stoppedBy = signal === "SIGTERM" ? "SIGTERM" : "SIGINT";
    interrupt.abort();
  };
  // Once: the second one ends this process, and the kernel with it.
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const { notebook, failedCell: failure = null } = await runNotebook({
      inputPath, outputPath, timeoutSeconds, parameters, allowErrors, cwd, signal: interrupt.signal, ...terminalReport(),
    });
    if (options.finalPath !== undefined) writeNotebook(options.finalPath, notebook);
    if (options.htmlPath !== undefined) writeFileWhole(options.htmlPath, notebookToHtml(notebook, { title: options.title }));
    if (failure !== null) console.error(describeFailure(notebook, failure));
    return { failure, stoppedBy };
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function describeFailure(notebook: Notebook, { index, reason, ename, evalue }: CellFailure): string {
  const count = notebook.cells[index]?.executionCount ?? null;
  const cell = `cell ${index + 1} of ${notebook.cells.length}${count === null ? "" : ` (In [${count}])`}`;
  switch (reason) {
    case "error": return `${cell} failed: ${ename}: ${evalue}`;
    case "timeout": return `${cell} was interrupted: ${evalue}`;
    case "stopped": return `${cell} was interrupted: ${evalue}`;
    case "died": return `the kernel died in ${cell}: ${evalue}`;
  }
}
