import { existsSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, resolve } from "node:path";
import { meansOwnPackage, ownFolder, ownNames, OWN_FILE, readManifest, upwards } from "../ownPackage.ts";
import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { filePaths } from "./filePaths.ts";
import type { PathCompletions } from "./filePaths.ts";
import { list } from "./listing.ts";

/** Files that can be imported; declarations can't. */
const MODULE_FILE = /(?<!\.d)\.([mc]?[jt]sx?|json|node)$/;
/** Endings that an import may leave out; see runner/moduleHooks.ts. */
const OPTIONAL_ENDING = /(?<!\.d)\.[jt]s$/;
/** How deep the files of a subpath pattern such as "./*" are listed. */
const MAX_PATTERN_DEPTH = 3;

interface Package { readonly folder: string; readonly manifest: JsonObject }

/** What may stand in the string of an import: packages installed near the notebook, their subpaths, modules of Node.js,
 *  and the user's own files with and without their ending.
 *  @param folder the notebook's folder
 *  @param typed the string up to the cursor */
export function modulePaths(folder: string, typed: string): PathCompletions {
  if (/^\.{0,2}\/|^\.{1,2}$/.test(typed)) return localModules(folder, typed);
  const [, name, subpath] = /^(@[^/]+\/[^/]+|[^@/][^/]*)\/(.*)$/.exec(typed) ?? [];
  const own = nearestPackage(folder);
  const found = name === undefined || subpath === undefined || typed.startsWith("node:")
    ? [...namesOf(own), ...packageNames(folder, own), ...kernelPackages(folder), ...builtInNames()]
    : [...subpathNames(installedPackage(folder, own, name), name), ...builtInNames()];
  return { start: 0, texts: found.filter((text) => text.startsWith(typed)) };
}

function localModules(folder: string, typed: string): PathCompletions {
  const { start, texts } = filePaths(folder, typed);
  const modules = texts.filter((text) => text.endsWith("/") || MODULE_FILE.test(text));
  return { start, texts: modules.flatMap((text) => (OPTIONAL_ENDING.test(text) ? [text, text.replace(OPTIONAL_ENDING, "")] : [text])) };
}

function builtInNames(): string[] {
  const names = builtinModules.filter((name) => !name.startsWith("_")).map((name) => name.replace(/^node:/, ""));
  return [...names.map((name) => `node:${name}`), ...names];
}

/** The package that the notebook is in: it can be imported by its own name. */
function nearestPackage(folder: string): Package | null {
  for (const at of upwards(folder)) {
    const manifest = readManifest(at);
    if (manifest !== null) return { folder: at, manifest };
  }
  return null;
}

function namesOf(own: Package | null): string[] {
  if (own === null) return [];
  const name = stringField(own.manifest, "name");
  const imports = Object.keys(objectField(own.manifest, "imports")).filter((key) => !key.includes("*"));
  return "exports" in own.manifest && name !== "" ? [name, ...imports] : imports;
}

/** Installed packages; those that the notebook's own package asks for come first. */
function packageNames(folder: string, own: Package | null): string[] {
  const installed = new Set<string>();
  for (const at of upwards(folder)) {
    const modules = join(at, "node_modules");
    for (const { name, isFolder } of list(modules)) {
      if (!isFolder || name === "@types") continue;
      if (!name.startsWith("@")) installed.add(name);
      else for (const scoped of list(join(modules, name))) installed.add(`${name}/${scoped.name}`);
    }
  }
  const wanted = own === null ? [] : ["dependencies", "devDependencies", "peerDependencies"].flatMap((kind) => Object.keys(objectField(own.manifest, kind)));
  return [...wanted.filter((name) => installed.delete(name)), ...installed];
}

function installedPackage(folder: string, own: Package | null, name: string): Package | null {
  if (own !== null && stringField(own.manifest, "name") === name && "exports" in own.manifest) return own;
  for (const at of upwards(folder)) {
    const packageFolder = join(at, "node_modules", name);
    const manifest = existsSync(packageFolder) ? readManifest(packageFolder) : null;
    if (manifest !== null) return { folder: packageFolder, manifest };
  }
  return meansOwnPackage(name, join(folder, "__cell.ts")) ? installedPackage(dirname(OWN_FILE), nearestPackage(ownFolder()), name) : null;
}

/** The kernel's own package and those that it depends on, where the notebook has none of that name. */
function kernelPackages(folder: string): string[] {
  return [...ownNames()].filter((name) => !name.startsWith("@types/") && meansOwnPackage(name, join(folder, "__cell.ts")));
}

function subpathNames(found: Package | null, name: string): string[] {
  if (found === null) return [];
  const { exports } = found.manifest;
  const subpaths = exports === undefined ? packageFiles(found.folder, "", MAX_PATTERN_DEPTH).filter((path) => MODULE_FILE.test(path))
    : isJsonObject(exports) ? Object.entries(exports).flatMap(([key, target]) => exportedPaths(found.folder, key, target)) : [];
  return subpaths.map((path) => `${name}/${path}`);
}

/** Source: nodejs.org/api/packages.html#subpath-patterns */
function exportedPaths(folder: string, key: string, target: unknown): string[] {
  if (!key.startsWith("./") || target === null) return [];
  const [start = "", end] = key.slice(2).split("*");
  if (end === undefined) return [start];
  const file = firstTarget(target);
  if (file === null) return [];
  const [before = "", after = ""] = file.replace(/^\.\//, "").split("*");
  return packageFiles(folder, before, MAX_PATTERN_DEPTH)
    .filter((path) => path.startsWith(before) && path.endsWith(after) && MODULE_FILE.test(path))
    .map((path) => start + path.slice(before.length, path.length - after.length) + end);
}

/** The first file that a conditional target names, which is not for types only. */
function firstTarget(target: unknown): string | null {
  if (typeof target === "string") return target;
  const options: unknown[] = Array.isArray(target) ? target
    : isJsonObject(target) ? Object.entries(target).filter(([condition]) => condition !== "types").map(([, file]) => file) : [];
  for (const option of options) {
    const found = firstTarget(option);
    if (found !== null) return found;
  }
  return null;
}

/** Files below a folder, as paths from it.
 *  @param under only those in the folder that this path begins with */
function packageFiles(folder: string, under: string, depth: number): string[] {
  const base = under.slice(0, under.lastIndexOf("/") + 1);
  return list(resolve(folder, base)).flatMap(({ name, isFolder }) => {
    if (!isFolder) return [base + name];
    return depth <= 1 || name === "node_modules" ? [] : packageFiles(folder, `${base}${name}/`, depth - 1);
  });
}
