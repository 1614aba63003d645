import { setTimeout as sleep } from "node:timers/promises";
import type { RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { commHandler, commInfo } from "./comm.ts";
import { complete } from "./complete.ts";
import { execute } from "./execute.ts";
import { history } from "./history.ts";
import { inspectAt } from "./inspect.ts";
import { interrupt } from "./interrupt.ts";
import { isComplete } from "./isComplete.ts";
import { connect, kernelInfo } from "./kernelInfo.ts";
import { reply } from "./kernelState.ts";
import type { KernelState, RequestHandler } from "./kernelState.ts";
import { shutDown } from "./shutdown.ts";

/** Requests sent right behind a failing one are still on their way when it fails; they too are to be aborted, in ms. */
const ABORT_DRAIN_MS = 10;

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
]);

/** Answers requests: those on shell one after the other, those on control at once. */
export class Dispatcher {
  private readonly state: KernelState;
  private readonly queue: Message[] = [];
  private isWorking = false;
  private isEnding = false;

  constructor(state: KernelState) {
    this.state = state;
  }

  async receive(channel: RequestChannel, message: Message): Promise<void> {
    if (this.isEnding) return;
    if (channel === "stdin") this.state.input.receive(message);
    else if (channel === "control") await this.answer(channel, message);
    else {
      this.queue.push(message);
      await this.work();
    }
  }

  private async work(): Promise<void> {
    if (this.isWorking) return;
    this.isWorking = true;
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) await this.answer("shell", next);
    this.isWorking = false;
  }

  private async answer(channel: RequestChannel, message: Message): Promise<void> {
    const { publisher } = this.state;
    const type = message.header.msg_type;
    if (this.isEnding) return;
    await publisher.status("busy", message.header);
    if (type === "shutdown_request") {
      this.isEnding = true;
      await shutDown(this.state, channel, message);
      return;
    }
    if (type === "execute_request") await this.execute(message);
    else {
      const content = await this.content(type, message);
      if (content !== null) await reply(this.state, channel, message, type.replace(/_request$/, "_reply"), content);
    }
    await publisher.status("idle", message.header);
  }

  private async content(type: string, message: Message): Promise<object | null> {
    const handler = HANDLERS.get(type);
    if (handler === undefined) return null;
    try {
      return await handler(this.state, message.content, message);
    } catch (error) {
      // A fault in one answer must not end the kernel; the client is told.
      if (!(error instanceof Error)) throw error;
      return { status: "error", ename: error.name, evalue: error.message, traceback: [String(error.stack)] };
    }
  }

  private async execute(message: Message): Promise<void> {
    const { content, abortsQueue } = await execute(this.state, message);
    if (abortsQueue) await sleep(ABORT_DRAIN_MS);
    const aborted = abortsQueue ? this.takeQueuedCells() : [];
    await reply(this.state, "shell", message, "execute_reply", content);
    for (const request of aborted) {
      await this.state.publisher.status("busy", request.header);
      // No execution_count: JupyterLab would number a cell with it that did not run.
      await reply(this.state, "shell", request, "execute_reply", { status: "aborted", user_expressions: {}, payload: [] });
      await this.state.publisher.status("idle", request.header);
    }
  }

  private takeQueuedCells(): Message[] {
    const queued = this.queue.splice(0);
    const isCell = ({ header }: Message): boolean => header.msg_type === "execute_request";
    this.queue.push(...queued.filter((message) => !isCell(message)));
    return queued.filter(isCell);
  }
}
