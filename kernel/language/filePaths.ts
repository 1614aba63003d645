import { homedir } from "node:os";
import { resolve } from "node:path";
import { list } from "./listing.ts";

/** Texts that may stand in a string, from `start` UTF-16 units into what was typed of it. */
export interface PathCompletions { readonly start: number; readonly texts: readonly string[] }

/** Files and folders that a path may go on with; folders end in "/".
 *  @param folder where relative paths start: the notebook's folder
 *  @param typed the string up to the cursor */
export function filePaths(folder: string, typed: string): PathCompletions {
  const start = typed.lastIndexOf("/") + 1;
  if (typed === "~") return { start: 0, texts: ["~/"] };
  // A URL is no path.
  if (/^\w{2,}:\/\//.test(typed)) return { start, texts: [] };
  const name = typed.slice(start);
  const texts = list(absoluteFolder(folder, typed.slice(0, start)), name.startsWith("."))
    .map((entry) => (entry.isFolder ? `${entry.name}/` : entry.name));
  const parents = name === "." || name === ".." ? ["./", "../"] : [];
  return { start, texts: [...parents, ...texts].filter((text) => text.startsWith(name)) };
}

function absoluteFolder(folder: string, typed: string): string {
  return typed.startsWith("~/") ? resolve(homedir(), typed.slice(2)) : resolve(folder, typed);
}
