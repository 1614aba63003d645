import { fileURLToPath } from "node:url";
import { stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CellSources } from "./cellSources.ts";
import { readSyntax } from "./breakPlaces.ts";
import type { SourceSyntax } from "./breakPlaces.ts";
import type { InspectorConnection } from "./inspectorConnection.ts";
import { PositionMap } from "./positionMap.ts";
import type { Position } from "./positionMap.ts";

/** Whose code a script is. "library": packages. The code of Node.js and of the kernel is not shown to a user. */
export type ScriptOwner = "cell" | "file" | "library" | "node" | "kernel";

/** A script that V8 has compiled. */
export interface Script {
  readonly id: string;
  readonly owner: ScriptOwner;
  /** The path front ends know: of a cell's text, of a file, or what V8 calls it. */
  readonly path: string;
  /** What a stack shows: "cell-7.ts" or the name of the file. */
  readonly name: string;
  readonly sourceMapUrl: string;
}

/** The kernel's import function bears this name in the notebook's folder; see runner/importer.ts. */
const IMPORT_SCRIPT = "/__cell.ts";

/** A place in a script, as V8 gives it. */
export interface ScriptLocation { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number }

const INLINE_MAP = /^data:application\/json[^,]*;base64,/;

/** The scripts of the main thread, and what lies behind each. */
export class Scripts {
  private readonly scripts = new Map<string, Script>();
  private readonly maps = new Map<string, PositionMap | null>();
  private readonly syntaxes = new Map<string, SourceSyntax>();
  private readonly cells: CellSources;
  private readonly kernelUrl: string;

  /** @param kernelUrl URL of the kernel's own folder */
  constructor(cells: CellSources, kernelUrl: string) {
    this.cells = cells;
    this.kernelUrl = kernelUrl;
  }

  /** Takes what Debugger.scriptParsed tells. */
  add(params: JsonObject): Script {
    const id = stringField(params, "scriptId");
    const script = this.identify(id, stringField(params, "url"), stringField(params, "sourceMapURL"));
    this.scripts.set(id, script);
    return script;
  }

  get(id: string): Script | undefined {
    return this.scripts.get(id);
  }

  clear(): void {
    this.scripts.clear();
    this.maps.clear();
    this.syntaxes.clear();
  }

  /** The user's scripts with this path, and those of libraries. */
  withPath(path: string): Script[] {
    return [...this.scripts.values()].filter((script) => script.path === path && isShown(script));
  }

  /** The script that an error's stack calls so: by the name of its cell, its URL or its path. */
  named(name: string): Script | undefined {
    const path = filePath(name);
    return [...this.scripts.values()].findLast((script) => (script.owner === "cell" ? script.name === name : path !== null && script.path === path));
  }

  /** The files that were loaded, each once. */
  files(): Script[] {
    const files = [...this.scripts.values()].filter(({ owner }) => owner === "file" || owner === "library");
    return [...new Map(files.map((script) => [script.path, script])).values()];
  }

  /** Where code of a script came from; null for code that the compiler added. */
  original(script: Script, position: Position): Position | null {
    const cell = script.owner === "cell" ? this.cells.get(script.name) : undefined;
    if (cell !== undefined) return this.cells.original(cell, position);
    const map = this.mapOf(script);
    return map === null ? position : map.original(position);
  }

  /** The place in a file's script for one in the file. */
  generated(script: Script, position: Position): Position | null {
    const map = this.mapOf(script);
    return map === null ? position : map.generated(position);
  }

  /** The text that the user wrote, or what V8 runs where there is no other. */
  async text(script: Script, connection: InspectorConnection): Promise<string> {
    const cell = script.owner === "cell" ? this.cells.get(script.name) : undefined;
    const text = cell?.code ?? this.mapOf(script)?.sourceText;
    if (text !== undefined && text !== null) return text;
    return stringField({ ...await connection.post("Debugger.getScriptSource", { scriptId: script.id }) }, "scriptSource");
  }

  /** Syntax of the text() of a script. */
  async syntax(script: Script, connection: InspectorConnection): Promise<SourceSyntax> {
    const syntax = this.syntaxes.get(script.id) ?? readSyntax(await this.text(script, connection));
    this.syntaxes.set(script.id, syntax);
    return syntax;
  }

  private mapOf(script: Script): PositionMap | null {
    const known = this.maps.get(script.id);
    if (known !== undefined) return known;
    const json = INLINE_MAP.test(script.sourceMapUrl) ? Buffer.from(script.sourceMapUrl.replace(INLINE_MAP, ""), "base64").toString() : null;
    // Maps of packages lead to sources that are mostly not installed; their JavaScript is shown.
    const map = json === null || script.owner !== "file" ? null : PositionMap.parse(json);
    this.maps.set(script.id, map);
    return map;
  }

  private identify(id: string, url: string, sourceMapUrl: string): Script {
    const cell = this.cells.get(url);
    if (cell !== undefined) return { id, owner: "cell", path: this.cells.pathOf(cell), name: cell.name, sourceMapUrl: "" };
    const path = filePath(url);
    if (url.startsWith(this.kernelUrl) || path?.endsWith(IMPORT_SCRIPT) === true) return { id, owner: "kernel", path: url, name: url, sourceMapUrl: "" };
    if (path === null) return { id, owner: "node", path: url, name: url, sourceMapUrl: "" };
    const owner = path.includes("/node_modules/") ? "library" : "file";
    return { id, owner, path, name: path.slice(path.lastIndexOf("/") + 1), sourceMapUrl };
  }
}

/** The file behind a script's URL: ES modules have file URLs, CommonJS modules plain paths. */
function filePath(url: string): string | null {
  if (url.startsWith("/")) return url;
  if (!url.startsWith("file:")) return null;
  const withoutQuery = new URL(url);
  withoutQuery.search = "";
  return fileURLToPath(withoutQuery);
}

/** Whether a user is shown code of a script. */
export function isShown({ owner }: Script): boolean {
  return owner !== "node" && owner !== "kernel";
}

export function positionOf(location: ScriptLocation): Position {
  return { line: location.lineNumber, column: location.columnNumber ?? 0 };
}
