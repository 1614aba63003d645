import v8 from "node:v8";
import vm from "node:vm";

/** @returns a function that has V8 collect all garbage before it returns, also in the middle of a cell; the inspector's
 *  own command waits until the thread is free */
export function createCollectGarbage(): () => void {
  let collect: (() => void) | null = null;
  return () => {
    collect ??= exposedCollector();
    collect();
  };
}

/** V8 gives the function to new contexts only. Cells don't see it. */
function exposedCollector(): () => void {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  v8.setFlagsFromString("--no-expose-gc");
  return collect;
}
