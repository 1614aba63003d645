import Module, { createRequire } from "node:module";
import { join, resolve } from "node:path";
import process from "node:process";
import { systemErrorCode } from "../errors.ts";
import { meansOwnPackage, OWN_FILE } from "../ownPackage.ts";
import { Object, Reflect, SyntaxError } from "./intrinsics.ts";
import type { LoadedModules } from "./loadedModules.ts";
import { existingFile } from "./localPaths.ts";
import type { AskWorker } from "./moduleQuestion.ts";

/** Node.js's modules have this method; the typings leave it out. */
interface CompilableModule extends NodeJS.Module { _compile(code: string, path: string): void }

/** Makes require() for cells: Node.js's own, in the notebook's folder, which also takes local TypeScript files and loads
 *  local files again when they or what they require have changed.
 *  @param ask gives the JavaScript of TypeScript files */
export function createCellRequire(folder: string, ask: AskWorker, loaded: LoadedModules): NodeJS.Require {
  const nodeRequire = createRequire(join(folder, "__cell.ts"));
  const compile = (module: NodeJS.Module, path: string): void => {
    const { text, error } = ask("commonjs", path);
    if (error !== undefined) throw new SyntaxError(error);
    // Node.js calls this with its own modules only.
    (module as CompilableModule)._compile(text, path);
  };
  // Old, but the only way to tell require() of a kind of file.
  for (const extension of [".ts", ".tsx", ".mts", ".cts"]) nodeRequire.extensions[extension] = compile;
  const cellRequire = (id: string): unknown => {
    const path = /^(\.{1,2}(\/|$)|\/)/.test(id) ? existingFile(resolve(folder, id)) : null;
    if (path === null) return nodeRequire(id);
    process.setSourceMapsEnabled(true);
    return loaded.keepFresh(() => nodeRequire(path) as unknown);
  };
  const { resolve: resolvePath, cache, extensions, main } = nodeRequire;
  return Object.assign(cellRequire, { resolve: resolvePath, cache, extensions, main });
}

type ResolveFilename = (request: string, parent: NodeJS.Module | undefined, ...rest: unknown[]) => string;

/** Lets require() in cells and local files find the kernel's own package and its dependencies; see ownPackage.ts.
 *  Node.js has a documented hook for this only from version 22.15 on. */
export function requireOwnPackages(): void {
  const { resolve } = createRequire(OWN_FILE);
  const resolveFilename = Reflect.get(Module, "_resolveFilename") as ResolveFilename;
  const withOwn: ResolveFilename = (request, parent, ...rest) => {
    try {
      return Reflect.apply(resolveFilename, Module, [request, parent, ...rest]);
    } catch (error) {
      if (systemErrorCode(error) !== "MODULE_NOT_FOUND" || !meansOwnPackage(request, parent?.filename ?? "")) throw error;
      return resolve(request);
    }
  };
  Reflect.set(Module, "_resolveFilename", withOwn);
}
