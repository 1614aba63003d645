import type { CellCompiler } from "../compile/cellCompiler.ts";
import type { CatchUp } from "../language/catchUp.ts";
import type { CellLanguage } from "../language/cellLanguage.ts";
import type { KernelDebugger } from "../debug/kernelDebugger.ts";
import type { NotebookLanguage } from "../notebookLanguage.ts";
import type { ConnectionInfo } from "../protocol/connectionFile.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { MainThread } from "../protocol/mainThread.ts";
import type { Publisher } from "../protocol/publisher.ts";
import type { KernelSockets, RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import type { CommTable } from "./comm.ts";
import type { History } from "./history.ts";
import type { InputRequests } from "./input.ts";
import type { QueuedRequest } from "./shellQueue.ts";
import type { Subshells } from "./subshell.ts";
import type { UsageMeter } from "./usage.ts";

/** TypeScript, loaded after the sockets are open so that a client's first questions need not wait for it. */
export interface TypeScriptParts { readonly compiler: CellCompiler; readonly language: CellLanguage; readonly catchUp: CatchUp }

/** Everything a request may need. */
export interface KernelState {
  readonly connection: ConnectionInfo;
  readonly language: NotebookLanguage;
  readonly sockets: KernelSockets;
  readonly publisher: Publisher;
  readonly mainThread: MainThread;
  readonly typescript: () => Promise<TypeScriptParts>;
  readonly history: History;
  readonly comms: CommTable;
  readonly input: InputRequests;
  /** See WorkerStart. */
  readonly echoesWidgets: boolean;
  readonly subshells: Subshells;
  readonly usage: UsageMeter;
  /** Answers cells that will not run. */
  readonly abortCells: (cells: readonly QueuedRequest[]) => Promise<void>;
  readonly debugger: KernelDebugger;
  /** The cell that is being compiled and not yet running; an interrupt marks it. */
  preparing: { isInterrupted: boolean } | null;
  /** Header of the newest debug_request: the parent of the debugger's events. */
  debugParent: Partial<Message["header"]>;
  /** Number of the cell run last, as front ends show it. */
  executionCount: number;
}

/** Answers one request.
 *  @returns the content of the reply, or null where the protocol has none */
export type RequestHandler = (state: KernelState, content: JsonObject, message: Message) => Promise<object | null> | object | null;

/** Sends a reply to whoever asked. */
export function reply(
  { sockets }: Pick<KernelState, "sockets">, channel: RequestChannel, request: Message, type: string, content: object, metadata: object = {},
): Promise<void> {
  return sockets.send(channel, { type, content, metadata, parentHeader: request.header, identities: request.identities });
}

/** Metadata of an execute_reply as ipykernel has it; JupyterLab takes a cell's starting time from `started`. */
export function executeMetadata(content: object, started: Date): object {
  const status = "status" in content ? content.status : "ok";
  return { started: started.toISOString(), dependencies_met: true, status };
}

/** Content of a reply to a request that failed inside the kernel. */
export function errorContent(error: unknown): object {
  if (!(error instanceof Error)) return { status: "error", ename: typeof error, evalue: String(error), traceback: [] };
  return { status: "error", ename: error.name, evalue: error.message, traceback: [String(error.stack)] };
}

/** Tells the clients of cells that these will not run. */
export async function abortCells(parts: Pick<KernelState, "sockets" | "publisher">, cells: readonly QueuedRequest[]): Promise<void> {
  for (const { channel, message } of cells) {
    await parts.publisher.status("busy", message.header);
    // No execution_count: JupyterLab would number a cell with it that did not run.
    const content = { status: "aborted", user_expressions: {}, payload: [] };
    await reply(parts, channel, message, "execute_reply", content, executeMetadata(content, new Date()));
    await parts.publisher.status("idle", message.header);
  }
}
