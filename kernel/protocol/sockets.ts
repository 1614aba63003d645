import { Reply, Router, XPublisher } from "zeromq";
import { MalformedMessageError } from "../errors.ts";
import { channelAddress } from "./connectionFile.ts";
import type { ConnectionInfo } from "./connectionFile.ts";
import { SendQueue } from "./sendQueue.ts";
import { Wire } from "./wire.ts";
import type { Message, OutgoingMessage } from "./wire.ts";

/** A channel on which requests come and replies go. */
export type RequestChannel = "shell" | "control" | "stdin";

/** How long unsent frames may hold up closing, in ms. */
const LINGER_MS = 300;
/** First byte of a subscription frame on an XPUB socket. Source: rfc.zeromq.org/spec/29 */
const SUBSCRIBE = 1;

/** The kernel's five sockets: receives checked messages, sends in order, counts what was dropped. */
export class KernelSockets {
  private readonly connection: ConnectionInfo;
  private readonly wire: Wire;
  private readonly routers = { shell: new Router(), control: new Router(), stdin: new Router() };
  private readonly iopub = new XPublisher();
  private readonly heartbeat = new Reply();
  private readonly queues: Record<RequestChannel | "iopub", SendQueue>;
  /** Messages dropped for wrong frames, signature or JSON. */
  droppedMessages = 0;

  constructor(connection: ConnectionInfo) {
    this.connection = connection;
    this.wire = new Wire(connection.key, connection.digest, "moe-lab");
    // 0 is "no limit": output of a fast cell must not be lost to a slow front end.
    this.iopub.sendHighWaterMark = 0;
    for (const socket of [...Object.values(this.routers), this.iopub, this.heartbeat]) socket.linger = LINGER_MS;
    this.queues = {
      shell: new SendQueue(this.routers.shell), control: new SendQueue(this.routers.control),
      stdin: new SendQueue(this.routers.stdin), iopub: new SendQueue(this.iopub),
    };
  }

  /** Binds all sockets and receives until they are closed.
   *  @param receive is called for each correct message, in order for each channel */
  async open(receive: (channel: RequestChannel, message: Message) => void): Promise<void> {
    const { shell, control, stdin } = this.routers;
    await Promise.all([
      shell.bind(channelAddress(this.connection, "shell")),
      control.bind(channelAddress(this.connection, "control")),
      stdin.bind(channelAddress(this.connection, "stdin")),
      this.iopub.bind(channelAddress(this.connection, "iopub")),
      this.heartbeat.bind(channelAddress(this.connection, "heartbeat")),
    ]);
    void Promise.all([
      this.receiveFrom("shell", receive), this.receiveFrom("control", receive), this.receiveFrom("stdin", receive),
      this.echoHeartbeat(), this.welcomeSubscribers(),
    ]);
  }

  send(channel: RequestChannel | "iopub", message: OutgoingMessage): Promise<void> {
    return this.queues[channel].send(this.wire.encode(message));
  }

  /** Sends what is queued, then closes; Node.js aborts when it exits with open zeromq sockets. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.queues).map((queue) => queue.drained));
    for (const socket of [...Object.values(this.routers), this.iopub, this.heartbeat]) socket.close();
  }

  private async receiveFrom(channel: RequestChannel, receive: (channel: RequestChannel, message: Message) => void): Promise<void> {
    for await (const frames of this.routers[channel]) {
      try {
        receive(channel, this.wire.decode(frames));
      } catch (error) {
        if (!(error instanceof MalformedMessageError)) throw error;
        this.droppedMessages += 1;
      }
    }
  }

  private async echoHeartbeat(): Promise<void> {
    for await (const frames of this.heartbeat) await this.heartbeat.send(frames);
  }

  private async welcomeSubscribers(): Promise<void> {
    for await (const [frame] of this.iopub) {
      if (frame === undefined || frame[0] !== SUBSCRIBE) continue;
      const subscription = frame.subarray(1).toString();
      await this.send("iopub", { type: "iopub_welcome", identities: [subscription], content: { subscription } });
    }
  }
}
