import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";

/** Knows which answers are still being written, so that a server that stops cuts none of them off. */
export class Answers {
  private readonly open = new Set<ServerResponse>();
  private whenAllSent: (() => void) | undefined;

  constructor(app: FastifyInstance) {
    app.addHook("onRequest", (_request, { raw }, done) => {
      this.open.add(raw);
      // Emitted after the last byte went to the system, and also when the client has gone.
      raw.once("close", () => {
        this.open.delete(raw);
        if (this.open.size === 0) this.whenAllSent?.();
      });
      done();
    });
  }

  /** Waits until no answer is open, but not for clients that don't read theirs. */
  async allSent(timeoutMs: number): Promise<void> {
    if (this.open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.whenAllSent = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
