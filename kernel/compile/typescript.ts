// TypeScript, as `import ts from "#typescript"` gets it (package.json, "imports"). `from "typescript"` would cost each
// start of the kernel 0.6 s (Node.js 20, 2 cores): Node.js compiles 9 MB, and searches them for the names that a
// CommonJS module exports.
import { createRequire } from "node:module";
import { workerData } from "node:worker_threads";
import type typescript from "typescript";
import type { WorkerStart } from "../runner/threadMessages.ts";
import { CachedModule } from "./codeCache.ts";

// null outside the kernel's worker, e.g. in its command line and in tests.
const { cacheFolder = null } = (workerData ?? {}) as Partial<WorkerStart>;

/** TypeScript's file; its `save` is to be called once a program has been checked. */
export const typescriptModule = new CachedModule(createRequire(import.meta.url).resolve("typescript"), cacheFolder);
// The module is what the typings say it is.
const ts = typescriptModule.load() as typeof typescript;
// The typings have one default export.
export { ts as default };
