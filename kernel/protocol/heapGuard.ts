import inspector from "node:inspector";

/** How often the process's memory is looked at while a cell runs, in ms. */
const LOOK_INTERVAL_MS = 100;
/** From this share of the heap's limit on, in the whole process, the heap itself is asked for its size. */
const ASK_SHARE = 0.5;
/** From this share of its limit on the heap is guarded. */
const GUARD_SHARE = 0.6;

interface PausedEvent { readonly params: { readonly reason: string } }

/** Saves the kernel when a cell fills the JavaScript heap, which otherwise ends the process. V8's debugger pauses a
 *  thread that is about to run out of heap and gives it more for a while; the guard has the cell terminated then.
 *  The debugger is on only while the heap is large, since it costs speed.
 *  Source: chromedevtools.github.io/devtools-protocol/tot/Debugger/#event-paused, reason OOM */
export class HeapGuard {
  private readonly limitBytes: number;
  private readonly onExhausted: () => void;
  private timer: NodeJS.Timeout | null = null;
  private session: inspector.Session | null = null;
  private isGuarding = false;

  /** @param limitBytes heap limit of the main thread
   *  @param onExhausted called while the main thread is paused; it goes on when this returns */
  constructor(limitBytes: number, onExhausted: () => void) {
    this.limitBytes = limitBytes;
    this.onExhausted = onExhausted;
  }

  /** To be called when a cell starts. */
  watch(): void {
    this.timer ??= setInterval(() => { this.look(); }, LOOK_INTERVAL_MS);
  }

  /** To be called when no cell runs any more. */
  rest(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.disconnect();
  }

  private look(): void {
    if (this.isGuarding || process.memoryUsage.rss() < ASK_SHARE * this.limitBytes) return;
    const session = this.connected();
    // A busy main thread answers at its next loop or call.
    session.post("Runtime.getHeapUsage", (error, usage: { totalSize: number } | undefined) => {
      if (error !== null || this.session !== session || this.isGuarding || (usage?.totalSize ?? 0) < GUARD_SHARE * this.limitBytes) return;
      this.isGuarding = true;
      session.post("Debugger.enable");
      // Not for a `debugger` statement of the user; running out of heap is no pause that this skips.
      session.post("Debugger.setSkipAllPauses", { skip: true });
    });
  }

  private connected(): inspector.Session {
    if (this.session !== null) return this.session;
    const session = new inspector.Session();
    session.connectToMainThread();
    session.on("Debugger.paused", ({ params }: PausedEvent) => {
      if (params.reason === "OOM") this.exhausted(session);
    });
    this.session = session;
    return session;
  }

  private exhausted(session: inspector.Session): void {
    this.onExhausted();
    session.post("Runtime.terminateExecution");
    session.post("Debugger.resume");
    // Gives the heap its old limit back.
    session.post("Debugger.disable", () => { this.isGuarding = false; });
  }

  private disconnect(): void {
    this.session?.disconnect();
    this.session = null;
    this.isGuarding = false;
  }
}
