/** A zeromq socket that can send. */
export interface SendingSocket {
  send(frames: (Buffer | Uint8Array | string)[]): Promise<void>;
}

/** Sends in order on one socket; zeromq allows one send at a time. */
export class SendQueue {
  private readonly socket: SendingSocket;
  private last: Promise<void> = Promise.resolve();

  constructor(socket: SendingSocket) {
    this.socket = socket;
  }

  /** @returns when this message is in zeromq's hands */
  send(frames: (Buffer | Uint8Array | string)[]): Promise<void> {
    const sent = this.last.then(() => this.socket.send(frames));
    // A failed send is its caller's matter; the next ones go on.
    this.last = sent.catch(() => undefined);
    return sent;
  }

  /** Resolves when all that was queued so far is in zeromq's hands. */
  get drained(): Promise<void> {
    return this.last;
  }
}
