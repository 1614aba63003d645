import { inspect } from "node:util";
import type { StackTraces } from "./stackTraces.ts";
import type { ErrorReport } from "./threadMessages.ts";

/** Describes a thrown value for an error message: name, text, and a stack of cell and module positions. */
export function reportError(thrown: unknown, stackTraces: StackTraces): ErrorReport {
  if (!(thrown instanceof Error)) return { ename: typeof thrown, evalue: inspect(thrown), traceback: [`Uncaught ${inspect(thrown)}`] };
  const traceback = stackLines(thrown);
  const quoted = stackTraces.quote(traceback.join("\n"));
  if (quoted !== null) traceback.splice(headlineEnd(traceback), 0, quoted);
  const seen = new Set<unknown>([thrown]);
  for (let cause = thrown.cause; cause instanceof Error && !seen.has(cause); cause = cause.cause) {
    seen.add(cause);
    traceback.push("Caused by:", ...stackLines(cause));
  }
  if (thrown instanceof AggregateError) {
    for (const error of thrown.errors.slice(0, 10) as unknown[]) traceback.push(`Contains: ${String(error)}`);
  }
  return { ename: thrown.name || "Error", evalue: thrown.message, traceback };
}

function stackLines(error: Error): string[] {
  const stack = typeof error.stack === "string" ? error.stack : Error.prototype.toString.call(error);
  return stack.split("\n");
}

function headlineEnd(lines: readonly string[]): number {
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  return first < 0 ? lines.length : first;
}
