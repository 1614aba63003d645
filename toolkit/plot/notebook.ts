/** A value that has this method shows itself in a notebook: our kernel and Deno's call it. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display");

/** One value in several forms, by MIME type; the front end picks the richest that it can draw. */
export type MimeBundle = Record<string, unknown>;

export interface Displayable {
  [displaySymbol](): MimeBundle | Promise<MimeBundle>;
}

export interface DisplayOptions {
  /** name under which the output can be replaced later */
  readonly display_id?: string;
  /** true: replace the output of that name instead of adding one */
  readonly update?: boolean;
}

/** What the kernel puts on globalThis. */
export type NotebookDisplay = (value: unknown, options?: DisplayOptions) => unknown;

/** Aborted when the notebook's running cell is interrupted; undefined in any other process. */
export function notebookSignal(): AbortSignal | undefined {
  const { cellSignal } = globalThis as { cellSignal?: unknown };
  return cellSignal instanceof AbortSignal ? cellSignal : undefined;
}

/** The running kernel's display function, or undefined in any other process. */
export function notebookDisplay(): NotebookDisplay | undefined {
  const { display } = globalThis as { display?: unknown };
  return typeof display === "function" ? (display as NotebookDisplay) : undefined;
}
