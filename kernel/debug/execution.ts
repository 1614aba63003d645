import type { Debugger, Runtime } from "node:inspector";
import { isCaught } from "./breakPlaces.ts";
import type { Frame } from "./frames.ts";
import { Frames } from "./frames.ts";
import { isRefusal } from "./inspectorConnection.ts";
import type { InspectorConnection } from "./inspectorConnection.ts";
import type { Position } from "./positionMap.ts";
import { positionOf } from "./scripts.ts";
import type { Scripts } from "./scripts.ts";

/** Why the main thread stands.
 *  Source: microsoft.github.io/debug-adapter-protocol/specification#Events_Stopped */
export type StopReason = "breakpoint" | "step" | "exception" | "pause";
/** One step over a statement, into a call or out of a function. */
export type Step = "stepOver" | "stepInto" | "stepOut";
/** Which errors stop the main thread; "uncaught" are those that no code of the user will catch. */
export interface ExceptionFilter { readonly caught: boolean; readonly uncaught: boolean }

/** The main thread stands. */
export interface Stop {
  readonly reason: StopReason;
  readonly frames: readonly Frame[];
  readonly exception: Runtime.RemoteObject | null;
  /** V8's names of the breakpoints that were met. */
  readonly breakpoints: readonly string[];
}

/** What execution tells the adapter. */
export interface ExecutionListener {
  readonly stopped: (stop: Stop) => void;
  readonly continued: () => void;
  /** A script is compiled and about to run for the first time. */
  readonly beforeScript: (scriptId: string) => Promise<void>;
}

/** A step that ends in code the user does not see goes on by itself, so often at most. */
const MAX_SILENT_STEPS = 300;

/** Stops, steps and goes on. V8 itself knows no code that is not to be shown (its black boxes have no effect on a
 *  session from another thread in Node.js 20), so a step into the kernel or Node.js is continued here. */
export class Execution {
  private readonly connection: InspectorConnection;
  private readonly scripts: Scripts;
  private readonly frames: Frames;
  private readonly listener: ExecutionListener;
  private readonly filter: () => ExceptionFilter;
  private isHeld = false;
  private isShown = false;
  private pending: Step | "pause" | null = null;
  private silentSteps = 0;

  constructor(connection: InspectorConnection, scripts: Scripts, filter: () => ExceptionFilter, listener: ExecutionListener) {
    this.connection = connection;
    this.scripts = scripts;
    this.frames = new Frames(scripts);
    this.filter = filter;
    this.listener = listener;
  }

  /** Whether the main thread stands and V8 takes commands for it. */
  get isPaused(): boolean {
    return this.isHeld;
  }

  /** Takes Debugger.paused and Debugger.resumed. */
  async receive(method: string, event: Debugger.PausedEventDataType): Promise<void> {
    if (method === "Debugger.resumed") {
      this.isHeld = false;
      this.hide();
      return;
    }
    this.isHeld = true;
    try {
      await this.stopped(event);
    } catch (error) {
      // The main thread has gone on, or the session has ended, while the stop was looked at.
      if (!isRefusal(error)) throw error;
    }
  }

  step(kind: Step): Promise<object> {
    this.begin(kind);
    return this.connection.post(`Debugger.${kind}`);
  }

  resume(terminates = false): void {
    this.begin(null);
    this.connection.tell("Debugger.resume", { terminateOnResume: terminates });
  }

  pause(): Promise<object> {
    this.pending = "pause";
    this.silentSteps = 0;
    return this.connection.post("Debugger.pause");
  }

  private async stopped(event: Debugger.PausedEventDataType): Promise<void> {
    // Node's typings lack this reason; another stop may fall together with it.
    const reason: string = event.reason;
    if (reason === "instrumentation") {
      const { scriptId } = (event.data ?? {}) as { readonly scriptId?: string };
      if (scriptId !== undefined) await this.listener.beforeScript(scriptId);
      this.connection.tell("Debugger.resume");
      return;
    }
    await this.decide(event);
  }

  private begin(pending: Step | null): void {
    this.pending = pending;
    this.silentSteps = 0;
    this.hide();
  }

  private hide(): void {
    if (!this.isShown) return;
    this.isShown = false;
    this.listener.continued();
  }

