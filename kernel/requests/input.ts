import type { MessagePort } from "node:worker_threads";
import { booleanField, stringField } from "../protocol/json.ts";
import type { KernelSockets } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { InputState } from "../runner/threadMessages.ts";
import type { SharedFlags } from "../runner/threadMessages.ts";

/** Asks the front end on behalf of input(), which blocks the main thread, and wakes it with the answer. */
export class InputRequests {
  private readonly sockets: KernelSockets;
  private readonly flags: SharedFlags;
  private readonly answers: MessagePort;
  private isWaiting = false;

  constructor(sockets: KernelSockets, flags: SharedFlags, answers: MessagePort) {
    this.sockets = sockets;
    this.flags = flags;
    this.answers = answers;
  }

  /** @param request the execute_request whose client is to be asked */
  async ask(request: Message | null, prompt: string, isPassword: boolean): Promise<void> {
    if (request === null || !booleanField(request.content, "allow_stdin", false)) {
      this.wake(InputState.refused);
      return;
    }
    this.isWaiting = true;
    await this.sockets.send("stdin", {
      type: "input_request", content: { prompt, password: isPassword }, parentHeader: request.header, identities: request.identities,
    });
  }

  receive(message: Message): void {
    if (message.header.msg_type !== "input_reply" || !this.isWaiting) return;
    this.isWaiting = false;
    this.answers.postMessage(stringField(message.content, "value"));
    this.wake(InputState.answered);
  }

  /** Ends a waiting input() with an error. */
  interrupt(): void {
    this.isWaiting = false;
    this.wake(InputState.interrupted);
  }

  private wake(state: number): void {
    Atomics.store(this.flags.input, 0, state);
    Atomics.notify(this.flags.input, 0);
  }
}
