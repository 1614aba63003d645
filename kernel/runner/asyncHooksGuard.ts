import { createHook } from "node:async_hooks";
import type { AsyncHook } from "node:async_hooks";

/** The part of Node.js's own bookkeeping of asynchronous calls that is used here.
 *  Source: github.com/nodejs/node, src/env.h, class AsyncHooks */
interface AsyncWrap {
  /** Numbers of hooks and, at constants.kTotals and constants.kCheck, whether to verify the stack of async ids. */
  readonly async_hook_fields: Uint32Array;
  readonly constants: { readonly kTotals: number; readonly kCheck: number };
  clearAsyncIdStack(): void;
}

/** Node.js 24 no longer shows it, and its AsyncLocalStorage does without async_hooks. */
const FIRST_MAJOR_WITHOUT_BINDING = 24;

/** Lets code that uses async_hooks, as AsyncLocalStorage does before Node.js 24, be stopped after an await. An interrupt
 *  ends such code without its `after` hook; Node.js then finds its stack of async ids wrong and aborts the process.
 *  So the verification is switched off again whenever a hook is enabled, and the stack is emptied by the returned
 *  function, which the event loop's entries call. Hooks themselves go on as before.
 *  @returns does nothing where Node.js does not show its bookkeeping */
export function guardAsyncHooks(): () => void {
  const wrap = asyncWrap();
  if (wrap === null) return () => undefined;
  const { async_hook_fields: fields, constants: { kTotals, kCheck } } = wrap;
  const skipVerification = (): void => {
    fields[kTotals] = 0;
    fields[kCheck] = 0;
  };
  const prototype = Object.getPrototypeOf(createHook({})) as AsyncHook;
  for (const name of ["enable", "disable"] as const) {
    const original: unknown = Reflect.get(prototype, name);
    if (typeof original !== "function") continue;
    Object.defineProperty(prototype, name, {
      configurable: true, writable: true,
      value(this: AsyncHook): unknown {
        const result: unknown = Reflect.apply(original, this, []);
        skipVerification();
        return result;
      },
    });
  }
  return () => { wrap.clearAsyncIdStack(); };
}

function asyncWrap(): AsyncWrap | null {
  if (Number.parseInt(process.versions.node) >= FIRST_MAJOR_WITHOUT_BINDING) return null;
  const binding: unknown = Reflect.get(process, "binding");
  if (typeof binding !== "function") return null;
  const found = Reflect.apply(binding, process, ["async_wrap"]) as Partial<AsyncWrap> | undefined;
  const isWhole = found?.async_hook_fields !== undefined && found.constants?.kTotals !== undefined && found.constants.kCheck !== undefined
    && typeof found.clearAsyncIdStack === "function";
  return isWhole ? found as AsyncWrap : null;
}
