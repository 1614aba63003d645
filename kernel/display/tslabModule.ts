// What `import … from "tslab"` means in local modules that a cell imports; runner/moduleHooks.ts sends them here.
import { TSLAB_KEY } from "./tslab.ts";
import type { Tslab } from "./tslab.ts";
import { Reflect } from "../runner/intrinsics.ts";

// main.ts puts it there before any cell runs.
export const { display, newDisplay, versions } = Reflect.get(globalThis, TSLAB_KEY) as Tslab;
