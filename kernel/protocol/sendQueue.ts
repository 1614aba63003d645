/** A zeromq socket that can send. */
export interface SendingSocket {
  send(frames: (Buffer | Uint8Array | string)[]): Promise<void>;
}

/** Sends in order on one socket; zeromq allows one send at a time. */
export class SendQueue {
  private readonly socket: SendingSocket;
  private last: Promise<void> = Promise.resolve();
  private unsent = 0;

  constructor(socket: SendingSocket) {
    this.socket = socket;
  }

  /** @returns when this message is in zeromq's hands */
  send(frames: (Buffer | Uint8Array | string)[]): Promise<void> {
    // At once where nothing is before it: what follows the call may be long.
    const sent = this.unsent === 0 ? this.sendNow(frames) : this.last.then(() => this.sendNow(frames));
    this.unsent += 1;
    const noteSent = (): void => { this.unsent -= 1; };
    // A failed send is its caller's matter; the next ones go on.
    this.last = sent.then(noteSent, noteSent);
    return sent;
  }

  /** zeromq throws for a closed socket, where all others get a rejection. */
  private async sendNow(frames: (Buffer | Uint8Array | string)[]): Promise<void> {
    await this.socket.send(frames);
  }

  /** Resolves when all that was queued so far is in zeromq's hands. */
  get drained(): Promise<void> {
    return this.last;
  }
}
