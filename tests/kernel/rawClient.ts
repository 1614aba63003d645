import { randomUUID } from "node:crypto";
import { Dealer, Subscriber } from "zeromq";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { channelAddress } from "../../kernel/protocol/connectionFile.ts";
import type { ConnectionInfo } from "../../kernel/protocol/connectionFile.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import { Wire } from "../../kernel/protocol/wire.ts";
import type { Message, MessageHeader } from "../../kernel/protocol/wire.ts";
import { startKernel } from "./kernelHarness.ts";

type RawChannel = "shell" | "control" | "stdin";

/** A client without manners: sends any frames and headers, and sees every message as it comes. */
export class RawClient {
  readonly wire: Wire;
  readonly sockets: Record<RawChannel, Dealer>;
  readonly iopub = new Subscriber({ linger: 0, receiveHighWaterMark: 0 });
  /** Everything that came on iopub. */
  readonly published: Message[] = [];

  constructor(connection: ConnectionInfo, topic = "") {
    this.wire = new Wire(connection.key, connection.digest, "raw");
    const routingId = randomUUID();
    const dealer = (channel: RawChannel): Dealer => {
      const socket = new Dealer({ routingId, linger: 0, receiveTimeout: 20_000, receiveHighWaterMark: 0, sendHighWaterMark: 0 });
      socket.connect(channelAddress(connection, channel));
      return socket;
    };
    this.sockets = { shell: dealer("shell"), control: dealer("control"), stdin: dealer("stdin") };
    this.iopub.connect(channelAddress(connection, "iopub"));
    this.iopub.subscribe(topic);
    void this.listen();
  }

  frames(type: string, content: JsonObject, header: Partial<MessageHeader> = {}, buffers: Uint8Array[] = []): (Buffer | Uint8Array | string)[] {
    return this.wire.encode({ type, content, buffers }, { ...this.wire.header(type), ...header });
  }

  /** @returns the id of the message */
  async send(channel: RawChannel, type: string, content: JsonObject = {}, header: Partial<MessageHeader> = {}): Promise<string> {
    const id = randomUUID();
    await this.sockets[channel].send(this.frames(type, content, { msg_id: id, ...header }));
    return id;
  }

  async receive(channel: RawChannel): Promise<Message> {
    return this.wire.decode(await this.sockets[channel].receive());
  }

  /** Sends and waits for the next reply on that channel. */
  async ask(channel: RawChannel, type: string, content: JsonObject = {}, header: Partial<MessageHeader> = {}): Promise<Message> {
    await this.send(channel, type, content, header);
    return this.receive(channel);
  }

  /** States that were published for one request. */
  states(id: string): unknown[] {
    return this.published.filter(({ header, parentHeader }) => header.msg_type === "status" && parentHeader.msg_id === id).map(({ content }) => content.execution_state);
  }

  close(): void {
    for (const socket of [...Object.values(this.sockets), this.iopub]) socket.close();
  }

  private async listen(): Promise<void> {
    try {
      for await (const frames of this.iopub) this.published.push(this.wire.decode(frames));
    } catch (error) {
      // zeromq may report a socket that was closed while it was read.
      if (!this.iopub.closed) throw error;
    }
  }
}

/** A kernel with a client of each kind, for all tests of a file. */
export async function startWithRawClient(): Promise<{ readonly client: KernelClient; readonly raw: RawClient; readonly stop: () => Promise<void> }> {
  const client = await startKernel();
  const raw = new RawClient(client.process.connection);
  await raw.ask("shell", "kernel_info_request");
  const stop = async (): Promise<void> => {
    raw.close();
    await client.shutdown();
  };
  return { client, raw, stop };
}
