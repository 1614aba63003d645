import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CellRuns } from "./cellRun.ts";
import type { CommMessage } from "./threadMessages.ts";

type Post = (message: CommMessage) => void;
interface SendOptions { readonly metadata?: JsonObject; readonly buffers?: readonly Uint8Array[] }

/** One open comm, as cells see it. */
export class Comm {
  readonly id: string;
  readonly targetName: string;
  onMessage: ((data: unknown, buffers: readonly Uint8Array[]) => void) | null = null;
  onClose: ((data: unknown) => void) | null = null;
  private readonly post: (kind: CommMessage["kind"], data: unknown, options: SendOptions) => void;

  constructor(id: string, targetName: string, send: (kind: CommMessage["kind"], data: unknown, options: SendOptions) => void) {
    this.id = id;
    this.targetName = targetName;
    this.post = send;
  }

  send(data: unknown, options: SendOptions = {}): void {
    this.post("comm_msg", data, options);
  }

  close(data: unknown = {}): void {
    this.post("comm_close", data, {});
  }
}

/** The comms of this kernel: opened by cells, or by the front end for a registered target. */
export class Comms {
  private readonly targets = new Map<string, (comm: Comm, data: unknown) => void>();
  private readonly openComms = new Map<string, Comm>();
  private readonly runs: CellRuns;
  private readonly post: Post;

  constructor(runs: CellRuns, post: Post) {
    this.runs = runs;
    this.post = post;
  }

  register(targetName: string, onOpen: (comm: Comm, data: unknown) => void): void {
    this.targets.set(targetName, onOpen);
  }

  open(targetName: string, data: unknown = {}, options: SendOptions = {}): Comm {
    const comm = this.create(randomUUID(), targetName);
    this.send("comm_open", comm, data, options);
    return comm;
  }

  /** Hands a message of the front end to its comm. */
  receive(message: CommMessage): void {
    try {
      if (message.kind === "comm_open") this.opened(message);
      else if (message.kind === "comm_msg") this.openComms.get(message.commId)?.onMessage?.(message.data, message.buffers);
      else {
        const comm = this.openComms.get(message.commId);
        this.openComms.delete(message.commId);
        comm?.onClose?.(message.data);
      }
    } catch (error) {
      // A callback of the user failed; the kernel goes on.
      process.stderr.write(`comm ${message.targetName} failed: ${inspect(error)}\n`);
    }
  }

  private opened(message: CommMessage): void {
    const comm = this.create(message.commId, message.targetName);
    const onOpen = this.targets.get(message.targetName);
    // Source: jupyter-client.readthedocs.io/en/stable/messaging.html#opening-a-comm: an unknown target is closed at once.
    if (onOpen === undefined) comm.close();
    else onOpen(comm, message.data);
  }

  private create(id: string, targetName: string): Comm {
    const comm: Comm = new Comm(id, targetName, (kind, data, options) => { this.send(kind, comm, data, options); });
    this.openComms.set(id, comm);
    return comm;
  }

  private send(kind: CommMessage["kind"], comm: Comm, data: unknown, options: SendOptions): void {
    if (kind === "comm_close") this.openComms.delete(comm.id);
    this.post({
      type: "comm", kind, commId: comm.id, targetName: comm.targetName, runId: this.runs.current.id,
      data: isJsonObject(data) || Array.isArray(data) ? JSON.parse(JSON.stringify(data)) as unknown : data,
      metadata: options.metadata ?? {}, buffers: (options.buffers ?? []).map((buffer) => new Uint8Array(buffer)),
    });
  }
}
