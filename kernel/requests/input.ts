import type { MessagePort } from "node:worker_threads";
import { booleanField, stringField } from "../protocol/json.ts";
import type { Publisher } from "../protocol/publisher.ts";
import type { KernelSockets } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { InputState } from "../runner/threadMessages.ts";
import type { SharedFlags } from "../runner/threadMessages.ts";

/** Asks the front end on behalf of input(), which blocks the main thread, and wakes it with the answer. */
export class InputRequests {
  private readonly sockets: KernelSockets;
  private readonly publisher: Publisher;
  private readonly flags: SharedFlags;
  private readonly answers: MessagePort;
  /** Id of the input_request that waits for its reply. */
  private waitingId: string | null = null;
  /** Refuse every input(), e.g. in an expression of the debugger, whose front end waits for the value. */
  isRefused = (): boolean => false;

  constructor(sockets: KernelSockets, publisher: Publisher, flags: SharedFlags, answers: MessagePort) {
    this.sockets = sockets;
    this.publisher = publisher;
    this.flags = flags;
    this.answers = answers;
  }

  /** @param request the execute_request whose client is to be asked */
  async ask(request: Message | null, prompt: string, isPassword: boolean): Promise<void> {
    if (request === null || this.isRefused() || !booleanField(request.content, "allow_stdin", false)) {
      this.wake(InputState.refused);
      return;
    }
    // What the cell printed before belongs above the question.
    this.publisher.flush();
    const header = this.sockets.newHeader("input_request");
    this.waitingId = header.msg_id;
    await this.sockets.send("stdin", {
      type: "input_request", content: { prompt, password: isPassword }, parentHeader: request.header, identities: request.identities,
    }, header);
  }

  receive(message: Message): void {
    // A late answer to a question that was interrupted is not for the next one. Simple clients name no parent.
    const { msg_id: parentId = this.waitingId } = message.parentHeader;
    if (this.waitingId === null || parentId !== this.waitingId) return;
    this.waitingId = null;
    this.answers.postMessage(stringField(message.content, "value"));
    this.wake(InputState.answered);
  }

  /** Ends a waiting input() with an error. */
  interrupt(): void {
    this.waitingId = null;
    this.wake(InputState.interrupted);
  }

  private wake(state: number): void {
    Atomics.store(this.flags.input, 0, state);
    Atomics.notify(this.flags.input, 0);
  }
}
