import { Dealer, Proxy, Router } from "zeromq";

/** The echo's other end: a socket that is connected to itself. */
const LOOP_ADDRESS = "inproc://moe-lab-heartbeat";

/** Sends every heartbeat back at once. A zeromq proxy does it on a thread of its own that runs no JavaScript, so neither
 *  a busy cell nor a long type check holds it up. The proxy forwards to a socket that gets back what it sends.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#heartbeat-for-kernels */
export class Heartbeat {
  private readonly outer = new Router({ linger: 0 });
  private readonly loop = new Dealer({ linger: 0 });
  private proxy: Proxy<Router, Dealer> | null = null;
  private running: Promise<void> | null = null;

  async bind(address: string): Promise<void> {
    await this.outer.bind(address);
    await this.loop.bind(LOOP_ADDRESS);
    this.loop.connect(LOOP_ADDRESS);
    this.proxy = new Proxy(this.outer, this.loop);
    this.running = this.proxy.run();
  }

  /** The proxy closes its sockets when it ends. */
  async close(): Promise<void> {
    if (this.proxy === null) {
      this.outer.close();
      this.loop.close();
      return;
    }
    this.proxy.terminate();
    this.proxy = null;
    await this.running;
  }
}
