import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { pause, runCell } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

/** A hang limit, in ms. */
const EVENT_TIMEOUT_MS = 10_000;

export interface ShownVariable { readonly name: string; readonly value: string; readonly type?: string; readonly variablesReference: number; readonly evaluateName: string }
export interface ShownFrame { readonly id: number; readonly name: string; readonly line: number; readonly column: number; readonly source: { readonly path: string; readonly name: string } }
interface ShownScope { readonly name: string; readonly variablesReference: number }
interface ShownBreakpoint { readonly id: number; readonly verified: boolean; readonly line: number }

/** Drives the kernel's debugger over the wire as a front end does: requests on control, events on iopub. */
export class DebugClient {
  readonly client: KernelClient;
  readonly events: JsonObject[] = [];
  private seq = 0;
  private seen = 0;

  constructor(client: KernelClient) {
    this.client = client;
    client.onStrayMessage = (message) => { this.note(message); };
  }

  /** The whole reply. */
  async ask(command: string, args: JsonObject = {}): Promise<JsonObject> {
    const content = { type: "request", seq: ++this.seq, command, arguments: args };
    const reply = await this.client.request("control", "debug_request", content, { onMessage: (message) => { this.note(message); } });
    return reply.content;
  }

  /** The body of a reply that must be a success. */
  async do<Body = JsonObject>(command: string, args: JsonObject = {}): Promise<Body> {
    const reply = await this.ask(command, args);
    if (reply.success !== true) throw new Error(`${command} failed: ${String(reply.message)}`);
    return reply.body as Body;
  }

  async start(): Promise<JsonObject> {
    const capabilities = await this.do("initialize", {
      clientID: "test", adapterID: "", pathFormat: "path", linesStartAt1: true, columnsStartAt1: true, supportsVariableType: true, supportsVariablePaging: true,
    });
    await this.do("attach");
    return capabilities;
  }

  async stop(): Promise<void> {
    await this.do("disconnect", { restart: false, terminateDebuggee: false });
  }

  /** Leaves nothing to the next test, also when one has failed at a stop. */
  async clear(): Promise<void> {
    const { breakpoints, stoppedThreads } = await this.do<{ breakpoints: { source: string }[]; stoppedThreads: number[] }>("debugInfo");
    for (const { source } of breakpoints) await this.breakInFile(source);
    await this.do("setExceptionBreakpoints", { filters: [] });
    if (stoppedThreads.length > 0) await this.client.interrupt();
    this.seen = this.events.length;
  }

  /** Sets breakpoints in a cell's text.
   *  @returns the lines they were given */
  async breakAt(code: string, ...lines: (number | JsonObject)[]): Promise<number[]> {
    const { sourcePath } = await this.do<{ sourcePath: string }>("dumpCell", { code });
    return (await this.breakInFile(sourcePath, ...lines)).map(({ line }) => line);
  }

  async breakInFile(path: string, ...lines: (number | JsonObject)[]): Promise<ShownBreakpoint[]> {
    const breakpoints = lines.map((line) => (typeof line === "number" ? { line } : line));
    return (await this.do<{ breakpoints: ShownBreakpoint[] }>("setBreakpoints", { source: { path }, breakpoints, sourceModified: false })).breakpoints;
  }

  /** Runs a cell; its report may wait for the debugger. */
  run(code: string): Promise<CellReport> {
    return runCell(this.client, code, { onMessage: (message) => { this.note(message); } });
  }

  /** The body of the next event of a kind, after those that were waited for before. */
  async next(event: string): Promise<JsonObject> {
    for (const deadline = Date.now() + EVENT_TIMEOUT_MS; Date.now() < deadline; await pause(5)) {
      const index = this.events.findIndex((candidate, position) => position >= this.seen && candidate.event === event);
      if (index < 0) continue;
      this.seen = index + 1;
      return this.events[index]?.body as JsonObject;
    }
    throw new Error(`no ${event} event came, only ${JSON.stringify(this.events.slice(this.seen))}`);
  }

  /** Waits for the main thread to stand.
   *  @returns why and where: `reason name:line` */
  async stopped(): Promise<string> {
    const { reason } = await this.next("stopped");
    const [top] = await this.frames();
    return `${String(reason)} ${top?.name ?? "nowhere"}:${top?.line ?? 0}`;
  }

  /** Takes a step and waits for its end. */
  async step(command: "next" | "stepIn" | "stepOut" | "continue"): Promise<string> {
    await this.do(command, { threadId: 1 });
    return this.stopped();
  }

  async frames(): Promise<ShownFrame[]> {
    return (await this.do<{ stackFrames: ShownFrame[] }>("stackTrace", { threadId: 1 })).stackFrames;
  }

  async scopes(frameId?: number): Promise<ShownScope[]> {
    const id = frameId ?? (await this.frames())[0]?.id;
    return (await this.do<{ scopes: ShownScope[] }>("scopes", { frameId: id })).scopes;
  }

  async variables(variablesReference: number, extra: JsonObject = {}): Promise<ShownVariable[]> {
    return (await this.do<{ variables: ShownVariable[] }>("variables", { variablesReference, ...extra })).variables;
  }

  /** The variables of a scope of the innermost frame, as name and value. */
  async scope(name: string): Promise<Record<string, string>> {
    const scope = (await this.scopes()).find((candidate) => candidate.name === name);
    if (scope === undefined) throw new Error(`there is no scope ${name}`);
    return valuesOf(await this.variables(scope.variablesReference));
  }

  private note({ header, content }: Message): void {
    if (header.msg_type === "debug_event") this.events.push(content);
  }
}

export function valuesOf(variables: readonly ShownVariable[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}
