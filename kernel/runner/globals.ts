import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { RUNTIME_NAME } from "./runtimeName.ts";
import type { Comm, Comms } from "./comms.ts";
import type { DisplayOptions } from "./display.ts";
import type { CellImport } from "./importer.ts";

/** What cells find in their global scope; compile/ambient.ts declares the same to the type checker. */
export interface CellGlobals {
  readonly display: (value: unknown, options?: DisplayOptions) => void;
  readonly clearOutput: (wait?: boolean) => void;
  readonly input: (prompt?: string, password?: boolean) => string;
  readonly comms: Comms;
  readonly cellSignal: () => AbortSignal;
}

/** What the compiled cell calls; not for users. */
export interface CellRuntime {
  readonly import: CellImport;
  readonly result: (value: unknown) => void;
}

/** Puts display, input, require and the rest into the global scope.
 *  @param folder the notebook's folder */
export function defineGlobals(folder: string, globals: CellGlobals, runtime: CellRuntime): void {
  const { comms, cellSignal, ...functions } = globals;
  const cellPath = join(folder, "__cell.ts");
  const define = (name: string, descriptor: PropertyDescriptor): void => {
    Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, ...descriptor });
  };
  const values = {
    ...functions,
    comms: {
      register: (name: string, onOpen: (comm: Comm, data: unknown) => void) => { comms.register(name, onOpen); },
      open: (name: string, data?: unknown, options?: object) => comms.open(name, data, options),
    },
    require: createRequire(cellPath),
    __dirname: folder,
    __filename: cellPath,
  };
  for (const [name, value] of Object.entries(values)) define(name, { value, writable: true });
  define("cellSignal", { get: cellSignal });
  define(RUNTIME_NAME, { value: { ...runtime, meta: { url: pathToFileURL(cellPath).href, filename: cellPath, dirname: folder } } });
}
