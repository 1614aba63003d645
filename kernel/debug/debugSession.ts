import type { Debugger, Runtime } from "node:inspector";
import { DebugRequestError } from "../errors.ts";
import type { JsonObject } from "../protocol/json.ts";
import { Breakpoints } from "./breakpoints.ts";
import type { CellSource, CellSources } from "./cellSources.ts";
import { Evaluation } from "./evaluation.ts";
import { Execution } from "./execution.ts";
import type { ExceptionFilter, Stop } from "./execution.ts";
import type { Frame } from "./frames.ts";
import { InspectorConnection } from "./inspectorConnection.ts";
import { Scripts } from "./scripts.ts";
import { OBJECT_GROUP, Variables } from "./variables.ts";

/** What the session tells its owner. */
export interface DebugSessionListener {
  readonly stopped: (stop: Stop) => void;
  readonly continued: () => void;
}

/** One connection to the main thread. Variables can be looked at as soon as it is there; V8's debugger, which slows
 *  code down, runs from attach() to close(). */
export class DebugSession {
  readonly scripts: Scripts;
  readonly breakpoints: Breakpoints;
  readonly variables: Variables;
  readonly evaluation: Evaluation;
  readonly execution: Execution;
  private readonly connection: InspectorConnection;
  private isAttached = false;
  private filter: ExceptionFilter = { caught: false, uncaught: false };
  private stop: Stop | null = null;
  private readonly scopeFrames = new Map<number, Frame>();
  private stopsInNextCell = false;
  private startStop: string | null = null;

  constructor(cells: CellSources, kernelUrl: string, listener: DebugSessionListener) {
    this.connection = new InspectorConnection((method, params) => { this.receive(method, params); });
    this.scripts = new Scripts(cells, kernelUrl);
    this.breakpoints = new Breakpoints(cells, this.scripts);
    this.variables = new Variables(this.connection, cells);
    this.evaluation = new Evaluation(this.connection);
    this.execution = new Execution(this.connection, this.scripts, () => this.filter, {
      stopped: (stop) => {
        this.stop = this.withoutStart(stop);
        listener.stopped(this.stop);
      },
      continued: () => {
        this.stop = null;
        this.forget();
        listener.continued();
      },
      beforeScript: async (scriptId) => {
        const script = this.scripts.get(scriptId);
        if (script !== undefined) await this.breakpoints.prepareFile(script);
      },
    });
  }

  /** Where the main thread stands; null while it runs. */
  get current(): Stop | null {
    return this.stop;
  }

  async attach(): Promise<void> {
    if (this.isAttached) return;
    await this.connection.post("Debugger.enable");
    await this.breakpoints.attach(this.connection);
    await this.filterExceptions(this.filter);
    this.isAttached = true;
  }

  /** Ends everything: no breakpoint stays, and a main thread that stands goes on. */
  close(): void {
    this.breakpoints.detach();
    this.connection.tell("Debugger.disable");
    this.connection.close();
  }

  /** V8 stops at every error, since it can't tell which ones the user catches. */
  async filterExceptions(filter: ExceptionFilter): Promise<void> {
    this.filter = filter;
    const state = filter.caught || filter.uncaught ? "all" : "none";
    await this.connection.post("Debugger.setPauseOnExceptions", { state });
  }

  /** Puts breakpoints into a cell that is about to run. */
  async prepareCell(cell: CellSource): Promise<void> {
    if (this.stop === null) this.forget();
    if (!this.isAttached) return;
    this.startStop = await this.breakpoints.prepareCell(cell, this.stopsInNextCell);
    this.stopsInNextCell = false;
  }

  /** Stops the running cell, or the next one at its first line. */
  async pause(isCellRunning: boolean): Promise<void> {
    if (isCellRunning) await this.execution.pause();
    else this.stopsInNextCell = true;
  }

  /** @throws DebugRequestError E_DEBUG_RUNNING or E_DEBUG_FRAME */
  frame(id: number): Frame {
    const found = this.stopped().frames.find(({ shown }) => shown.id === id);
    if (found === undefined) throw new DebugRequestError({
      code: "E_DEBUG_FRAME", what: `There is no frame ${id}`, why: "the program has gone on since it was listed", fix: "ask for the stack again",
    });
    return found;
  }

