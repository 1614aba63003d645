import type { RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";

/** A request and where its reply goes. */
export interface QueuedRequest { readonly channel: RequestChannel; readonly message: Message }

/** With more waiting than this the kernel reads no further request until some are answered; the rest waits in zeromq
 *  and in the client. */
const MAX_REQUESTS = 10_000;
const MAX_BYTES = 1 << 28;

/** The requests of one shell, answered one after the other. */
export class ShellQueue {
  private requests: QueuedRequest[] = [];
  private bytes = 0;
  private wakeSender: (() => void) | null = null;
  private room: Promise<void> | null = null;
  /** The request that is being answered. */
  current: QueuedRequest | null = null;
  /** The cell that runs; null again before its end is told. */
  runningCell: Message | null = null;

  /** @returns when there is room for another one */
  push(request: QueuedRequest): Promise<void> {
    this.requests.push(request);
    this.bytes += request.message.byteLength;
    if (!this.isFull) return Promise.resolve();
    this.room ??= new Promise((resolve) => { this.wakeSender = resolve; });
    return this.room;
  }

  shift(): QueuedRequest | null {
    const request = this.requests.shift() ?? null;
    if (request !== null) this.removed([request]);
    return request;
  }

  /** Takes all cells out; other requests stay. */
  takeCells(): QueuedRequest[] {
    const isCell = ({ message }: QueuedRequest): boolean => message.header.msg_type === "execute_request";
    const cells = this.requests.filter(isCell);
    this.requests = this.requests.filter((request) => !isCell(request));
    this.removed(cells);
    return cells;
  }

  private get isFull(): boolean {
    return this.requests.length >= MAX_REQUESTS || this.bytes >= MAX_BYTES;
  }

  private removed(requests: readonly QueuedRequest[]): void {
    for (const { message } of requests) this.bytes -= message.byteLength;
    if (this.isFull || this.wakeSender === null) return;
    this.wakeSender();
    this.wakeSender = null;
    this.room = null;
  }
}
