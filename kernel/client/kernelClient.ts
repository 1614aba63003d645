import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer, Subscriber } from "zeromq";
import { KernelProcessError, MalformedMessageError } from "../errors.ts";
import { channelAddress } from "../protocol/connectionFile.ts";
import type { ConnectionInfo } from "../protocol/connectionFile.ts";
import type { JsonObject } from "../protocol/json.ts";
import { SendQueue } from "../protocol/sendQueue.ts";
import { Wire } from "../protocol/wire.ts";
import type { Message, OutgoingMessage } from "../protocol/wire.ts";
import { KernelProcess } from "./kernelProcess.ts";
import type { KernelCommand, KernelExit } from "./kernelProcess.ts";

type ClientChannel = "shell" | "control" | "stdin";

/** How a cell is to be run. */
export interface ExecuteOptions {
  /** Called for each iopub message of the cell, in order: execute_input, stream, display_data, error, … */
  readonly onMessage?: (message: Message) => void;
  /** Answers input(); without it the kernel refuses input(). */
  readonly onInput?: (prompt: string, isPassword: boolean) => string | Promise<string>;
  readonly silent?: boolean;
  readonly storeHistory?: boolean;
  readonly stopOnError?: boolean;
  readonly userExpressions?: Readonly<Record<string, string>>;
}

interface Waiting {
  readonly message: OutgoingMessage;
  readonly onMessage: (message: Message) => void;
  readonly onInput: ExecuteOptions["onInput"];
  readonly fail: (error: Error) => void;
  reply: Message | null;
  isIdle: boolean;
  readonly settle: (reply: Message) => void;
}

/** As long as nbclient waits. */
const START_TIMEOUT_MS = 60_000;
/** Another program may take a port between its choice and the kernel's start; then it is started once more with others. */
const START_ATTEMPTS = 3;
/** A kernel that just bound its sockets may miss the first question, in ms. */
const START_RETRY_MS = 200;
const SHUTDOWN_TIMEOUT_MS = 5_000;

/** Speaks the Jupyter protocol to one kernel. A request resolves when both its reply and its idle status are there,
 *  so all its outputs have been seen; it rejects when the kernel dies. */
export class KernelClient {
  readonly process: KernelProcess;
  private readonly wire: Wire;
  private readonly sockets: Record<ClientChannel, Dealer>;
  private readonly iopub = new Subscriber();
  private readonly queues: Record<ClientChannel, SendQueue>;
  private readonly waiting = new Map<string, Waiting>();
  /** Called for iopub messages that belong to no open request, e.g. output of a timer after its cell. */
  onStrayMessage: ((message: Message) => void) | null = null;
  private isClosed = false;
  /** Why there is nobody to answer any more. */
  private death: KernelProcessError | null = null;

  private constructor(process: KernelProcess) {
    this.process = process;
    const { connection } = process;
    this.wire = new Wire(connection.key, connection.digest, "moe-lab-client");
    // The kernel routes input requests to the identity that asked on shell.
    const routingId = randomUUID();
    this.sockets = { shell: dealer(connection, "shell", routingId), control: dealer(connection, "control", routingId), stdin: dealer(connection, "stdin", routingId) };
    this.queues = {
      shell: new SendQueue(this.sockets.shell), control: new SendQueue(this.sockets.control), stdin: new SendQueue(this.sockets.stdin),
    };
    this.iopub.linger = 0;
    this.iopub.receiveHighWaterMark = 0;
    this.iopub.connect(channelAddress(connection, "iopub"));
    this.iopub.subscribe();
    void this.receive(this.sockets.shell, (message) => { this.replied(message); });
    void this.receive(this.sockets.control, (message) => { this.replied(message); });
    void this.receive(this.sockets.stdin, (message) => { void this.inputRequested(message); });
    void this.receive(this.iopub, (message) => { this.published(message); });
    void process.exited.then((exit) => { this.died(exit); });
  }

