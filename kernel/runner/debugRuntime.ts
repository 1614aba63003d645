import { bundleOf } from "./display.ts";
import type { DisplayBundle } from "./threadMessages.ts";

/** What the debugger calls in the main thread, at a breakpoint too. */
export interface DebugRuntime {
  /** The global variables that cells made, getters as getters.
   *  @param declaredNames names that cells declared; some hide globals of Node.js */
  readonly globals: (declaredNames: readonly string[]) => object;
  readonly bundle: (value: unknown) => DisplayBundle | Promise<DisplayBundle>;
}

/** To be called when the kernel's own globals are defined and before the first cell. */
export function createDebugRuntime(): DebugRuntime {
  const initialNames = new Set(Object.getOwnPropertyNames(globalThis));
  return {
    globals: (declaredNames) => {
      const fresh = Object.getOwnPropertyNames(globalThis).filter((name) => !initialNames.has(name));
      const found = Object.create(null) as object;
      for (const name of new Set([...declaredNames, ...fresh])) {
        const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
        if (descriptor !== undefined) Object.defineProperty(found, name, { ...descriptor, enumerable: true, configurable: true });
      }
      return found;
    },
    bundle: (value) => bundleOf(value),
  };
}
