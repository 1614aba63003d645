import type { KernelSockets } from "./sockets.ts";
import type { MessageHeader } from "./wire.ts";

/** Stream text is gathered this long, so that 20,000 console.log calls are a few messages. */
const STREAM_BATCH_MS = 25;
/** A batch this long is sent at once, in UTF-16 units. */
const STREAM_BATCH_LENGTH = 1 << 16;

type Parent = Partial<MessageHeader>;
interface StreamBatch { readonly name: string; readonly parent: Parent; readonly texts: string[]; length: number }

/** Publishes on iopub. Text of one stream and cell is batched; everything stays in order. */
export class Publisher {
  private readonly sockets: KernelSockets;
  private batch: StreamBatch | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(sockets: KernelSockets) {
    this.sockets = sockets;
  }

  publish(type: string, content: object, parent: Parent, extra: { metadata?: object; buffers?: readonly Uint8Array[] } = {}): Promise<void> {
    this.flush();
    return this.sockets.send("iopub", { type, content, parentHeader: parent, identities: [`kernel.moe-lab.${type}`], ...extra });
  }

  status(state: "busy" | "idle", parent: Parent): Promise<void> {
    return this.publish("status", { execution_state: state }, parent);
  }

  stream(name: string, text: string, parent: Parent): void {
    if (this.batch !== null && (this.batch.name !== name || this.batch.parent.msg_id !== parent.msg_id)) this.flush();
    this.batch ??= { name, parent, texts: [], length: 0 };
    this.batch.texts.push(text);
    this.batch.length += text.length;
    if (this.batch.length >= STREAM_BATCH_LENGTH) this.flush();
    else this.timer ??= setTimeout(() => { this.flush(); }, STREAM_BATCH_MS);
  }

  /** Publishes the text that was gathered so far. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.batch === null) return;
    const { name, parent, texts } = this.batch;
    this.batch = null;
    void this.publish("stream", { name, text: texts.join("") }, parent);
  }
}