  /** @throws DebugRequestError E_DEBUG_RUNNING */
  stopped(): Stop {
    if (this.stop === null) throw new DebugRequestError({
      code: "E_DEBUG_RUNNING", what: "The main thread does not stand at a breakpoint", why: "it runs or waits for a cell", fix: "set a breakpoint or ask for a pause first",
    });
    return this.stop;
  }

  /** The frame whose scope a reference stands for; the innermost one for the parts of a value. */
  frameOfScope(reference: number): Frame {
    const { frames } = this.stopped();
    const found = this.scopeFrames.get(reference) ?? frames[0];
    if (found === undefined) throw new DebugRequestError({
      code: "E_DEBUG_FRAME", what: "There is no frame to evaluate in", why: "the main thread stands in code that is not shown", fix: "step on",
    });
    return found;
  }

  /** What a user sees of a frame's variables, from the inside to the outside. */
  scopes(frame: Frame): { name: string; variablesReference: number; expensive: boolean; presentationHint?: string }[] {
    const chain = frame.call.scopeChain;
    const isOuter = ({ type }: Debugger.Scope): boolean => type === "closure" || type === "module" || type === "script" || type === "eval";
    const locals = chain.filter((scope) => scope.type !== "global" && (frame.isTopLevel || !isOuter(scope)));
    const outer = frame.isTopLevel ? [] : chain.filter(isOuter);
    const self = frame.isTopLevel || isGlobalObject(frame.call.this) ? null : frame.call.this;
    const scopes = [{ name: "Locals", variablesReference: this.variables.scopesReference(locals, self, frame.isTopLevel), expensive: false, presentationHint: "locals" }];
    const used = new Map<string, number>();
    for (const scope of outer) {
      const name = scope.type === "closure" ? `Closure${scope.name === undefined || scope.name === "" ? "" : ` (${scope.name})`}` : scope.type === "module" ? "Module" : "Script";
      const count = (used.get(name) ?? 0) + 1;
      used.set(name, count);
      // Front ends choose a scope by its name.
      const shown = count === 1 ? name : `${name} ${count}`;
      scopes.push({ name: shown, variablesReference: this.variables.scopesReference([scope], null, false), expensive: false, presentationHint: "locals" });
    }
    scopes.push({ name: "Globals", variablesReference: this.variables.globalsReference(), expensive: false, presentationHint: "globals" });
    for (const { variablesReference } of scopes) this.scopeFrames.set(variablesReference, frame);
    return scopes;
  }

  sourceText(path: string): Promise<string> | null {
    const [script] = this.scripts.withPath(path);
    return script === undefined ? null : this.scripts.text(script, this.connection);
  }

  /** Lets V8 free what was looked at. */
  forget(): void {
    this.variables.clear();
    this.scopeFrames.clear();
    this.connection.tell("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
  }

  private receive(method: string, params: JsonObject): void {
    if (method === "Debugger.scriptParsed") this.scripts.add(params);
    // The protocol gives these events that form.
    else if (method === "Debugger.paused" || method === "Debugger.resumed") void this.execution.receive(method, params as unknown as Debugger.PausedEventDataType);
  }

  /** The stop at the first line of a cell that pause() asked for is no breakpoint of the user's. */
  private withoutStart(stop: Stop): Stop {
    const { startStop } = this;
    if (startStop === null || !stop.breakpoints.includes(startStop)) return stop;
    this.startStop = null;
    this.connection.tell("Debugger.removeBreakpoint", { breakpointId: startStop });
    const breakpoints = stop.breakpoints.filter((id) => id !== startStop);
    return { ...stop, breakpoints, reason: breakpoints.length > 0 ? "breakpoint" : "pause" };
  }
}

function isGlobalObject({ type, className }: Runtime.RemoteObject): boolean {
  return type === "undefined" || className === "global";
}
