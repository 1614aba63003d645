import { Router, XPublisher } from "zeromq";
import { ConnectionFileError, MalformedMessageError, systemErrorCode } from "../errors.ts";
import { channelAddress, CHANNELS } from "./connectionFile.ts";
import type { Channel, ConnectionInfo } from "./connectionFile.ts";
import { Heartbeat } from "./heartbeat.ts";
import { log } from "./log.ts";
import { ReplayGuard } from "./replayGuard.ts";
import { SendQueue } from "./sendQueue.ts";
import { Wire } from "./wire.ts";
import type { Message, MessageHeader, OutgoingMessage } from "./wire.ts";

/** A channel on which requests come and replies go. */
export type RequestChannel = "shell" | "control" | "stdin";

type Receiver = (channel: RequestChannel, message: Message) => Promise<void> | void;

/** How long unsent frames may hold up closing, in ms. */
const LINGER_MS = 300;
/** A larger frame can't become a JavaScript string; zeromq drops the connection it comes on. In bytes. */
const MAX_FRAME_BYTES = 1 << 29;
/** Only the first dropped messages are logged, so that nobody fills the disk. */
const LOGGED_DROPS = 20;
/** First byte of a subscription frame on an XPUB socket. Source: rfc.zeromq.org/spec/29 */
const SUBSCRIBE = 1;

/** The kernel's five sockets: receives checked messages, sends in order, counts what was dropped. */
export class KernelSockets {
  private readonly connection: ConnectionInfo;
  private readonly wire: Wire;
  private readonly routers = { shell: new Router(), control: new Router(), stdin: new Router() };
  private readonly iopub = new XPublisher();
  private readonly heartbeat = new Heartbeat();
  private readonly queues: Record<RequestChannel | "iopub", SendQueue>;
  /** Messages dropped for wrong frames, signature or JSON, or because they came twice. */
  droppedMessages = 0;
  private isClosed = false;

  constructor(connection: ConnectionInfo) {
    this.connection = connection;
    this.wire = new Wire(connection.key, connection.digest, "moe-lab", new ReplayGuard());
    // 0 is "no limit": output of a fast cell must not be lost to a slow front end.
    this.iopub.sendHighWaterMark = 0;
    // Each subscriber is welcomed, not only the first.
    this.iopub.verbosity = "allSubs";
    for (const socket of Object.values(this.routers)) socket.maxMessageSize = MAX_FRAME_BYTES;
    for (const socket of [...Object.values(this.routers), this.iopub]) socket.linger = LINGER_MS;
    this.queues = {
      shell: new SendQueue(this.routers.shell), control: new SendQueue(this.routers.control),
      stdin: new SendQueue(this.routers.stdin), iopub: new SendQueue(this.iopub),
    };
  }

  /** Binds all sockets and receives until they are closed.
   *  @param receive is called for each correct message, in order for each channel; the next of the same channel is read
   *  when it resolves
   *  @throws ConnectionFileError E_CONNECTION_PORT; no socket is open then */
  async open(receive: Receiver): Promise<void> {
    const bindings = {
      shell: this.routers.shell, control: this.routers.control, stdin: this.routers.stdin, iopub: this.iopub, heartbeat: this.heartbeat,
    };
    const bound = await Promise.allSettled(CHANNELS.map((channel) => this.bind(channel, bindings[channel])));
    const failed = bound.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await this.close();
      throw failed.reason;
    }
    void Promise.all([
      this.receiveFrom("shell", receive), this.receiveFrom("control", receive), this.receiveFrom("stdin", receive),
      this.welcomeSubscribers(),
    ]).catch((error: unknown) => {
      // zeromq may report a socket that was closed while it was read.
      if (!this.isClosed) throw error;
    });
  }

  /** @param header of the message, where the caller needs to know it; see newHeader */
  send(channel: RequestChannel | "iopub", message: OutgoingMessage, header?: MessageHeader): Promise<void> {
    // The kernel ends; nobody is there to hear what a cell still prints.
    if (this.isClosed) return Promise.resolve();
    return this.queues[channel].send(this.wire.encode(message, header));
  }

  newHeader(type: string): MessageHeader {
    return this.wire.header(type);
  }

  /** Sends what is queued, then closes; Node.js aborts when it exits with open zeromq sockets. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await Promise.all(Object.values(this.queues).map((queue) => queue.drained));
    for (const socket of [...Object.values(this.routers), this.iopub]) socket.close();
    await this.heartbeat.close();
  }

  private async bind(channel: Channel, socket: { bind(address: string): Promise<void> }): Promise<void> {
    const address = channelAddress(this.connection, channel);
    try {
      await socket.bind(address);
    } catch (error) {
      throw new ConnectionFileError({
        code: "E_CONNECTION_PORT", what: `The kernel can't listen on ${address} (${channel})`, why: systemErrorCode(error) ?? String(error),
        fix: "end the process that uses the address, or start the kernel again: Jupyter and `moe-lab` choose free ports", cause: error,
      });
    }
  }

  private async receiveFrom(channel: RequestChannel, receive: Receiver): Promise<void> {
    for await (const frames of this.routers[channel]) {
      const message = this.decode(channel, frames);
      if (message !== null) await receive(channel, message);
    }
  }

  private decode(channel: RequestChannel, frames: readonly Buffer[]): Message | null {
    try {
      return this.wire.decode(frames);
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      this.droppedMessages += 1;
      if (this.droppedMessages <= LOGGED_DROPS) log(`dropped a message on ${channel}: ${error.why} [${error.code}]`);
      return null;
    }
  }

  private async welcomeSubscribers(): Promise<void> {
    for await (const [frame] of this.iopub) {
      if (frame === undefined || frame[0] !== SUBSCRIBE) continue;
      const topic = frame.subarray(1);
      await this.send("iopub", { type: "iopub_welcome", identities: [topic], content: { subscription: topic.toString() } });
    }
  }
}
