import { builtinModules, register } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import type { MessagePort } from "node:worker_threads";

type Import = (specifier: string, options?: object) => Promise<object>;
/** import() for cells; `names` are the names that a static import wants. */
export type CellImport = (specifier: string, options?: object, names?: readonly string[]) => Promise<object>;

/** Makes import() for cells: it resolves as a module in the notebook's folder would.
 *  import() inside Runtime.evaluate fails (no referrer), a vm.Script with a file name has one.
 *  @param folder the notebook's folder
 *  @param modulePort goes to the loader hooks, which ask the worker for local TypeScript files */
export function createImport(folder: string, modulePort: MessagePort): CellImport {
  const cellPath = join(folder, "__cell.ts");
  const script = new vm.Script("(specifier, options) => import(specifier, options)", {
    filename: cellPath, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // vm scripts are untyped; this one is the function above.
  const importFromFolder = script.runInThisContext() as Import;
  let areHooksRegistered = false;
  return async (specifier, options, names = []) => {
    // `${}` accepts a URL object as import() does.
    const wanted = `${specifier}`;
    if (isLocal(wanted) && !areHooksRegistered) {
      areHooksRegistered = true;
      process.setSourceMapsEnabled(true);
      register(new URL("./moduleHooks.js", import.meta.url), {
        data: { port: modulePort, cellUrl: pathToFileURL(cellPath).href }, transferList: [modulePort],
      });
    }
    const attributes = options ?? (/\.json$/.test(wanted) && !builtinModules.includes(wanted) ? { with: { type: "json" } } : undefined);
    return withNames(await importFromFolder(wanted, attributes), names, wanted);
  };
}

/** Whether a specifier names a file of the user rather than a package. */
function isLocal(specifier: string): boolean {
  return /^(\.{0,2}\/|file:)/.test(specifier);
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