  /** Starts a kernel and waits until it answers on all channels.
   *  @throws KernelProcessError E_KERNEL_DIED or E_KERNEL_START */
  static async start(command: KernelCommand, timeoutMs: number = START_TIMEOUT_MS): Promise<KernelClient> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await KernelClient.startOnce(command, timeoutMs);
      } catch (error) {
        const isPortTaken = error instanceof KernelProcessError && /EADDRINUSE|address already in use/i.test(error.why);
        if (!isPortTaken || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  private static async startOnce(command: KernelCommand, timeoutMs: number): Promise<KernelClient> {
    const client = new KernelClient(await KernelProcess.start(command));
    const deadline = Date.now() + timeoutMs;
    const failed = new AbortController();
    try {
      // Idle comes over iopub, so an answered question proves that the subscription is in place too.
      const attempts = async (): Promise<void> => {
        while (!failed.signal.aborted) {
          const isAnswered = await Promise.race([
            client.request("shell", "kernel_info_request", {}).then(() => true), sleep(START_RETRY_MS, false, { signal: failed.signal }),
          ]);
          if (isAnswered) return;
          if (Date.now() > deadline) throw notStarted(timeoutMs);
        }
      };
      await attempts();
    } catch (error) {
      failed.abort();
      client.process.kill();
      await client.close();
      throw error;
    }
    return client;
  }

  /** Runs a cell.
   *  @returns the execute_reply; its content.status is "ok", "error" or "aborted" */
  execute(code: string, options: ExecuteOptions = {}): Promise<Message> {
    return this.request("shell", "execute_request", {
      code, silent: options.silent ?? false, store_history: options.storeHistory ?? true, user_expressions: options.userExpressions ?? {},
      allow_stdin: options.onInput !== undefined, stop_on_error: options.stopOnError ?? true,
    }, options);
  }

  /** Sends a request and waits for its reply and its idle status. */
  request(
    channel: ClientChannel, type: string, content: JsonObject, hooks: Pick<ExecuteOptions, "onMessage" | "onInput"> = {},
  ): Promise<Message> {
    if (this.isClosed) return Promise.reject(closedError());
    if (this.death !== null) return Promise.reject(this.death);
    const header = this.wire.header(type);
    const message: OutgoingMessage = { type, content };
    return new Promise((resolve, reject) => {
      this.waiting.set(header.msg_id, {
        message, reply: null, isIdle: false, fail: reject, settle: resolve, onInput: hooks.onInput, onMessage: hooks.onMessage ?? (() => undefined),
      });
      this.queues[channel].send(this.wire.encode(message, header)).catch(reject);
    });
  }

  /** Sends a message that has no reply, e.g. comm_msg. */
  send(channel: ClientChannel, message: OutgoingMessage): Promise<void> {
    return this.queues[channel].send(this.wire.encode(message));
  }

  /** Asks the kernel to stop the running cell; resolves when it has taken the request, not when the cell has ended. */
  async interrupt(): Promise<void> {
    await this.request("control", "interrupt_request", {});
  }

  /** Ends the kernel: asks first, then kills. Leaves nothing open. */
  async shutdown(): Promise<KernelExit> {
    if (this.process.isAlive && !this.isClosed) {
      // The reply may be lost when the process is faster than its sockets; its end is what counts.
      this.request("control", "shutdown_request", { restart: false }).catch(() => undefined);
      const timer = setTimeout(() => { this.process.kill(); }, SHUTDOWN_TIMEOUT_MS);
      await this.process.exited;
      clearTimeout(timer);
    }
    const exit = await this.process.exited;
    await this.close();
    return exit;
  }

  /** Closes the sockets; the process is left as it is. */
  close(): Promise<void> {
    if (!this.isClosed) {
      this.isClosed = true;
      for (const socket of [...Object.values(this.sockets), this.iopub]) socket.close();
      for (const waiting of this.waiting.values()) waiting.fail(closedError());
      this.waiting.clear();
    }
    return Promise.resolve();
  }

  private async receive(socket: Dealer | Subscriber, take: (message: Message) => void): Promise<void> {
    for await (const frames of socket) {
      try {
        take(this.wire.decode(frames));
      } catch (error) {
        if (!(error instanceof MalformedMessageError)) throw error;
      }
    }
  }

  private replied(message: Message): void {
    const waiting = this.waiting.get(message.parentHeader.msg_id ?? "");
    if (waiting === undefined) return;
    waiting.reply = message;
    this.settleWhenWhole(message.parentHeader.msg_id ?? "", waiting);
  }

  private published(message: Message): void {
    const id = message.parentHeader.msg_id ?? "";
    const waiting = this.waiting.get(id);
    if (waiting === undefined) {
      this.onStrayMessage?.(message);
      return;
    }
    waiting.onMessage(message);
    if (message.header.msg_type !== "status" || message.content.execution_state !== "idle") return;
    waiting.isIdle = true;
    this.settleWhenWhole(id, waiting);
  }

  private settleWhenWhole(id: string, waiting: Waiting): void {
    if (waiting.reply === null || !waiting.isIdle) return;
    this.waiting.delete(id);
    waiting.settle(waiting.reply);
  }

  private async inputRequested(message: Message): Promise<void> {
    const { prompt, password } = message.content;
    const onInput = this.waiting.get(message.parentHeader.msg_id ?? "")?.onInput;
    const value = await onInput?.(typeof prompt === "string" ? prompt : "", password === true);
    await this.send("stdin", { type: "input_reply", content: { value: value ?? "" }, parentHeader: message.header });
  }

  private died(exit: KernelExit): void {
    const error = new KernelProcessError({
      code: "E_KERNEL_DIED", what: `The kernel process ended (code ${exit.code ?? "none"}, signal ${exit.signal ?? "none"})`,
      why: exit.stderr === "" ? "it left no message" : `its last words were: ${exit.stderr.trim()}`,
      fix: "look at the cell that ran, at the memory of this machine, and start the kernel again",
    });
    this.death = error;
    for (const waiting of this.waiting.values()) waiting.fail(error);
    this.waiting.clear();
  }
}

function dealer(connection: ConnectionInfo, channel: ClientChannel, routingId: string): Dealer {
  const socket = new Dealer({ routingId, linger: 0 });
  socket.receiveHighWaterMark = 0;
  socket.connect(channelAddress(connection, channel));
  return socket;
}

function closedError(): KernelProcessError {
  return new KernelProcessError({
    code: "E_CLIENT_CLOSED", what: "A request was made on a closed kernel client", why: "the client was shut down", fix: "start a new kernel",
  });
}

function notStarted(timeoutMs: number): KernelProcessError {
  return new KernelProcessError({
    code: "E_KERNEL_START", what: `The kernel did not answer within ${timeoutMs / 1000} s`, why: "its process runs but its sockets are silent",
    fix: "try again with more time; on a loaded machine starting Node.js and TypeScript takes longer",
  });
}