  private async decide(event: Debugger.PausedEventDataType): Promise<void> {
    const { pending } = this;
    const frames = this.frames.read(event.callFrames);
    const [top] = event.callFrames;
    const script = top === undefined ? undefined : this.scripts.get(top.location.scriptId);
    const isOfUser = script?.owner === "cell" || script?.owner === "file";
    const isMapped = top !== undefined && script !== undefined && this.scripts.original(script, positionOf(top.location)) !== null;
    const breakpoints = event.hitBreakpoints ?? [];
    if (breakpoints.length > 0) this.show({ reason: "breakpoint", frames, exception: null, breakpoints });
    else if (event.reason === "exception" || event.reason === "promiseRejection") await this.decideException(event, frames, isOfUser);
    else if (isOfUser && isMapped) {
      const reason = pending === null ? "breakpoint" : pending === "pause" ? "pause" : "step";
      this.show({ reason, frames, exception: null, breakpoints });
    } else this.goOn(frames, isOfUser);
  }

  /** A step has ended in code that is not shown. */
  private goOn(frames: readonly Frame[], isOfUser: boolean): void {
    const { pending } = this;
    const isUserBelow = frames.some(({ script }) => script.owner === "cell" || script.owner === "file");
    this.silentSteps += 1;
    if (pending === "pause") {
      if (isUserBelow) this.connection.tell("Debugger.stepOut");
      else if (this.silentSteps < MAX_SILENT_STEPS) this.connection.tell("Debugger.stepInto");
      else this.resume();
    } else if (pending === null || !isUserBelow || this.silentSteps >= MAX_SILENT_STEPS) this.resume();
    // Code that the compiler put into a cell is walked through, other code is left.
    else this.connection.tell(isOfUser ? `Debugger.${pending}` : "Debugger.stepOut");
  }

  private async decideException(event: Debugger.PausedEventDataType, frames: readonly Frame[], isOfUser: boolean): Promise<void> {
    const { caught, uncaught } = this.filter();
    const isLeft = !await this.willBeCaught(event);
    const isWanted = frames.length > 0 && (isLeft ? uncaught : caught && isOfUser);
    if (!isWanted) {
      const { pending } = this;
      // A step is under way through this throw; V8 takes it up again.
      if (pending === null || pending === "pause") this.connection.tell("Debugger.resume");
      else this.connection.tell(`Debugger.${pending}`);
      return;
    }
    // V8 gives the thrown value with the event.
    const exception = (event.data ?? null) as Runtime.RemoteObject | null;
    this.show({ reason: "exception", frames, exception, breakpoints: [] });
  }

  /** Whether a try block around any frame takes the error. V8 can't tell: to it, the kernel catches everything. */
  private async willBeCaught({ callFrames, data }: Debugger.PausedEventDataType): Promise<boolean> {
    for (const { location } of callFrames) {
      const script = this.scripts.get(location.scriptId);
      // Below the user's frames are the kernel's, which always catch.
      if (script === undefined || script.owner === "kernel") break;
      const original = this.scripts.original(script, positionOf(location));
      if (original !== null && isCaught(await this.scripts.syntax(script, this.connection), original)) return true;
    }
    const { description = "" } = (data ?? {}) as { readonly description?: string };
    for (const { name, place } of asyncCallers(description)) {
      const script = this.scripts.named(name);
      if (script !== undefined && isCaught(await this.scripts.syntax(script, this.connection), place)) return true;
    }
    return false;
  }

  private show(stop: Stop): void {
    this.pending = null;
    this.silentSteps = 0;
    this.isShown = true;
    this.listener.stopped(stop);
  }
}

/** The functions that await the one that threw, from the error's stack: its places are those of the sources. V8 gives
 *  them with the stop only if Node.js's async hooks are on, and then Node.js aborts when an interrupt ends a callback. */
function asyncCallers(stack: string): { name: string; place: Position }[] {
  return [...stack.matchAll(/^\s+at async (?:.*\()?([^\s()]+):(\d+):(\d+)\)?$/gm)].map(([, name = "", line, column]) =>
    ({ name, place: { line: Number(line) - 1, column: Number(column) - 1 } }));
}
