/** What the documentation comments at the start of a cell ask for, as tslab reads them.
 *  Source: metadata.ts of tslab 1.0.22 */
export interface CellTags {
  /** `@module name`: the cell is not run; it is the local module "./name". */
  readonly module: string | null;
  /** `@jsx`: the module has JSX. */
  readonly hasJsx: boolean;
  /** `@browser`: the cell is meant for another place and is not run. */
  readonly isForBrowser: boolean;
}

const LEADING_COMMENTS = /^(?:\s+|\/\/[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*/;

/** Reads the tags of the comments before a cell's first statement. */
export function cellTags(code: string): CellTags {
  const comments = LEADING_COMMENTS.exec(code)?.[0].match(/\/\*\*[^]*?\*\//g) ?? [];
  const has = (tag: string): boolean => comments.some((text) => new RegExp(`^[\\s/*]*@${tag}\\b`, "m").test(text));
  const module = comments.map((text) => /^[\s/*]*@module[ \t]+(\w+)[ \t]*(?:\*\/)?$/m.exec(text)?.[1]).find((name) => name !== undefined);
  return { module: module ?? null, hasJsx: has("jsx"), isForBrowser: has("browser") };
}
