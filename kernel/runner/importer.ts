import { builtinModules, createRequire, isBuiltin, register } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";
import type { MessagePort } from "node:worker_threads";
import { systemErrorCode } from "../errors.ts";
import { meansOwnPackage } from "../ownPackage.ts";
import { Error, Object, Reflect, SyntaxError, URL } from "./intrinsics.ts";
import type { LoadedModules } from "./loadedModules.ts";
import { existingFile, isLocal } from "./localPaths.ts";
import type { AskWorker } from "./moduleQuestion.ts";

type Import = (specifier: string, options?: object) => Promise<object>;
/** import() for cells; `names` are the names that a static import wants. */
export type CellImport = (specifier: string, options?: object, names?: readonly string[]) => Promise<object>;

/** A package whose exports have no condition that import fits. */
const NOT_EXPORTED = "ERR_PACKAGE_PATH_NOT_EXPORTED";
const NOT_FOUND = "ERR_MODULE_NOT_FOUND";

/** Makes import() for cells: it resolves as a module in the notebook's folder would.
 *  import() inside Runtime.evaluate fails (no referrer), a vm.Script with a file name has one.
 *  @param folder the notebook's folder
 *  @param modulePort goes to the loader hooks, which ask the worker for local TypeScript files
 *  @param ownModules modules that the kernel itself provides, whatever is installed */
export function createImport(folder: string, modulePort: MessagePort, loaded: LoadedModules, ownModules: ReadonlyMap<string, object>): CellImport {
  const cellPath = join(folder, "__cell.ts");
  const nodeRequire = createRequire(cellPath);
  const script = new vm.Script("(specifier, options) => import(specifier, options)", {
    filename: cellPath, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // vm scripts are untyped; this one is the function above.
  const importFromFolder = script.runInThisContext() as Import;
  let areHooksRegistered = false;
  return async (specifier, options, names = []) => {
    // `${}` accepts a URL object as import() does.
    const wanted = `${specifier}`;
    const own = ownModules.get(wanted);
    if (own !== undefined) return withNames(own, names, wanted);
    if (isLocal(wanted) && !areHooksRegistered) {
      areHooksRegistered = true;
      process.setSourceMapsEnabled(true);
      register(new URL("./moduleHooks.js", import.meta.url), {
        data: { port: modulePort, cellUrl: pathToFileURL(cellPath).href }, transferList: [modulePort],
      });
    }
    const attributes = options ?? (/\.json$/.test(wanted) && !builtinModules.includes(wanted) ? { with: { type: "json" } } : undefined);
    try {
      if (isLocal(wanted)) loaded.dropChanged();
      return withNames(commonJsExports(await importFromFolder(wanted, attributes)), names, wanted);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === NOT_FOUND && meansOwnPackage(wanted, cellPath)) {
        return withNames(commonJsExports(await importFromFolder(import.meta.resolve(wanted), attributes)), names, wanted);
      }
      if (code !== NOT_EXPORTED) throw withCellStack(error);
      // Some packages have only a "require" export; a bundler would take that too.
      return withNames(commonJsExports(await importFromFolder(pathToFileURL(nodeRequire.resolve(wanted)).href)), names, wanted);
    } finally {
      if (isLocal(wanted)) loaded.note();
    }
  };
}

/** An import that Node.js can't resolve fails in the middle of its loader, often on another thread; what counts is the
 *  place in the cell. */
function withCellStack(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const [, first = ""] = /\n\s+at (.*)/.exec(String(error.stack)) ?? [];
  if (first.includes("node:internal/modules/esm/")) Error.captureStackTrace(error);
  return error;
}

/** import.meta.resolve for cells: Node.js's own knows no other place to resolve from than the kernel's folder.
 *  @returns the URL that import() of the specifier loads
 *  @throws Error when there is no such package */
export function createResolve(folder: string, ask: AskWorker): (specifier: string) => string {
  const cellUrl = pathToFileURL(join(folder, "__cell.ts")).href;
  return (specifier) => {
    if (isBuiltin(specifier)) return specifier.startsWith("node:") ? specifier : `node:${specifier}`;
    if (isLocal(specifier)) {
      const url = new URL(specifier, cellUrl);
      const path = existingFile(fileURLToPath(url));
      return path === null ? url.href : pathToFileURL(path).href;
    }
    if (URL.canParse(specifier)) return new URL(specifier).href;
    const { text, error } = ask("resolve", specifier);
    if (error !== undefined) throw new Error(error);
    return pathToFileURL(text).href;
  };
}

/** A CommonJS module as TypeScript types it (esModuleInterop), and as its CommonJS output behaves: what was compiled from
 *  an ES module has that module's default export, and a namespace import has every property, also those that Node.js
 *  does not find in the source. Any other module is returned as it is.
 *  Source: typescriptlang.org/tsconfig/#esModuleInterop */
function commonJsExports(module: object): object {
  const exported: unknown = Reflect.get(module, "default");
  if ((typeof exported !== "object" && typeof exported !== "function") || exported === null) return module;
  const isCompiled = Reflect.get(exported, "__esModule") === true;
  if (isCompiled && "default" in exported) return exported;
  const keys = Object.keys(exported).filter((key) => key !== "default");
  if (keys.every((key) => key in module) || !isCommonJs(exported)) return module;
  const whole = { default: exported };
  for (const key of keys) Object.defineProperty(whole, key, { get: () => Reflect.get(exported, key) as unknown, enumerable: true });
  return whole;
}

function isCommonJs(exported: object): boolean {
  return Object.values(createRequire(import.meta.url).cache).some((module) => module?.exports === exported);
}

/** A module with all wanted names. CommonJS modules may hide some inside their default export.
 *  @throws SyntaxError like Node.js when the module has no such name */
function withNames(module: object, names: readonly string[], specifier: string): object {
  const missing = names.filter((name) => !(name in module));
  if (missing.length === 0) return module;
  const fallback: unknown = Reflect.get(module, "default");
  const found: Record<string, unknown> = {};
  for (const name of names) {
    if (name in module) found[name] = Reflect.get(module, name);
    else if (typeof fallback === "object" && fallback !== null && name in fallback) found[name] = Reflect.get(fallback, name);
    else throw new SyntaxError(`The requested module '${specifier}' does not provide an export named '${name}'`);
  }
  return found;
}
