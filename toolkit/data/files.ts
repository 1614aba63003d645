import { existsSync, readdirSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { DataError } from "../errors.ts";

/** The files that paths and patterns name, each once: pattern after pattern, within one sorted by code units of
 *  their names, so that the order is the same everywhere. Patterns know `*`, `**`, `?` and `{a,b}`; `*` and `**`
 *  leave out names that begin with a dot, and `**` doesn't follow links to folders.
 *  @throws DataError E_DATA_MISSING for a path or a pattern that names no file */
export function findFiles(patterns: string | readonly string[]): string[] {
  const found = new Set<string>();
  for (const pattern of typeof patterns === "string" ? [patterns] : patterns) {
    const files = existsSync(pattern) ? [pattern] : expandBraces(pattern).flatMap(filesOf);
    if (files.length === 0) {
      throw new DataError({ code: "E_DATA_MISSING", what: `no file is named by ${pattern}`, why: "paths are taken from the folder the process runs in",
        fix: `check the path; the folder is ${process.cwd()}` });
    }
    for (const file of [...new Set(files)].sort()) found.add(file);
  }
  return [...found];
}

/** Most patterns that the braces of one may make. */
const maxExpansions = 10_000;

function expandBraces(pattern: string): string[] {
  const open = [pattern], expanded: string[] = [];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const braces = /\{([^{}]*,[^{}]*)\}/.exec(next);
    if (!braces) expanded.push(next);
    else for (const choice of braces[1].split(",")) open.push(next.slice(0, braces.index) + choice + next.slice(braces.index + braces[0].length));
    if (open.length + expanded.length > maxExpansions) {
      throw new DataError({ code: "E_DATA_PATTERN", what: `${pattern} stands for more than ${maxExpansions} patterns`, why: "its braces multiply", fix: "use * in place of some of them" });
    }
  }
  return expanded;
}

function filesOf(pattern: string): string[] {
  if (!/[*?]/.test(pattern)) return existsSync(pattern) ? [pattern] : [];
  const parts = pattern.split(sep === "\\" ? /[/\\]/ : "/");
  const isAbsolute = parts[0] === "";
  return walk(isAbsolute ? "/" : "", isAbsolute ? parts.slice(1) : parts);
}

/** Files below a folder ("" is the one the process runs in) that match the parts of a path. */
function walk(folder: string, [part, ...rest]: readonly string[]): string[] {
  if (part === "**") {
    const here = rest.length === 0 ? walk(folder, ["*"]) : walk(folder, rest);
    const below = entries(folder).filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
    return [...here, ...below.flatMap((entry) => walk(join(folder, entry.name), [part, ...rest]))];
  }
  if (!/[*?]/.test(part)) {
    const path = join(folder, part);
    return rest.length > 0 ? walk(path, rest) : isFile(path) ? [path] : [];
  }
  const pattern = new RegExp(`^${part.replace(/[\\^$+.()|[\]{}]/g, "\\$&").replace(/\*+/g, ".*").replaceAll("?", ".")}$`, "su");
  const matches = entries(folder).filter(({ name }) => pattern.test(name) && (part.startsWith(".") || !name.startsWith("."))).map(({ name }) => join(folder, name));
  return rest.length > 0 ? matches.flatMap((path) => walk(path, rest)) : matches.filter(isFile);
}

function entries(folder: string) {
  try {
    return readdirSync(folder === "" ? "." : folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
    throw new DataError({ code: "E_DATA_UNREADABLE", what: `${folder} can't be searched`, why: String(error), fix: "name files that may be read", cause: error });
  }
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
