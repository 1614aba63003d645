import { DebugRequestError } from "../errors.ts";
import { booleanField, isJsonObject, numberField, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { BreakpointRequest } from "./breakpoints.ts";
import { HASH_METHOD, HASH_SEED, SOURCE_SUFFIX } from "./cellSources.ts";
import type { CellSource, CellSources } from "./cellSources.ts";
import { DebugSession } from "./debugSession.ts";
import { argumentOf } from "./evaluation.ts";
import type { Step, Stop } from "./execution.ts";
import type { Frame } from "./frames.ts";
import type { Variable } from "./variables.ts";

/** The one thread there is to debug: the kernel's main thread. */
const THREAD_ID = 1;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
/** A variable or a part of one, as `evaluateName` spells it. */
const VARIABLE_PATH = /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*|\[(?:\d+|"(?:[^"\\]|\\.)*")\])*$/;

/** Source: microsoft.github.io/debug-adapter-protocol/specification#Types_Capabilities */
const CAPABILITIES = {
  supportsConfigurationDoneRequest: true, supportsConditionalBreakpoints: true, supportsLogPoints: true, supportsEvaluateForHovers: true,
  supportsSetVariable: true, supportsExceptionInfoRequest: true, supportsModulesRequest: true, supportsDelayedStackTraceLoading: true,
  exceptionBreakpointFilters: [
    { filter: "caught", label: "Caught Exceptions", default: false }, { filter: "uncaught", label: "Uncaught Exceptions", default: false },
  ],
};

/** What the adapter needs of the kernel. */
export interface DebugAdapterParts {
  readonly cells: CellSources;
  /** URL of the kernel's own folder. */
  readonly kernelUrl: string;
  readonly isCellRunning: () => boolean;
  /** Publishes the content of a debug_event. */
  readonly publish: (event: object) => void;
}

type Answer = object | undefined;
type Command = (args: JsonObject) => Promise<Answer> | Answer;

/** Answers the requests of the Debug Adapter Protocol and Jupyter's additions to it.
 *  Source: microsoft.github.io/debug-adapter-protocol and
 *  jupyter-client.readthedocs.io/en/stable/messaging.html#debug-request */
export class DebugAdapter {
  private readonly parts: DebugAdapterParts;
  private session: DebugSession | null = null;
  private isStarted = false;
  private lastSeq = 0;
  private readonly commands: ReadonlyMap<string, Command>;

  constructor(parts: DebugAdapterParts) {
    this.parts = parts;
    this.commands = new Map<string, Command>([...this.lifeCommands(), ...this.sourceCommands(), ...this.runCommands(), ...this.valueCommands()]);
  }

  /** Answers one request; a failure is an answer too. */
  async answer(request: JsonObject): Promise<object> {
    const command = stringField(request, "command");
    const reply = { seq: ++this.lastSeq, type: "response", request_seq: numberField(request, "seq", 0), command };
    try {
      const handler = this.commands.get(command);
      if (handler === undefined) throw new DebugRequestError({
        code: "E_DEBUG_COMMAND", what: `The debugger does not know the command ${command}`, why: "its capabilities do not name it", fix: "use another command",
      });
      return { ...reply, success: true, body: await handler(objectField(request, "arguments")) ?? {} };
    } catch (error) {
      // V8 refuses with plain errors, e.g. when the main thread has gone on meanwhile.
      if (!(error instanceof Error)) throw error;
      return { ...reply, success: false, message: error.message, body: {} };
    }
  }

  /** Puts breakpoints into a cell that is about to run. */
  async prepareCell(cell: CellSource): Promise<void> {
    await this.session?.prepareCell(cell);
  }

  /** Whether an expression of the debugger runs, which must not ask the user for input. */
  get isEvaluating(): boolean {
    return this.session?.evaluation.isRunning ?? false;
  }

  /** Makes a main thread that stands go on.
   *  @param terminates end the code that it is in */
  release(terminates: boolean): void {
    if (this.session?.execution.isPaused === true) this.session.execution.resume(terminates);
  }

  /** Ends the session without a word to front ends; the program goes on without breakpoints. */
  close(): void {
    this.session?.close();
    this.session = null;
    this.isStarted = false;
  }

  private lifeCommands(): [string, Command][] {
    return [
      ["initialize", (args) => {
        if (!booleanField(args, "linesStartAt1", true) || !booleanField(args, "columnsStartAt1", true)) throw new DebugRequestError({
          code: "E_DEBUG_LINES", what: "The front end counts lines or columns from 0", why: "this debugger counts from 1", fix: "set linesStartAt1 and columnsStartAt1",
        });
        this.isStarted = true;
        return CAPABILITIES;
      }],
      ["attach", async () => {
        this.isStarted = true;
        await this.open().attach();
        this.event("initialized");
        this.event("thread", { reason: "started", threadId: THREAD_ID });
        return undefined;
      }],
      ["configurationDone", () => undefined],
      ["disconnect", () => {
        const isStopped = this.session?.current != null;
        this.close();
        if (isStopped) this.continued();
        this.event("terminated");
        return undefined;
      }],
      ["debugInfo", () => ({
        isStarted: this.isStarted, hashMethod: HASH_METHOD, hashSeed: HASH_SEED, tmpFilePrefix: this.parts.cells.prefix, tmpFileSuffix: SOURCE_SUFFIX,
        breakpoints: this.session?.breakpoints.list() ?? [], stoppedThreads: this.session?.current == null ? [] : [THREAD_ID],
        richRendering: true, exceptionPaths: [], copyToGlobals: true,
      })],
    ];
  }

  private sourceCommands(): [string, Command][] {
    return [
      ["dumpCell", (args) => ({ sourcePath: this.parts.cells.dump(stringField(args, "code")) })],
      ["setBreakpoints", async (args) => {
        const requests = Array.isArray(args.breakpoints) ? args.breakpoints.filter(isJsonObject).map(breakpointRequest) : [];
        return { breakpoints: await this.started().breakpoints.set(stringField(objectField(args, "source"), "path"), requests) };
      }],
      ["setExceptionBreakpoints", async (args) => {
        const filters: unknown[] = Array.isArray(args.filters) ? args.filters : [];
        await this.started().filterExceptions({ caught: filters.includes("caught"), uncaught: filters.includes("uncaught") });
        return undefined;
      }],
      ["source", async (args) => {
        const path = stringField(objectField(args, "source"), "path");
        const content = this.parts.cells.textOf(path) ?? await this.session?.sourceText(path);
        if (content === undefined || content === null) throw new DebugRequestError({
          code: "E_DEBUG_SOURCE", what: `There is no source ${path}`, why: "no cell and no loaded file has this path", fix: "use a path from a stack frame",
        });
        return { content, mimeType: /\.[mc]?tsx?$/.test(path) ? "text/typescript" : "text/javascript" };
      }],
      ["modules", (args) => {
        const files = this.session?.scripts.files() ?? [];
        const start = numberField(args, "startModule", 0);
        const count = numberField(args, "moduleCount", 0);
        const modules = files.map(({ id, name, path }) => ({ id, name, path })).slice(start, count > 0 ? start + count : undefined);
        return { modules, totalModules: files.length };
      }],
    ];
  }

  private runCommands(): [string, Command][] {
    const step = (kind: Step): Command => async () => {
      this.started().stopped();
      await this.started().execution.step(kind);
      return undefined;
    };
    return [
      ["threads", () => ({ threads: [{ id: THREAD_ID, name: "Main thread" }] })],
      ["continue", () => {
        this.started().stopped();
        this.started().execution.resume();
        return { allThreadsContinued: true };
      }],
      ["next", step("stepOver")], ["stepIn", step("stepInto")], ["stepOut", step("stepOut")],
      ["pause", async () => {
        await this.started().pause(this.parts.isCellRunning());
        return undefined;
      }],
      ["stackTrace", (args) => {
        const { frames } = this.started().stopped();
        const start = numberField(args, "startFrame", 0);
        const levels = numberField(args, "levels", 0);
        return { stackFrames: frames.slice(start, levels > 0 ? start + levels : undefined).map(({ shown }) => shown), totalFrames: frames.length };
      }],
      ["scopes", (args) => {
        const session = this.started();
        return { scopes: session.scopes(session.frame(numberField(args, "frameId", 0))) };
      }],
      ["exceptionInfo", () => {
        const { exception } = this.started().stopped();
        const stack = exception?.description ?? String(exception?.value);
        return { exceptionId: exception?.className ?? typeof exception?.value, description: stack.split("\n", 1)[0], breakMode: "always", details: { stackTrace: stack } };
      }],
    ];
  }

  private valueCommands(): [string, Command][] {
    return [
      ["variables", async (args) => ({
        variables: await this.open().variables.list(numberField(args, "variablesReference", 0), numberField(args, "start", 0), numberField(args, "count", 0)),
      })],
      ["inspectVariables", async () => {
        const session = this.open();
        if (session.current === null) session.forget();
        return { variables: await session.variables.list(session.variables.globalsReference()) };
      }],
      ["richInspectVariables", async (args) => {
        const name = stringField(args, "variableName");
        if (!VARIABLE_PATH.test(name)) return { data: {}, metadata: {} };
        const session = this.open();
        return session.evaluation.bundle(name, this.frameOf(args)?.call ?? null, session.current !== null);
      }],
      ["evaluate", async (args) => {
        const frame = this.frameOf(args);
        if (frame === null && this.open().current === null && this.parts.isCellRunning()) throw new DebugRequestError({
          code: "E_DEBUG_RUNNING", what: "Nothing can be evaluated now", why: "a cell is running", fix: "wait for it or ask for a pause",
        });
        const isHover = stringField(args, "context") === "hover";
        const value = await this.open().evaluation.evaluate(stringField(args, "expression"), frame?.call ?? null, isHover);
        const variable = this.open().variables.describe("", value, stringField(args, "expression"));
        return { result: variable.value, ...partsOf(variable) };
      }],
      ["setVariable", (args) => this.setVariable(args)],
      ["copyToGlobals", async (args) => {
        const source = stringField(args, "srcVariableName");
        const target = stringField(args, "dstVariableName");
        if (!IDENTIFIER.test(source) || !IDENTIFIER.test(target)) throw notAName(`${source}, ${target}`);
        const { call } = this.started().frame(numberField(args, "srcFrameId", 0));
        await this.started().evaluation.evaluate(`globalThis.${target} = ${source}`, call);
        return undefined;
      }],
    ];
  }

  private async setVariable(args: JsonObject): Promise<object> {
    const session = this.started();
    const reference = numberField(args, "variablesReference", 0);
    const name = stringField(args, "name");
    const { call } = session.frameOfScope(reference);
    let value = await session.evaluation.evaluate(stringField(args, "value"), call);
    if (!await session.variables.setProperty(reference, name, argumentOf(value))) {
      if (!IDENTIFIER.test(name)) throw notAName(name);
      value = await session.evaluation.evaluate(`${name} = (${stringField(args, "value")})`, call);
    }
    const variable = session.variables.describe(name, value, name);
    return { value: variable.value, ...partsOf(variable) };
  }

  /** The frame of a request; null where it names none: then the global scope is meant. */
  private frameOf(args: JsonObject): Frame | null {
    return typeof args.frameId === "number" ? this.open().frame(args.frameId) : null;
  }

  /** The session, opened when there is none: variables can be looked at without a debugger. */
  private open(): DebugSession {
    this.session ??= new DebugSession(this.parts.cells, this.parts.kernelUrl, {
      stopped: (stop) => { this.stopped(stop); },
      continued: () => { this.continued(); },
    });
    return this.session;
  }

  private started(): DebugSession {
    if (!this.isStarted) throw new DebugRequestError({
      code: "E_DEBUG_NOT_STARTED", what: "The debugger is not started", why: "it slows code down, so it runs only on demand", fix: "send initialize and attach first",
    });
    return this.open();
  }

  private stopped({ reason, exception, breakpoints }: Stop): void {
    const ids = breakpoints.flatMap((name) => this.session?.breakpoints.idOf(name) ?? []);
    this.event("stopped", {
      reason, threadId: THREAD_ID, allThreadsStopped: true, ...(ids.length === 0 ? {} : { hitBreakpointIds: ids }),
      ...(reason === "exception" ? { text: exception?.description?.split("\n", 1)[0] ?? String(exception?.value) } : {}),
    });
  }

  private continued(): void {
    this.event("continued", { threadId: THREAD_ID, allThreadsContinued: true });
  }

  private event(event: string, body: object = {}): void {
    this.parts.publish({ seq: ++this.lastSeq, type: "event", event, body });
  }
}

function breakpointRequest(content: JsonObject): BreakpointRequest {
  const condition = stringField(content, "condition");
  const logMessage = stringField(content, "logMessage");
  return { line: numberField(content, "line", 1), ...(condition === "" ? {} : { condition }), ...(logMessage === "" ? {} : { logMessage }) };
}

/** What evaluate and setVariable tell of a value. */
function partsOf({ type, variablesReference, indexedVariables }: Variable): object {
  return { variablesReference, ...(type === undefined ? {} : { type }), ...(indexedVariables === undefined ? {} : { indexedVariables }) };
}

function notAName(name: string): DebugRequestError {
  return new DebugRequestError({
    code: "E_DEBUG_NAME", what: `${name} is not a name`, why: "only variables can be set and copied", fix: "evaluate an expression instead",
  });
}
