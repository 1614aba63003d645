import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../protocol/log.ts";
import type { RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { commHandler, commInfo } from "./comm.ts";
import { complete } from "./complete.ts";
import { debug } from "./debug.ts";
import { execute } from "./execute.ts";
import { history } from "./history.ts";
import { inspectAt } from "./inspect.ts";
import { interrupt } from "./interrupt.ts";
import { isComplete } from "./isComplete.ts";
import { connect, kernelInfo } from "./kernelInfo.ts";
import { errorContent, executeMetadata, reply } from "./kernelState.ts";
import type { KernelState, RequestHandler } from "./kernelState.ts";
import type { QueuedRequest, ShellQueue } from "./shellQueue.ts";
import { shutDown } from "./shutdown.ts";
import { createSubshell, deleteSubshell, listSubshells, unknownSubshell } from "./subshell.ts";
import { usage } from "./usage.ts";

/** Requests sent right behind a failing one are still on their way when it fails; they too are to be aborted, in ms. */
const ABORT_DRAIN_MS = 10;
/** So many unknown message types are logged, each once. */
const MAX_UNKNOWN_TYPES = 100;
const LOGGED_TYPE_LENGTH = 100;

const HANDLERS: ReadonlyMap<string, RequestHandler> = new Map<string, RequestHandler>([
  ["kernel_info_request", kernelInfo],
  ["connect_request", connect],
  ["complete_request", complete],
  ["inspect_request", inspectAt],
  ["is_complete_request", isComplete],
  ["history_request", history],
  ["comm_info_request", commInfo],
  ["comm_open", commHandler("comm_open")],
  ["comm_msg", commHandler("comm_msg")],
  ["comm_close", commHandler("comm_close")],
  ["interrupt_request", interrupt],
  ["debug_request", debug],
]);

/** Requests on a shell that are answered while a cell runs there. A cell may be waiting for its widget's message, which
 *  would wait for the cell's end; and who writes the next cell wants completions now. Clients tell replies by their
 *  parent. Requests that came before the cell, and cells, keep their order. */
const MEANWHILE: ReadonlySet<string> = new Set([
  "complete_request", "inspect_request", "is_complete_request", "history_request",
  "kernel_info_request", "connect_request",
]);

/** Requests that come on control only. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel */
const CONTROL_HANDLERS: ReadonlyMap<string, RequestHandler> = new Map<string, RequestHandler>([
  ["usage_request", usage],
  ["create_subshell_request", createSubshell],
  ["delete_subshell_request", deleteSubshell],
  ["list_subshell_request", listSubshells],
]);

/** Answers requests: those of one shell one after the other, those on control at once. */
export class Dispatcher {
  private readonly state: KernelState;
  private readonly unknownTypes = new Set<string>();
  private isEnding = false;

  constructor(state: KernelState) {
    this.state = state;
  }

  /** @returns when the next message of this channel may come */
  receive(channel: RequestChannel, message: Message): Promise<void> | void {
    if (this.isEnding) return;
    const type = message.header.msg_type;
    if (channel === "stdin") {
      if (type === "input_reply") this.state.input.receive(message);
      else this.noteUnknown(channel, type);
      return;
    }
    // Cells run in the shell whatever channel they come on: on control they would run into each other.
    if (channel === "control" && type !== "execute_request") {
      void this.answer({ channel, message });
      return;
    }
    return this.enqueue({ channel, message });
  }

  private enqueue(request: QueuedRequest): Promise<void> | void {
    const { header } = request.message;
    const queue = this.state.subshells.queueOf(header.subshell_id ?? null);
    if (queue === null) {
      void this.answer(request);
      return;
    }
    if (queue.runningCell !== null && this.isForMeanwhile(request.message)) {
      void this.answerMeanwhile(request, queue, queue.runningCell);
      return;
    }
    const hasRoom = queue.push(request);
    void this.work(queue);
    return hasRoom;
  }

  /** A comm message for what a waiting cell has yet to make known does wait. */
  private isForMeanwhile(message: Message): boolean {
    return MEANWHILE.has(message.header.msg_type) || this.state.comms.isUrgent(message);
  }

  private async answerMeanwhile(request: QueuedRequest, queue: ShellQueue, cell: Message): Promise<void> {
    await this.answer(request);
    // JupyterLab and Jupyter Server take the latest status for that of the kernel, whichever request it is of.
    if (queue.runningCell === cell) await this.state.publisher.status("busy", cell.header);
  }

  private async work(queue: ShellQueue): Promise<void> {
    if (queue.current !== null) return;
    while ((queue.current = queue.shift()) !== null) await this.answer(queue.current, queue);
  }

  /** Never rejects: a fault in one answer must not end the kernel; the client is told. */
  private async answer(request: QueuedRequest, queue: ShellQueue | null = null): Promise<void> {
    const { channel, message } = request;
    const { publisher } = this.state;
    const type = message.header.msg_type;
    if (this.isEnding) return;
    if (queue !== null && type === "execute_request") queue.runningCell = message;
    await publisher.status("busy", message.header);
    try {
      if (type === "shutdown_request") {
        this.isEnding = true;
        await shutDown(this.state, channel, message);
        return;
      }
      if (type === "execute_request" && queue !== null) await this.execute(request, queue);
      else {
        const content = await this.content(request);
        if (content !== null) await reply(this.state, channel, message, replyType(type), content);
      }
    } catch (error) {
      log(`${JSON.stringify(type.slice(0, LOGGED_TYPE_LENGTH))} failed: ${error instanceof Error ? String(error.stack) : String(error)}`);
      await reply(this.state, channel, message, replyType(type), errorContent(error));
    }
    if (queue !== null) queue.runningCell = null;
    await publisher.status("idle", message.header);
  }

  private async content({ channel, message }: QueuedRequest): Promise<object | null> {
    const { msg_type: type, subshell_id: subshell = null } = message.header;
    if (channel === "shell" && subshell !== null && this.state.subshells.queueOf(subshell) === null) {
      return type.endsWith("_request") ? unknownSubshell(subshell) : null;
    }
    const handler = HANDLERS.get(type) ?? (channel === "control" ? CONTROL_HANDLERS.get(type) : undefined);
    if (handler === undefined) {
      this.noteUnknown(channel, type);
      return null;
    }
    return await handler(this.state, message.content, message);
  }

  private async execute({ channel, message }: QueuedRequest, queue: ShellQueue): Promise<void> {
    const started = new Date();
    if (typeof message.content.code !== "string") {
      const content = errorContent(new TypeError("the execute_request has no code"));
      await reply(this.state, channel, message, "execute_reply", content, executeMetadata(content, started));
      return;
    }
    const { content, abortsQueue } = await execute(this.state, message);
    if (abortsQueue) await sleep(ABORT_DRAIN_MS);
    const aborted = abortsQueue ? queue.takeCells() : [];
    await reply(this.state, channel, message, "execute_reply", content, executeMetadata(content, started));
    await this.state.abortCells(aborted);
  }

  private noteUnknown(channel: RequestChannel, type: string): void {
    const shown = JSON.stringify(type.slice(0, LOGGED_TYPE_LENGTH));
    if (this.unknownTypes.size >= MAX_UNKNOWN_TYPES || this.unknownTypes.has(`${channel} ${shown}`)) return;
    this.unknownTypes.add(`${channel} ${shown}`);
    log(`ignored a message of the unknown type ${shown} on ${channel}`);
  }
}

function replyType(requestType: string): string {
  return requestType.replace(/_request$/, "_reply");
}
