/** Events of one request between the scheduler, which never waits, and the route, which reads at the client's pace. */
export class EventQueue<Event> implements AsyncIterable<Event> {
  private readonly events: Event[] = [];
  private error: Error | undefined;
  private isEnded = false;
  private wake: (() => void) | undefined;

  push(event: Event): void {
    this.events.push(event);
    this.wake?.();
  }

  /** No event follows. */
  end(): void {
    this.isEnded = true;
    this.wake?.();
  }

  /** The reader gets what was pushed before, then this error. */
  fail(error: Error): void {
    this.error = error;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event> {
    for (;;) {
      const event = this.events.shift();
      if (event !== undefined) yield event;
      else if (this.error !== undefined) throw this.error;
      else if (this.isEnded) return;
      else {
        await new Promise<void>((resolve) => { this.wake = resolve; });
        this.wake = undefined;
      }
    }
  }
}
