// The heap guard's thread: looks at the main thread's heap while a cell runs. Started by heapGuard.ts.
import inspector from "node:inspector";
import { parentPort, workerData } from "node:worker_threads";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import type { HeapGuardOrder, HeapGuardStart } from "./heapGuard.ts";

/** What V8 sets aside for young objects counts in the heap's limit, but old ones can't have it: 192 MiB in Node.js 24, 48
 *  in 20 and 22. A small heap's limit may hold less. */
const YOUNG_BYTES = 192 << 20;
const LEAST_OLD_SHARE = 0.5;
/** From this share of the old objects' limit on, in the whole process, the heap itself is asked for its size. */
const ASK_SHARE = 0.5;
/** From this share of its limit on the heap is guarded, and below the other one no more. */
const GUARD_SHARE = 0.6;
const RELEASE_SHARE = 0.5;
/** When so much is used V8 takes a raised limit back whole: it leaves it at 1.25 times what is used at least. */
const RESTORE_SHARE = 0.6;
/** The heap is larger than its limit only where V8 has raised it; when it has grown by so much, in shares of the first
 *  limit, it is searched for garbage. */
const SEARCH_SHARE = 0.25;
/** No cell fills the heap faster: a core writes to fresh memory at 1 to 2 GB/s. In bytes per ms. */
const FASTEST_GROWTH = 2_000_000;
/** Between two looks, in ms; nearer the shorter the heap may take to the size that counts. */
const MIN_INTERVAL_MS = 10;
const MAX_INTERVAL_MS = 100;

interface PausedEvent { readonly params: { readonly reason: string } }
interface HeapUsage { readonly usedSize: number; readonly totalSize: number }

/** V8's debugger pauses a thread that is about to run out of heap and raises its limit to four times the first one; the
 *  guard then terminates what runs. The debugger is on only while the heap is large, since it costs speed.
 *
 *  V8 takes the limit back when the debugger goes off, but leaves it above what the heap then holds. So it stays on until
 *  the heap is small again: with each full heap the limit would rise, and at four times the first V8 ends the process.
 *  Source: chromedevtools.github.io/devtools-protocol/tot/Debugger/#event-paused, reason OOM; v8/src/inspector/v8-debugger.cc */
class HeapWatch {
  private readonly start: HeapGuardStart;
  private readonly tell: () => void;
  /** At least so much room do old objects have. */
  private readonly oldBytes: number;
  /** Number of the watch; null while no cell runs. */
  private watch: number | null = null;
  private timer: NodeJS.Timeout | null = null;
  private session: inspector.Session | null = null;
  /** A question is on its way. A main thread in native code leaves it waiting. */
  private isAsking = false;
  private isGuarding = false;
  private isLimitRaised = false;
  /** What the cell may keep: the limit, or what the heap held when the cell started, which may be what frees it. */
  private allowedBytes: number | null = null;

  /** @param tell called when the heap was full */
  constructor(start: HeapGuardStart, tell: () => void) {
    this.start = start;
    this.tell = tell;
    this.oldBytes = Math.max(start.limitBytes - YOUNG_BYTES, LEAST_OLD_SHARE * start.limitBytes);
  }

  receive(order: HeapGuardOrder): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (order.type === "rest") {
      this.watch = null;
      if (!this.isLimitRaised) this.disconnect();
      return;
    }
    this.watch = order.watch;
    this.allowedBytes = null;
    this.look();
  }

  private look(): void {
    this.timer = null;
    // The answer leads to the next look.
    if (this.isAsking) return;
    const residentBytes = process.memoryUsage.rss();
    if (this.isGuarding || residentBytes >= ASK_SHARE * this.oldBytes) this.ask();
    else this.lookAgain(ASK_SHARE * this.oldBytes - residentBytes);
  }

  /** @param roomBytes that the heap may grow by before it has to be looked at */
  private lookAgain(roomBytes: number): void {
    if (this.watch === null) return;
    const delayMs = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, roomBytes / FASTEST_GROWTH));
    this.timer = setTimeout(() => { this.look(); }, delayMs);
  }

  /** A busy main thread answers at its next loop or call. */
  private ask(): void {
    this.isAsking = true;
    const session = this.connected();
    session.post("Runtime.getHeapUsage", (error, usage: HeapUsage | undefined) => {
      if (this.session !== session) return;
      this.isAsking = false;
      if (error === null && usage !== undefined && this.watch !== null) this.judge(session, usage);
    });
  }

  private judge(session: inspector.Session, { usedSize, totalSize }: HeapUsage): void {
    const { oldBytes, start: { limitBytes } } = this;
    this.allowedBytes ??= Math.max(limitBytes, usedSize);
    const searchBytes = this.allowedBytes + SEARCH_SHARE * limitBytes;
    if (this.isGuarding && usedSize > searchBytes) {
      this.search(session, this.watch, this.allowedBytes);
      return;
    }
    const isReleased = this.isLimitRaised ? usedSize < RESTORE_SHARE * oldBytes : totalSize < RELEASE_SHARE * oldBytes;
    if (this.isGuarding && isReleased) this.release(session);
    if (!this.isGuarding && totalSize >= GUARD_SHARE * oldBytes) this.guard(session);
    this.lookAgain((this.isGuarding ? searchBytes : GUARD_SHARE * oldBytes) - totalSize);
  }

  private guard(session: inspector.Session): void {
    this.isGuarding = true;
    session.post("Debugger.enable");
    // Not for a `debugger` statement of the user; running out of heap is no pause that this skips.
    session.post("Debugger.setSkipAllPauses", { skip: true });
  }

  /** Gives the heap its first limit back too. */
  private release(session: inspector.Session): void {
    this.isGuarding = false;
    this.isLimitRaised = false;
    session.post("Debugger.disable");
  }

  /** Under a raised limit, also one whose pause was lost, only a collection tells what the cell really keeps. */
  private search(session: inspector.Session, watch: number | null, allowedBytes: number): void {
    this.isLimitRaised = true;
    this.isAsking = true;
    session.post("Runtime.evaluate", { expression: `${RUNTIME_NAME}.collectGarbage()`, silent: true });
    session.post("Runtime.getHeapUsage", (error, usage: HeapUsage | undefined) => {
      if (this.session !== session) return;
      this.isAsking = false;
      // Meanwhile another cell may have started, after which nothing was searched.
      if (error === null && watch === this.watch && (usage?.usedSize ?? 0) > allowedBytes) this.stop(session);
      this.lookAgain(0);
    });
  }

  private connected(): inspector.Session {
    if (this.session !== null) return this.session;
    const session = new inspector.Session();
    session.connectToMainThread();
    session.on("Debugger.paused", ({ params }: PausedEvent) => {
      // Also for a stop of another session, which goes on by that one's will.
      if (params.reason !== "OOM") return;
      this.isLimitRaised = true;
      this.stop(session);
      session.post("Debugger.resume");
    });
    this.session = session;
    return session;
  }

  /** The note comes first: the cell may end, and be reported, before the message is read. */
  private stop(session: inspector.Session): void {
    if (this.watch === null) return;
    Atomics.store(this.start.exhaustedWatch, 0, this.watch);
    session.post("Runtime.terminateExecution");
    this.tell();
  }

  private disconnect(): void {
    this.session?.disconnect();
    this.session = null;
    this.isAsking = false;
    this.isGuarding = false;
  }
}

if (parentPort !== null) {
  const port = parentPort;
  const heap = new HeapWatch(workerData as HeapGuardStart, () => { port.postMessage("exhausted"); });
  port.on("message", (order: HeapGuardOrder) => { heap.receive(order); });
}
