import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Object, Reflect } from "./intrinsics.ts";
import { RUNTIME_NAME } from "./runtimeName.ts";
import { html, latex, md, svg } from "../display/media.ts";
import type { CommOptions, Comms } from "./comms.ts";
import { createCellExports } from "./cellExports.ts";
import type { Display } from "./display.ts";
import { createDebugRuntime } from "./debugRuntime.ts";
import type { CellImport } from "./importer.ts";
import type { ValueQuestion } from "./valuePath.ts";

/** What cells find in their global scope; compile/ambient.ts declares the same to the type checker. */
export interface CellGlobals {
  readonly display: Display;
  readonly clearOutput: (wait?: boolean) => void;
  readonly input: (prompt?: string, password?: boolean) => string;
  readonly comms: Comms;
  /** The classes and functions of widgets/namespace.ts. */
  readonly widgets: object;
  readonly cellSignal: () => AbortSignal;
  readonly require: NodeJS.Require;
}

/** What the compiled cell calls; not for users. */
export interface CellRuntime {
  readonly import: CellImport;
  readonly result: (value: unknown) => void;
  /** Answers the worker's questions about values, in JSON; see valueReader.ts. */
  readonly values: (question: ValueQuestion) => string;
  /** import.meta.resolve */
  readonly resolve: (specifier: string) => string;
  /** For the heap guard. */
  readonly collectGarbage: () => void;
}

/** Takes their values from names that cells declared.
 *  @param isAll globals that cells overwrote get back what they were at the kernel's start */
type Forget = (names: readonly string[], isAll: boolean) => void;

/** Puts display, input, require and the rest into the global scope.
 *  @param folder the notebook's folder */
export function defineGlobals(folder: string, globals: CellGlobals, runtime: CellRuntime): void {
  const { comms, cellSignal, ...functions } = globals;
  const cellPath = join(folder, "__cell.ts");
  const define = (name: string, descriptor: PropertyDescriptor): void => {
    Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, ...descriptor });
  };
  const values = {
    ...functions, html, latex, md, svg,
    comms: {
      register: (name: string, onOpen: Parameters<Comms["register"]>[1]) => { comms.register(name, onOpen); },
      open: (name: string, data?: unknown, options?: CommOptions) => comms.open(name, data, options),
    },
    __dirname: folder,
    __filename: cellPath,
  };
  for (const [name, value] of Object.entries(values)) define(name, { value, writable: true });
  define("cellSignal", { get: cellSignal });
  define("exports", { value: createCellExports(), writable: true });
  const forget = createForget(Object.getOwnPropertyDescriptors(globalThis));
  define(RUNTIME_NAME, { value: { ...runtime, forget, debug: createDebugRuntime(), meta: { url: pathToFileURL(cellPath).href, filename: cellPath, dirname: folder, resolve: runtime.resolve } } });
}

function createForget(initial: PropertyDescriptorMap): Forget {
  const world = globalThis;
  return (names, isAll) => {
    for (const name of names) {
      // Variables of scripts can't be deleted.
      if (!Reflect.deleteProperty(world, name)) Reflect.set(world, name, undefined);
    }
    if (!isAll) return;
    for (const [name, descriptor] of Object.entries(initial)) {
      const current = Object.getOwnPropertyDescriptor(world, name);
      const isSame = current?.get === descriptor.get && current?.value === descriptor.value;
      if (!isSame) Reflect.defineProperty(world, name, descriptor);
    }
  };
}

