import type { CellCompiler } from "../compile/cellCompiler.ts";
import type { CellLanguage } from "../compile/language.ts";
import type { ConnectionInfo } from "../protocol/connectionFile.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { MainThread } from "../protocol/mainThread.ts";
import type { Publisher } from "../protocol/publisher.ts";
import type { KernelSockets, RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import type { CommTable } from "./comm.ts";
import type { History } from "./history.ts";
import type { InputRequests } from "./input.ts";

/** TypeScript, loaded after the sockets are open so that a client's first questions need not wait for it. */
export interface TypeScriptParts { readonly compiler: CellCompiler; readonly language: CellLanguage }

/** Everything a request may need. */
export interface KernelState {
  readonly connection: ConnectionInfo;
  readonly sockets: KernelSockets;
  readonly publisher: Publisher;
  readonly mainThread: MainThread;
  readonly typescript: () => Promise<TypeScriptParts>;
  readonly history: History;
  readonly comms: CommTable;
  readonly input: InputRequests;
  /** The cell that is being compiled and not yet running; an interrupt marks it. */
  preparing: { isInterrupted: boolean } | null;
  /** Number of the cell run last, as front ends show it. */
  executionCount: number;
}

/** Answers one request.
 *  @returns the content of the reply, or null where the protocol has none */
export type RequestHandler = (state: KernelState, content: JsonObject, message: Message) => Promise<object | null> | object | null;

/** Sends a reply to whoever asked. */
export function reply(state: KernelState, channel: RequestChannel, request: Message, type: string, content: object): Promise<void> {
  return state.sockets.send(channel, { type, content, parentHeader: request.header, identities: request.identities });
}
