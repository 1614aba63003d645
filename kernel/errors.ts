/** What every error of the kernel tells: a stable code, what happened, why it is wrong and what to do. */
export interface KernelErrorReport {
  /** Stable name, upper case, starts with E_, e.g. "E_CONNECTION_FILE". */
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  readonly cause?: unknown;
}

/** The parent of all errors that the kernel and its client throw. */
export class KernelError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;

  constructor(report: KernelErrorReport) {
    super(`${report.what}. ${report.why}. Fix: ${report.fix}. [${report.code}]`, { cause: report.cause });
    this.name = new.target.name;
    this.code = report.code;
    this.what = report.what;
    this.why = report.why;
    this.fix = report.fix;
  }
}

/** A connection file that can't be read or used. */
export class ConnectionFileError extends KernelError {}
/** A wire message whose frames, signature or JSON are wrong; the receiver drops it. */
export class MalformedMessageError extends KernelError {}
/** A kernelspec that can't be installed, found or removed. */
export class KernelspecError extends KernelError {}
/** A kernel process that did not start, died, or did not answer in time. */
export class KernelProcessError extends KernelError {}
/** A notebook file that is not nbformat 4, or parameters that can't be put into it. */
export class NotebookError extends KernelError {}
/** `input()` where nobody can answer. */
export class InputError extends KernelError {}
/** A widget with an attribute, a value or a range that it can't have. */
export class WidgetError extends KernelError {}
/** A value or option that can't be displayed as asked. */
export class DisplayError extends KernelError {}
/** A cell that the TypeScript compiler could not get through. */
export class CompilerError extends KernelError {}
/** A magic that is unknown or can't do what its line asks. */
export class MagicError extends KernelError {}
/** Thrown into `input()` by an interrupt, and shown for captured work that one stopped. */
export class InterruptError extends KernelError {}

/** A request that the debugger can't fulfil; the front end is told. */
export class DebugRequestError extends KernelError {}

/** The errno code ("ENOENT", …) of a Node.js system error, or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
