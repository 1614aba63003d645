import { createRequire } from "node:module";
import { dirname } from "node:path";
import ts from "typescript";

/** Settings for checking and emitting cells. Strict, because libraries are typed for it; see diagnostics.ts for what a notebook is forgiven.
 *  target: decorators and `using` are down-levelled, the rest is what Node.js 20 runs. */
export function strictOptions(): ts.CompilerOptions {
  return {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    lib: ["lib.esnext.d.ts"],
    types: ["node"],
    typeRoots: nodeTypeRoots(),
    strict: true,
    skipLibCheck: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    allowImportingTsExtensions: true,
    preserveConstEnums: true,
    sourceMap: true,
    // The map carries the text, from which error reports quote the line.
    inlineSources: true,
  };
}

/** The same without strictness: an error counts only when these settings find it too. */
export function looseOptions(): ts.CompilerOptions {
  return { ...strictOptions(), strict: false };
}

/** The folder of @types/node that the kernel itself uses, so that a notebook anywhere knows `process` and `fetch`. */
function nodeTypeRoots(): string[] {
  const manifest = createRequire(import.meta.url).resolve("@types/node/package.json");
  return [dirname(dirname(manifest))];
}
