import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { murmur2 } from "./murmur2.ts";
import { PositionMap } from "./positionMap.ts";
import type { Position } from "./positionMap.ts";

/** How front ends name a cell's source: prefix, hash of its text, suffix. */
export const HASH_METHOD = "Murmur2";
export const HASH_SEED = 0xc70f6907;
export const SOURCE_SUFFIX = ".ts";

/** So many executions are remembered; code of older ones shows as JavaScript. */
const MAX_CELLS = 10_000;
/** And so many characters of their texts and maps. */
const MAX_CHARACTERS = 1 << 26;
/** So many texts that a front end has dumped and not run. */
const MAX_DUMPED = 1000;

/** One execution of a cell. */
export interface CellSource {
  /** Name of its script, e.g. "cell-7.ts"; each execution has its own. */
  readonly name: string;
  readonly code: string;
  readonly sourceMap: string;
  /** Lines of the mapped file before the cell's first. */
  readonly lineOffset: number;
  readonly declaredNames: readonly string[];
}

/** The texts of cells, by the path that front ends use for them, and the scripts compiled from each.
 *  Kept without a debugger too: who attaches later wants to stop in functions of earlier cells. */
export class CellSources {
  /** Only a name: no file is written. */
  readonly prefix = join(tmpdir(), `moe-lab-kernel-${process.pid}`) + sep;
  private readonly cells = new Map<string, CellSource>();
  private readonly dumped = new Map<string, string>();
  private readonly paths = new WeakMap<CellSource, string>();
  private readonly maps = new WeakMap<CellSource, PositionMap>();
  private readonly names = new Set<string>();
  private characters = 0;

  add(cell: CellSource): void {
    this.cells.set(cell.name, cell);
    this.characters += sizeOf(cell);
    for (const name of cell.declaredNames) this.names.add(name);
    for (const [name, oldest] of this.cells) {
      if (this.cells.size <= MAX_CELLS && this.characters <= MAX_CHARACTERS) break;
      this.cells.delete(name);
      this.characters -= sizeOf(oldest);
    }
  }

  /** Remembers a text that the front end is going to set breakpoints in.
   *  @returns its path */
  dump(code: string): string {
    const path = this.pathOfText(code);
    this.dumped.delete(path);
    this.dumped.set(path, code);
    const [oldest] = this.dumped.keys();
    if (this.dumped.size > MAX_DUMPED && oldest !== undefined) this.dumped.delete(oldest);
    return path;
  }

  /** Names that cells have declared. */
  get declaredNames(): readonly string[] {
    return [...this.names];
  }

  get(name: string): CellSource | undefined {
    return this.cells.get(name);
  }

  /** The text behind a path, or null when no cell had it. */
  textOf(path: string): string | null {
    return this.dumped.get(path) ?? this.executionsOf(path)[0]?.code ?? null;
  }

  executionsOf(path: string): CellSource[] {
    return path.startsWith(this.prefix) ? [...this.cells.values()].filter((cell) => this.pathOf(cell) === path) : [];
  }

  pathOf(cell: CellSource): string {
    const path = this.paths.get(cell) ?? this.pathOfText(cell.code);
    this.paths.set(cell, path);
    return path;
  }

  /** The place in the cell for one in its script; null for code that the compiler added. */
  original(cell: CellSource, generated: Position): Position | null {
    const position = this.mapOf(cell).original(generated);
    return position === null || position.line < cell.lineOffset ? null : { line: position.line - cell.lineOffset, column: position.column };
  }

  /** The place in a cell's script for one in the cell. */
  generated(cell: CellSource, original: Position): Position | null {
    return this.mapOf(cell).generated({ line: original.line + cell.lineOffset, column: original.column });
  }

  private mapOf(cell: CellSource): PositionMap {
    const map = this.maps.get(cell) ?? PositionMap.parse(cell.sourceMap);
    this.maps.set(cell, map);
    return map;
  }

  private pathOfText(code: string): string {
    return `${this.prefix}${murmur2(code, HASH_SEED)}${SOURCE_SUFFIX}`;
  }
}

function sizeOf({ code, sourceMap }: CellSource): number {
  return code.length + sourceMap.length;
}
