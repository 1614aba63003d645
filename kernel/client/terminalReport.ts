import type { OutputEvent } from "./cellOutputs.ts";
import { plainText } from "./ansi.ts";
import type { CellEvent } from "./runNotebook.ts";

/** Where the report goes. */
export interface TerminalStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The hooks of runNotebook that print a run's progress. */
export interface TerminalReport {
  readonly onCell: (event: CellEvent) => void;
  readonly onOutput: (event: OutputEvent) => void;
}

/** Without a terminal to rewrite, a progress line is printed this often at most, in ms. */
const PROGRESS_INTERVAL_MS = 10_000;
const DEFAULT_COLUMNS = 80;
/** The executed notebook holds the rest of a longer result. */
const MAX_RESULT_LINES = 30;

/** Prints cell titles with times, streams as they come, the text of results, and progress lines: an updated display rewrites one line on a
 *  terminal; into a file it is printed every ten seconds. */
export function terminalReport(stream: TerminalStream = process.stdout, now: () => number = Date.now): TerminalReport {
  let progressLine = "";
  let lastProgressMs = -Infinity;
  let isAtLineStart = true;

  const endProgress = (): void => {
    if (progressLine === "") return;
    if (stream.isTTY === true) stream.write("\n");
    progressLine = "";
  };
  const write = (text: string): void => {
    endProgress();
    stream.write(text);
    if (text !== "") isAtLineStart = text.endsWith("\n");
  };
  const writeLine = (text: string): void => { write(`${isAtLineStart ? "" : "\n"}${text}\n`); };
  const progress = (text: string): void => {
    const line = plainText(text).trim().split("\n").at(-1) ?? "";
    if (line === "" || line === progressLine) return;
    if (stream.isTTY === true) {
      if (!isAtLineStart) stream.write("\n");
      isAtLineStart = true;
      // \u001b[2K clears the line; a longer one would wrap and could not be rewritten.
      stream.write(`\r\u001b[2K${line.slice(0, (stream.columns ?? DEFAULT_COLUMNS) - 1)}`);
      progressLine = line;
    } else if (now() - lastProgressMs >= PROGRESS_INTERVAL_MS) {
      lastProgressMs = now();
      writeLine(line);
    }
  };
  // A log has no use for colours.
  const colored = (text: string): string => (stream.isTTY === true ? text : plainText(text));
  const result = (text: unknown): void => {
    if (typeof text !== "string" || text === "") return;
    const lines = text.split("\n");
    const rest = lines.length - MAX_RESULT_LINES;
    writeLine(rest > 0 ? `${lines.slice(0, MAX_RESULT_LINES).join("\n")}\n… ${rest} more lines` : text);
  };
  return {
    onCell: ({ phase, number, total, title, elapsedMs, hasFailed }) => {
      if (phase === "start") writeLine(`[${number}/${total}] ${title}`);
      else if (hasFailed) writeLine(`[${number}/${total}] failed after ${seconds(elapsedMs)}`);
      else if (elapsedMs >= 1000) writeLine(`[${number}/${total}] ${seconds(elapsedMs)}`);
    },
    onOutput: ({ output, isUpdate }) => {
      if (output.output_type === "stream") write(output.text);
      else if (output.output_type === "error") writeLine(colored(output.traceback.join("\n")));
      else if (output.output_type === "execute_result") result(output.data["text/plain"]);
      else if (isUpdate && typeof output.data["text/plain"] === "string") progress(output.data["text/plain"]);
    },
  };
}

function seconds(elapsedMs: number): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`;
}
