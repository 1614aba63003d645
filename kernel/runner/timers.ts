import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { promisify } from "node:util";
import { clearTimer } from "./cellRun.ts";
import type { CellRun, CellRuns } from "./cellRun.ts";

type Callback = (...values: unknown[]) => void;
type Handle = NodeJS.Timeout | NodeJS.Immediate;

/** Makes the timers of Node.js, global and imported, belong to the cell that sets them, so that an interrupt can clear them. */
export function trackTimers(runs: CellRuns): void {
  const owners = new WeakMap<object, CellRun>();
  const original = { ...timers };
  const own = (run: CellRun, handle: Handle): Handle => {
    // A stopped cell gets no more timers: an asynchronous loop that survived the interrupt ends here.
    if (run.stop.signal.aborted) {
      clearTimer(handle);
      return handle;
    }
    run.timers.add(handle);
    owners.set(handle, run);
    return handle;
  };
  const disown = (handle: unknown): void => {
    if (typeof handle !== "object" || handle === null) return;
    // A WeakMap key can only be a handle that own() made.
    owners.get(handle)?.timers.delete(handle as Handle);
  };
  const once = (start: (callback: Callback, ...rest: unknown[]) => Handle) => (callback: Callback, ...rest: unknown[]): Handle => {
    const run = runs.current;
    if (typeof callback !== "function") return start(callback, ...rest);
    const handle: Handle = start((...values) => {
      disown(handle);
      runs.reset();
      runs.within(run, () => { callback(...values); });
    }, ...rest);
    return own(run, handle);
  };
  const startTimeout = (callback: Callback, ...rest: unknown[]): Handle => original.setTimeout(callback, ...rest as [number]);
  const startImmediate = (callback: Callback, ...rest: unknown[]): Handle => original.setImmediate(callback, ...rest);
  const tracked = {
    setTimeout: Object.assign(once(startTimeout), { [promisify.custom]: timersPromises.setTimeout }),
    setImmediate: Object.assign(once(startImmediate), { [promisify.custom]: timersPromises.setImmediate }),
    setInterval: (callback: Callback, ...rest: unknown[]): Handle => {
      const run = runs.current;
      const repeat = typeof callback !== "function" ? callback : (...values: unknown[]) => {
        runs.reset();
        runs.within(run, () => { callback(...values); });
      };
      return own(run, original.setInterval(repeat, ...rest as [number]));
    },
    clearTimeout: (handle: unknown): void => { disown(handle); original.clearTimeout(handle as NodeJS.Timeout); },
    clearInterval: (handle: unknown): void => { disown(handle); original.clearInterval(handle as NodeJS.Timeout); },
    clearImmediate: (handle: unknown): void => { disown(handle); original.clearImmediate(handle as NodeJS.Immediate); },
  };
  trackPromiseTimers(runs);
  Object.assign(timers, tracked);
  for (const [name, value] of Object.entries(tracked)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
  }
  syncBuiltinESMExports();
}

/** A stopped cell's `await setTimeout(…)` from node:timers/promises rejects, so its loop ends. */
function trackPromiseTimers(runs: CellRuns): void {
  const original = { ...timersPromises };
  const withSignal = (options: object = {}): object => {
    const signal = "signal" in options && options.signal instanceof AbortSignal ? options.signal : undefined;
    const stopSignal = runs.current.stop.signal;
    return { ...options, signal: signal === undefined ? stopSignal : AbortSignal.any([signal, stopSignal]) };
  };
  Object.assign(timersPromises, {
    setTimeout: (delayMs?: number, value?: unknown, options?: object) => original.setTimeout(delayMs, value, withSignal(options)),
    setImmediate: (value?: unknown, options?: object) => original.setImmediate(value, withSignal(options)),
    setInterval: (delayMs?: number, value?: unknown, options?: object) => original.setInterval(delayMs, value, withSignal(options)),
  });
}
