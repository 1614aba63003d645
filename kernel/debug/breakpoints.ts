import { readFileSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { readSyntax } from "./breakPlaces.ts";
import type { CellSource, CellSources } from "./cellSources.ts";
import { debugExpression, logExpression } from "./debugScript.ts";
import { isRefusal } from "./inspectorConnection.ts";
import type { InspectorConnection } from "./inspectorConnection.ts";
import type { Position } from "./positionMap.ts";
import type { Script, Scripts } from "./scripts.ts";

/** What a front end asks for; lines are counted from 1. */
export interface BreakpointRequest { readonly line: number; readonly condition?: string; readonly logMessage?: string }

/** What it is told.
 *  Source: microsoft.github.io/debug-adapter-protocol/specification#Types_Breakpoint */
export interface Breakpoint {
  readonly id: number;
  readonly verified: boolean;
  readonly line: number;
  readonly source: { readonly path: string };
  readonly message?: string;
}

interface SetBreakpoint {
  readonly shown: Breakpoint;
  readonly request: BreakpointRequest;
  /** Where it stops; null as long as nothing is known about the source. */
  readonly place: Position | null;
  /** Another breakpoint of the source stands at the same place. */
  readonly isShadowed: boolean;
  /** JavaScript that decides whether to stop; "" for always. */
  readonly condition: string;
  /** V8's names for it, one for each script that it is in. */
  readonly installed: string[];
}

/** A source with more than this many is not debugged but attacked. */
const MAX_FOR_SOURCE = 1000;

/** A larger file is not read before it is run. */
const MAX_FILE_BYTES = 1 << 24;

/** Breakpoints by source, and their counterparts in every script that was compiled from the source. */
export class Breakpoints {
  private readonly cells: CellSources;
  private readonly scripts: Scripts;
  private readonly bySource = new Map<string, SetBreakpoint[]>();
  /** Null as long as no debugger is attached: breakpoints are noted only. */
  private connection: InspectorConnection | null = null;
  /** V8's name for the stop before each file with a source map. */
  private fileStop: string | null = null;
  private lastId = 0;

  constructor(cells: CellSources, scripts: Scripts) {
    this.cells = cells;
    this.scripts = scripts;
  }

  /** Puts all breakpoints into the scripts there are. */
  async attach(connection: InspectorConnection): Promise<void> {
    this.connection = connection;
    for (const [path, breakpoints] of this.bySource) await this.install(path, breakpoints);
    await this.stopBeforeFiles();
  }

  detach(): void {
    this.connection = null;
    this.fileStop = null;
    this.bySource.clear();
  }

  /** All breakpoints, as a front end sets them. */
  list(): { readonly source: string; readonly breakpoints: readonly BreakpointRequest[] }[] {
    return [...this.bySource].map(([source, breakpoints]) => ({ source, breakpoints: breakpoints.map(({ shown, request }) => ({ ...request, line: shown.line })) }));
  }

  /** The number of the breakpoint that V8 calls so. */
  idOf(installed: string): number | undefined {
    for (const breakpoints of this.bySource.values()) {
      for (const breakpoint of breakpoints) if (breakpoint.installed.includes(installed)) return breakpoint.shown.id;
    }
    return undefined;
  }

  /** Replaces the breakpoints of a source.
   *  @param path what dumpCell returned, or a file */
  async set(path: string, requests: readonly BreakpointRequest[]): Promise<Breakpoint[]> {
    for (const { installed } of this.bySource.get(path) ?? []) await this.remove(installed);
    const text = await this.textOf(path);
    const places = text === null ? null : readSyntax(text).breakPlaces;
    const breakpoints: SetBreakpoint[] = [];
    for (const request of requests.slice(0, MAX_FOR_SOURCE)) breakpoints.push(this.create(path, request, places, breakpoints));
    if (breakpoints.length === 0) this.bySource.delete(path);
    else this.bySource.set(path, breakpoints);
    await this.install(path, breakpoints);
    await this.stopBeforeFiles();
    return breakpoints.map(({ shown }) => shown);
  }

  /** Puts the breakpoints of its source into a cell that is going to be run.
   *  @param stopsAtStart stop at its first line in any case
   *  @returns V8's name for the breakpoint at its first line */
  async prepareCell(cell: CellSource, stopsAtStart: boolean): Promise<string | null> {
    const { connection } = this;
    if (connection === null) return null;
    for (const breakpoint of this.bySource.get(this.cells.pathOf(cell)) ?? []) await this.installInCell(connection, cell, breakpoint);
    const [first] = stopsAtStart ? readSyntax(cell.code).breakPlaces : [];
    const start = first === undefined ? null : this.cells.generated(cell, first);
    return start === null ? null : setByUrl(connection, cell.name, start, "");
  }

  /** Puts breakpoints into a file that has been compiled and not yet run. */
  async prepareFile(script: Script): Promise<void> {
    const { connection } = this;
    if (connection === null) return;
    for (const breakpoint of this.bySource.get(script.path) ?? []) await this.installInFile(connection, script, breakpoint);
  }

  private create(path: string, request: BreakpointRequest, places: readonly Position[] | null, others: readonly SetBreakpoint[]): SetBreakpoint {
    const place = places === null ? null : placeFor(request, places);
    const condition = conditionOf(request);
    const problem = "message" in condition ? condition.message
      : places === null ? "this source has not been run yet"
        : place === null ? "there is no code at or after this line" : null;
    const shown: Breakpoint = {
      id: ++this.lastId, verified: problem === null, line: place === null ? request.line : place.line + 1, source: { path },
      ...(problem === null ? {} : { message: problem }),
    };
    // V8 refuses a second breakpoint at one place; the first line that leads there has its condition.
    const isShadowed = place !== null && others.some((other) => other.place === place);
    return { shown, request, place, isShadowed, condition: "message" in condition ? "false" : condition.javascript, installed: [] };
  }

  private async install(path: string, breakpoints: readonly SetBreakpoint[]): Promise<void> {
    const { connection } = this;
    if (connection === null || breakpoints.length === 0) return;
    const scripts = this.scripts.withPath(path);
    for (const breakpoint of breakpoints) {
      for (const script of scripts) {
        const cell = script.owner === "cell" ? this.cells.get(script.name) : undefined;
        if (cell === undefined) await this.installInFile(connection, script, breakpoint);
        else await this.installInCell(connection, cell, breakpoint);
      }
    }
  }

  /** By the script's name, so that V8 sets it while it compiles the script, before the first line runs. */
  private async installInCell(connection: InspectorConnection, cell: CellSource, breakpoint: SetBreakpoint): Promise<void> {
    const place = breakpoint.place ?? placeFor(breakpoint.request, readSyntax(cell.code).breakPlaces);
    const generated = place === null ? null : this.cells.generated(cell, place);
    if (generated === null) return;
    await install(breakpoint, () => setByUrl(connection, cell.name, generated, breakpoint.condition));
  }

  private async installInFile(connection: InspectorConnection, script: Script, breakpoint: SetBreakpoint): Promise<void> {
    // A file that was not there when the breakpoint was set has no place yet.
    const place = breakpoint.place ?? placeFor(breakpoint.request, (await this.scripts.syntax(script, connection)).breakPlaces);
    const generated = place === null ? null : this.scripts.generated(script, place);
    if (generated === null) return;
    const location = { scriptId: script.id, lineNumber: generated.line, columnNumber: generated.column };
    await install(breakpoint, async () =>
      (await connection.post<{ readonly breakpointId: string }>("Debugger.setBreakpoint", { location, condition: breakpoint.condition })).breakpointId);
  }

  private async remove(installed: readonly string[]): Promise<void> {
    for (const breakpointId of installed) await this.connection?.post("Debugger.removeBreakpoint", { breakpointId });
  }

  /** A TypeScript file has its map from the compiler, so its breakpoints can be placed only when it is loaded: the main
   *  thread stops before it runs such a file, as long as there are breakpoints in files. */
  private async stopBeforeFiles(): Promise<void> {
    const { connection, fileStop } = this;
    if (connection === null) return;
    const isWanted = [...this.bySource.keys()].some((path) => !path.startsWith(this.cells.prefix));
    if (isWanted && fileStop === null) {
      const parameters = { instrumentation: "beforeScriptExecution" };
      this.fileStop = (await connection.post<{ readonly breakpointId: string }>("Debugger.setInstrumentationBreakpoint", parameters)).breakpointId;
    } else if (!isWanted && fileStop !== null) {
      this.fileStop = null;
      await this.remove([fileStop]);
    }
  }

  private async textOf(path: string): Promise<string | null> {
    const text = this.cells.textOf(path);
    const [script] = this.scripts.withPath(path);
    if (text !== null) return text;
    if (script !== undefined && this.connection !== null) return this.scripts.text(script, this.connection);
    const isFile = isAbsolute(path) && /\.[mc]?[jt]sx?$/.test(path) && (statSync(path, { throwIfNoEntry: false })?.size ?? Infinity) <= MAX_FILE_BYTES;
    return isFile ? readFileSync(path, "utf8") : null;
  }
}

async function install({ installed, isShadowed }: SetBreakpoint, set: () => Promise<string>): Promise<void> {
  if (isShadowed) return;
  try {
    installed.push(await set());
  } catch (error) {
    // V8 finds no code there, or a condition that does not parse: the cell runs without this breakpoint.
    if (!isRefusal(error)) throw error;
  }
}

/** The first place to stop at or after the wanted line. */
function placeFor({ line: wanted }: BreakpointRequest, places: readonly Position[]): Position | null {
  return places.find(({ line }) => line >= wanted - 1) ?? null;
}

async function setByUrl(connection: InspectorConnection, url: string, { line, column }: Position, condition: string): Promise<string> {
  const parameters = { url, lineNumber: line, columnNumber: column, condition };
  const { breakpointId } = await connection.post<{ readonly breakpointId: string }>("Debugger.setBreakpointByUrl", parameters);
  return breakpointId;
}

function conditionOf({ condition = "", logMessage = "" }: BreakpointRequest): { readonly javascript: string } | { readonly message: string } {
  const wanted = condition === "" ? null : debugExpression(condition);
  if (wanted !== null && "message" in wanted) return wanted;
  const log = logMessage === "" ? null : logExpression(logMessage);
  if (log !== null && "message" in log) return log;
  const parts = [wanted, log].flatMap((part) => (part === null ? [] : [part.javascript]));
  return { javascript: parts.join(" && ") };
}
