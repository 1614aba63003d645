import { readFileSync } from "node:fs";
import { findSourceMap, SourceMap } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { excerpt } from "./excerpt.ts";
import { Error, JSON, Math, Number } from "./intrinsics.ts";
import { statsOf } from "./localPaths.ts";
import { RUNTIME_NAME } from "./runtimeName.ts";

interface CellSource { readonly map: SourceMap; readonly lineOffset: number; readonly lines: readonly string[] }
interface UnreadCell { readonly sourceMap: string; readonly lineOffset: number }
interface Position { readonly source: string; readonly line: number; readonly column: number }

/** Local modules are loaded under a URL with this query; see moduleHooks.ts. */
const VERSION_QUERY = /\?moe-lab=[0-9a-f]+/;
/** V8 names a function without a name after the calls around it, and the last expression stands in the kernel's. */
const RESULT_CALL = new RegExp(`\\b${RUNTIME_NAME}\\.result\\.`);
const TYPESCRIPT_FILE = /\.[mc]?tsx?$/;
/** Enough to see through a few library layers; V8's default of 10 often ends before the cell. */
const STACK_TRACE_LIMIT = 50;
/** No line of a larger file is quoted, in bytes. */
const MAX_QUOTED_FILE = 4 << 20;
/** Line ends as TypeScript counts them. */
const LINE_END = /\r\n|[\n\r\u2028\u2029]/;

/** Puts cell and TypeScript positions into error.stack: what runs is JavaScript, what the user wrote is not. */
export class StackTraces {
  private readonly cells = new Map<string, CellSource | UnreadCell>();
  private readonly kernelUrl: string;

  /** @param kernelUrl URL of the kernel's own folder; its frames say nothing to a notebook's author */
  constructor(kernelUrl: string) {
    this.kernelUrl = kernelUrl;
  }

  /** @param sourceMap JSON with the cell's text in it
   *  @param lineOffset lines of that text before the user's first */
  addCell(cellName: string, sourceMap: string, lineOffset: number): void {
    // Read when an error asks for it, which few cells come to.
    this.cells.set(cellName, { sourceMap, lineOffset });
  }

  private cell(cellName: string): CellSource | null {
    const known = this.cells.get(cellName);
    if (known === undefined) return null;
    if ("map" in known) return known;
    const payload = JSON.parse(known.sourceMap) as ConstructorParameters<typeof SourceMap>[0];
    const lines = (payload.sourcesContent[0] ?? "").split(LINE_END).slice(known.lineOffset);
    const cell = { map: new SourceMap(payload), lineOffset: known.lineOffset, lines };
    this.cells.set(cellName, cell);
    return cell;
  }

  /** Makes V8 build every error.stack with the positions the user knows. */
  install(): void {
    Error.stackTraceLimit = STACK_TRACE_LIMIT;
    Error.prepareStackTrace = (error, sites) => {
      const headline = headlineOf(error);
      return `${headline}${this.ofUser(sites).map((site) => `\n    at ${this.describe(site)}`).join("")}`;
    };
  }

  /** The innermost place of a stack that is in a cell or in a file of the user, quoted with its line; null when there
   *  is none.
   *  @param frames lines like "    at f (cell-7.ts:1:2)" */
  quote(frames: readonly string[]): string | null {
    for (const frame of frames) {
      const [, source = "", line = "1", column = "1"] = /^\s+at (?:.*\()?(?:async )?(.+?):(\d+):(\d+)\)?$/.exec(frame) ?? [];
      const lines = this.cell(source)?.lines ?? fileLines(source);
      const text = lines?.[Number(line) - 1];
      if (text !== undefined) return excerpt(text, Number(line), Number(column), 1);
    }
    return null;
  }

  /** The position in the cell for one in its JavaScript, both counted from 1. */
  cellPosition(cellName: string, line: number, column: number): Position | null {
    const cell = this.cell(cellName);
    if (cell === null) return null;
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
    const text = (site as { toString: () => string }).toString().replace(RESULT_CALL, "");
    const source = site.getScriptNameOrSourceURL();
    const line = site.getLineNumber();
    const column = site.getColumnNumber();
    if (source === null || line === null || column === null) return text;
    const position = this.cellPosition(source, line, column) ?? modulePosition(source, line, column);
    return position === null ? text : text.replace(`${source}:${line}:${column}`, `${position.source}:${position.line}:${position.column}`);
  }
}

/** Local modules are shown as the files they come from, at the positions in them. */
function modulePosition(source: string, line: number, column: number): Position | null {
  const isVersioned = VERSION_QUERY.test(source);
  const map = findSourceMap(source);
  // Packages keep the positions in their JavaScript.
  if (!isVersioned && (map === undefined || !TYPESCRIPT_FILE.test(source))) return null;
  const shown = pathOf(source.replace(VERSION_QUERY, ""));
  const entry = map?.findEntry(line - 1, column - 1);
  if (entry === undefined || !("originalLine" in entry)) return { source: shown, line, column };
  return { source: shown, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

function pathOf(source: string): string {
  return source.startsWith("file:") ? fileURLToPath(source) : source;
}

/** The lines of a file of the user; null for packages, Node.js itself and what is no file. */
function fileLines(source: string): readonly string[] | null {
  const path = pathOf(source);
  if (!isAbsolute(path) || path.includes("/node_modules/")) return null;
  const stats = statsOf(path);
  if (stats?.isFile() !== true || stats.size > MAX_QUOTED_FILE) return null;
  return readFileSync(path, "utf8").split(LINE_END);
}

function headlineOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    // Name and message may have getters that throw.
    return "Error";
  }
}
