import type { MessagePort } from "node:worker_threads";
import type { ConnectionInfo } from "../protocol/connectionFile.ts";
import type { NotebookLanguage } from "../notebookLanguage.ts";
import type { JsonObject } from "../protocol/json.ts";

/** A MIME bundle with its metadata, ready for JSON. */
export interface DisplayBundle { readonly data: JsonObject; readonly metadata: JsonObject }

/** An error as Jupyter shows it. */
export interface ErrorReport { readonly ename: string; readonly evalue: string; readonly traceback: readonly string[] }

/** The value of one user expression, or the error it ended in. */
export type UserExpression = ({ readonly status: "ok" } & DisplayBundle) | ({ readonly status: "error" } & ErrorReport);

/** How a cell ended. `untypedNames`: own properties of globalThis that came since the kernel started. */
export type CellOutcome = { readonly untypedNames: readonly string[] } & (
  | { readonly status: "ok"; readonly result: DisplayBundle | null; readonly userExpressions: Readonly<Record<string, UserExpression>> }
  | ({ readonly status: "error" } & ErrorReport)
  | { readonly status: "interrupted" });

/** One cell to run on the main thread. */
export interface ExecuteOrder {
  readonly type: "execute";
  readonly runId: number;
  readonly javascript: string;
  readonly sourceMap: string;
  readonly lineOffset: number;
  /** Name in stack traces, e.g. "cell-7.ts". */
  readonly cellName: string;
  readonly declaredNames: readonly string[];
  /** JavaScript of each user expression. */
  readonly userExpressions: Readonly<Record<string, string>>;
}

/** A comm message in either direction. */
export interface CommMessage {
  readonly type: "comm";
  readonly kind: "comm_open" | "comm_msg" | "comm_close";
  readonly commId: string;
  readonly targetName: string;
  readonly data: unknown;
  readonly metadata: JsonObject;
  readonly buffers: readonly Uint8Array[];
  readonly runId: number;
}

/** A comm message of the front end; the main thread acknowledges its number when it has called back. */
export type NumberedCommMessage = CommMessage & { readonly serial: number };

/** From the worker to the main thread. */
export type WorkerMessage =
  | ExecuteOrder
  /** Abort a run's cellSignal; the cell ends by itself. */
  | { readonly type: "abort"; readonly runId: number }
  /** Stop one run, or with null everything that runs in the background. */
  | { readonly type: "interrupt"; readonly runId: number | null }
  | { readonly type: "ping"; readonly id: number }
  | NumberedCommMessage
  | { readonly type: "exit"; readonly code: number };

/** What a cell shows. */
export type OutputMessage =
  | { readonly type: "stream"; readonly runId: number; readonly name: "stdout" | "stderr"; readonly text: string }
  | { readonly type: "display"; readonly runId: number; readonly isUpdate: boolean; readonly bundle: DisplayBundle; readonly displayId: string | null }
  | { readonly type: "clear"; readonly runId: number; readonly wait: boolean };

/** From the main thread to the worker. */
export type MainMessage =
  | { readonly type: "done"; readonly runId: number; readonly outcome: CellOutcome }
  | OutputMessage
  | { readonly type: "comm-taken"; readonly commId: string; readonly serial: number }
  | { readonly type: "input"; readonly runId: number; readonly prompt: string; readonly isPassword: boolean }
  | { readonly type: "pong"; readonly id: number }
  /** A cell has registered a comm target. */
  | { readonly type: "comm-target"; readonly targetName: string }
  | CommMessage
  /** User code called process.exit or process.abort: close the sockets first. */
  | { readonly type: "exiting"; readonly code: number; readonly signal: NodeJS.Signals | null };

/** What the worker is started with. */
export interface WorkerStart {
  readonly connection: ConnectionInfo;
  readonly language: NotebookLanguage;
  readonly folder: string;
  /** Where history is kept across kernels; null for nowhere. */
  readonly historyFolder: string | null;
  readonly flags: SharedFlags;
  /** Of the main thread. */
  readonly heapLimitBytes: number;
  /** Carries the user's answers to input(). */
  readonly inputPort: MessagePort;
  /** Carries requests of the module loader for TypeScript files. */
  readonly modulePort: MessagePort;
  /** Carries questions of require() and import.meta.resolve(). */
  readonly requirePort: MessagePort;
  /** Exit when the parent process is gone. */
  readonly followsParent: boolean;
  /** Tell all front ends what one of them changed in a widget. */
  readonly echoesWidgets: boolean;
  /** The user's own folder for what may be made anew at any time; null for none. */
  readonly cacheFolder: string | null;
}

/** Integers both threads see: waits that must work while the main thread is blocked. */
export interface SharedFlags {
  /** Output messages on their way to the worker; the main thread waits when there are too many. */
  readonly outputBacklog: Int32Array;
  /** 0 while input() waits; see InputState. */
  readonly input: Int32Array;
  /** Id of the newest run that has read cellSignal: it wants to end by itself. */
  readonly signalReader: Int32Array;
  /** 1 while a cell waits for a child process and can't be reached. */
  readonly isInSyncChild: Int32Array;
}

export const InputState = { waiting: 0, answered: 1, refused: 2, interrupted: 3 } as const;

export function createSharedFlags(): SharedFlags {
  const shared = (): Int32Array => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  return { outputBacklog: shared(), input: shared(), signalReader: shared(), isInSyncChild: shared() };
}
