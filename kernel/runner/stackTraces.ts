import { findSourceMap, SourceMap } from "node:module";
import { excerpt } from "./excerpt.ts";

interface CellSource { readonly map: SourceMap; readonly lineOffset: number; readonly lines: readonly string[] }
interface Position { readonly source: string; readonly line: number; readonly column: number }

/** Local modules are loaded under a URL with this query; see moduleHooks.ts. */
const VERSION_QUERY = /\?moe-lab=[0-9a-f]+/;
/** Enough to see through a few library layers; V8's default of 10 often ends before the cell. */
const STACK_TRACE_LIMIT = 50;

/** Puts cell and TypeScript positions into error.stack: what runs is JavaScript, what the user wrote is not. */
export class StackTraces {
  private readonly cells = new Map<string, CellSource>();
  private readonly kernelUrl: string;

  /** @param kernelUrl URL of the kernel's own folder; its frames say nothing to a notebook's author */
  constructor(kernelUrl: string) {
    this.kernelUrl = kernelUrl;
  }

  /** @param sourceMap JSON with the cell's text in it
   *  @param lineOffset lines of that text before the user's first */
  addCell(cellName: string, sourceMap: string, lineOffset: number): void {
    const payload = JSON.parse(sourceMap) as ConstructorParameters<typeof SourceMap>[0];
    const lines = (payload.sourcesContent[0] ?? "").split("\n").slice(lineOffset);
    this.cells.set(cellName, { map: new SourceMap(payload), lineOffset, lines });
  }

  /** Makes V8 build every error.stack with the positions the user knows. */
  install(): void {
    Error.stackTraceLimit = STACK_TRACE_LIMIT;
    Error.prepareStackTrace = (error, sites) => {
      const headline = Error.prototype.toString.call(error);
      return `${headline}${this.ofUser(sites).map((site) => `\n    at ${this.describe(site)}`).join("")}`;
    };
  }

  /** The first place in a cell that a stack names, quoted with its line; null when there is none. */
  quote(stack: string): string | null {
    const found = /\b([\w-]+\.ts):(\d+):(\d+)/.exec(stack);
    if (found === null) return null;
    const [, cellName = "", line = "1", column = "1"] = found;
    const text = this.cells.get(cellName)?.lines[Number(line) - 1];
    return text === undefined ? null : excerpt(text, Number(line), Number(column), 1);
  }

  /** The position in the cell for one in its JavaScript, both counted from 1. */
  cellPosition(cellName: string, line: number, column: number): Position | null {
    const cell = this.cells.get(cellName);
    if (cell === undefined) return null;
    const entry = cell.map.findEntry(line - 1, column - 1);
    if (!("originalLine" in entry)) return null;
    return { source: cellName, line: entry.originalLine + 1 - cell.lineOffset, column: entry.originalColumn + 1 };
  }

  /** Cells are called by the kernel, so a stack with cell frames ends before the kernel's. */
  private ofUser(sites: readonly NodeJS.CallSite[]): readonly NodeJS.CallSite[] {
    const isInternal = (site: NodeJS.CallSite): boolean => site.getFileName()?.startsWith("node:") ?? false;
    const isKernel = (site: NodeJS.CallSite): boolean => site.getFileName()?.startsWith(this.kernelUrl) ?? false;
    // An error may be thrown by the kernel on behalf of the cell, e.g. by an import.
    const outside = sites.slice(Math.max(0, sites.findIndex((site) => !isKernel(site))));
    const end = outside.findIndex(isKernel);
    const kept = end < 0 ? outside : outside.slice(0, end);
    const last = kept.findLastIndex((site) => !isInternal(site));
    return last < 0 ? sites : kept.slice(0, last + 1);
  }

  private describe(site: NodeJS.CallSite): string {
    // V8's call sites print themselves; the typings leave that out.
    const text = (site as { toString: () => string }).toString();
    const source = site.getScriptNameOrSourceURL();
    const line = site.getLineNumber();
    const column = site.getColumnNumber();
    if (source === null || line === null || column === null) return text;
    const position = this.cellPosition(source, line, column) ?? modulePosition(source, line, column);
    return position === null ? text : text.replace(`${source}:${line}:${column}`, `${position.source}:${position.line}:${position.column}`);
  }
}

function modulePosition(source: string, line: number, column: number): Position | null {
  if (!VERSION_QUERY.test(source)) return null;
  const shown = source.replace(VERSION_QUERY, "");
  const entry = findSourceMap(source)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !("originalLine" in entry)) return { source: shown, line, column };
  return { source: shown, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}
