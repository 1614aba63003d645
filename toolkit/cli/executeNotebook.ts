import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeNotebook } from "../../kernel/client/notebook.ts";
import { notebookToHtml } from "../../kernel/client/notebookHtml.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import { terminalReport } from "../../kernel/client/terminalReport.ts";
import { writeFileWhole } from "../export/sealedFolder.ts";

/** Runs a notebook in a fresh kernel of ours, prints what it says, and writes the executed notebook and its report.
 *  @returns false when a cell failed; what was written then holds the error */
export async function executeNotebook(inputPath: string, options: { outputPath?: string; htmlPath?: string; title: string; timeoutSeconds?: number; parameters?: Record<string, unknown> }): Promise<boolean> {
  const interrupt = new AbortController();
  const onSigint = (): void => { interrupt.abort(); };
  process.once("SIGINT", onSigint);
  try {
    const { notebook, failedCell } = await runNotebook({
      inputPath, timeoutSeconds: options.timeoutSeconds, parameters: options.parameters, signal: interrupt.signal, ...terminalReport(),
    });
    // Written at the end, because a cell may set the folder aside that they go to.
    if (options.outputPath !== undefined) {
      mkdirSync(dirname(options.outputPath), { recursive: true });
      writeNotebook(options.outputPath, notebook);
    }
    if (options.htmlPath !== undefined) writeFileWhole(options.htmlPath, notebookToHtml(notebook, { title: options.title }));
    if (failedCell) console.error(`cell ${failedCell.index + 1} failed: ${failedCell.ename}: ${failedCell.evalue}`);
    return failedCell === undefined;
  } finally {
    process.off("SIGINT", onSigint);
  }
}
