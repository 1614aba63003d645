import { randomUUID } from "node:crypto";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { callBack } from "./callbacks.ts";
import type { Callback } from "./callbacks.ts";
import type { CellRun, CellRuns } from "./cellRun.ts";
import type { CommMessage } from "./threadMessages.ts";

type Kind = CommMessage["kind"];
type MessageCallback = (data: unknown, buffers: readonly Uint8Array[], metadata: JsonObject) => unknown;
type CloseCallback = (data: unknown) => unknown;
type OpenCallback = (comm: Comm, data: unknown, buffers: readonly Uint8Array[], metadata: JsonObject) => unknown;

/** What goes along with the data of a comm message. */
export interface CommOptions { readonly metadata?: JsonObject; readonly buffers?: readonly (ArrayBufferView | ArrayBuffer)[] }

/** What a comm needs of its kernel. */
interface CommLink {
  readonly send: (kind: Kind, comm: Comm, data: unknown, options: CommOptions) => void;
  readonly currentRun: () => CellRun;
}

/** One open comm, as cells see it. Callbacks run as part of the cell that sets them. */
export class Comm {
  readonly id: string;
  readonly targetName: string;
  private readonly link: CommLink;
  private messageCallback: Callback<MessageCallback> | null = null;
  private closeCallback: Callback<CloseCallback> | null = null;

  constructor(id: string, targetName: string, link: CommLink) {
    this.id = id;
    this.targetName = targetName;
    this.link = link;
  }

  get onMessage(): MessageCallback | null {
    return this.messageCallback?.call ?? null;
  }

  set onMessage(call: MessageCallback | null) {
    this.messageCallback = call === null ? null : { call, run: this.link.currentRun() };
  }

  get onClose(): CloseCallback | null {
    return this.closeCallback?.call ?? null;
  }

  set onClose(call: CloseCallback | null) {
    this.closeCallback = call === null ? null : { call, run: this.link.currentRun() };
  }

  send(data: unknown, options: CommOptions = {}): void {
    this.link.send("comm_msg", this, data, options);
  }

  close(data: unknown = {}, options: CommOptions = {}): void {
    this.link.send("comm_close", this, data, options);
  }

  /** A message of the front end. */
  take({ kind, data, buffers, metadata }: CommMessage, runs: CellRuns): void {
    const [message, close] = [this.messageCallback, this.closeCallback];
    const name = `a callback of comm ${this.targetName}`;
    if (kind === "comm_msg" && message !== null) void callBack(runs, message.run, name, () => message.call(data, buffers, metadata));
    if (kind === "comm_close" && close !== null) void callBack(runs, close.run, name, () => close.call(data));
  }
}

/** The comms of this kernel: opened by cells, or by the front end for a registered target. */
export class Comms {
  private readonly targets = new Map<string, Callback<OpenCallback>>();
  private readonly openComms = new Map<string, Comm>();
  private readonly runs: CellRuns;
  private readonly post: (message: CommMessage) => void;
  private readonly onRegister: (targetName: string) => void;
  private readonly link: CommLink;

  /** @param onRegister is told each target that a cell registers */
  constructor(runs: CellRuns, post: (message: CommMessage) => void, onRegister: (targetName: string) => void = () => undefined) {
    this.runs = runs;
    this.post = post;
    this.onRegister = onRegister;
    this.link = {
      send: (kind, comm, data, options) => { this.send(kind, comm, data, options); },
      currentRun: () => runs.current,
    };
  }

  register(targetName: string, onOpen: OpenCallback): void {
    this.targets.set(targetName, { call: onOpen, run: this.runs.current });
    this.onRegister(targetName);
  }

  open(targetName: string, data: unknown = {}, options: CommOptions = {}): Comm {
    const comm = this.create(randomUUID(), targetName);
    this.send("comm_open", comm, data, options);
    return comm;
  }

  /** Hands a message of the front end to its comm; one that belongs to no open comm is ignored. */
  receive(message: CommMessage): void {
    const comm = this.openComms.get(message.commId);
    if (message.kind === "comm_open") {
      // An id that is in use belongs to its comm.
      if (comm === undefined) this.opened(message);
      return;
    }
    if (message.kind === "comm_close") this.openComms.delete(message.commId);
    comm?.take(message, this.runs);
  }

  private opened({ commId, targetName, data, buffers, metadata }: CommMessage): void {
    const comm = this.create(commId, targetName);
    const onOpen = this.targets.get(targetName);
    // Source: jupyter-client.readthedocs.io/en/stable/messaging.html#opening-a-comm: an unknown target is closed at once.
    if (onOpen === undefined) comm.close();
    else void callBack(this.runs, onOpen.run, `the opening of comm ${targetName}`, () => onOpen.call(comm, data, buffers, metadata));
  }

  private create(id: string, targetName: string): Comm {
    const comm = new Comm(id, targetName, this.link);
    this.openComms.set(id, comm);
    return comm;
  }

  private send(kind: Kind, comm: Comm, data: unknown, options: CommOptions): void {
    if (this.openComms.get(comm.id) !== comm) return;
    if (kind === "comm_close") this.openComms.delete(comm.id);
    this.post({
      type: "comm", kind, commId: comm.id, targetName: comm.targetName, runId: this.runs.current.id,
      data: isJsonObject(data) || Array.isArray(data) ? JSON.parse(JSON.stringify(data)) as unknown : data,
      metadata: options.metadata ?? {}, buffers: (options.buffers ?? []).map(copyBytes),
    });
  }
}

/** The bytes of a view, whatever its elements are. */
function copyBytes(buffer: ArrayBufferView | ArrayBuffer): Uint8Array {
  if (!ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.slice(0));
  return Uint8Array.from(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
}
