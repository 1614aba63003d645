import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import ts from "#typescript";
import type { NotebookLanguage } from "../notebookLanguage.ts";
import type { ProjectSettings } from "./tsconfig.ts";

/** Settings for checking and emitting cells. Strict, because libraries are typed for it; see diagnostics.ts for what a notebook is forgiven.
 *  target: decorators and `using` are down-levelled, the rest is what Node.js 20 runs. */
export function strictOptions(): ts.CompilerOptions {
  return {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    // Node.js's own condition in package exports, which bundlers leave out.
    customConditions: ["node"],
    lib: ["lib.esnext.d.ts"],
    types: ["node"],
    typeRoots: [dirname(dirname(nodeTypesManifest()))],
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

/** strictOptions with what the project's tsconfig.json says instead. JavaScript is checked for its syntax, and for types
 *  where tsconfig.json or the cell asks for it.
 *  @param folder the notebook's folder
 *  @param hasJsx whether a cell has contained JSX; then the settings that compile it are there */
export function cellOptions(settings: ProjectSettings, folder: string, hasJsx: boolean, language: NotebookLanguage): ts.CompilerOptions {
  const { strict, customConditions = [], types = [], ...base } = strictOptions();
  const { jsx, ...project } = settings.options;
  const options: ts.CompilerOptions = {
    ...base,
    // Without a tsconfig.json the default; with one that leaves it out, TypeScript's own.
    ...(settings.path === null ? { strict } : {}),
    ...(language === "javascript" ? { allowJs: true } : {}),
    ...project,
    customConditions: [...customConditions, ...(project.customConditions ?? [])],
    types: [...new Set([...types, ...(project.types ?? [])])],
  };
  return hasJsx ? { ...options, ...jsxOptions(jsx, project.jsxImportSource, folder) } : options;
}

/** The same without strictness: in a notebook without tsconfig.json an error counts only when these settings find it too. */
export function looseOptions(options: ts.CompilerOptions): ts.CompilerOptions {
  return { ...options, strict: false };
}

/** JSX must be compiled whatever the project's bundler does later. Without a setting, the automatic runtime of the
 *  first of these packages that is installed. */
const JSX_PACKAGES = ["react", "preact"];

function jsxOptions(jsx: ts.JsxEmit | undefined, importSource: string | undefined, folder: string): ts.CompilerOptions {
  if (jsx === ts.JsxEmit.React) return { jsx };
  const { resolve } = createRequire(join(folder, "__cell.ts"));
  const isInstalled = (name: string): boolean => {
    try {
      return resolve(`${name}/jsx-runtime`) !== "";
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  };
  return { jsx: ts.JsxEmit.ReactJSX, jsxImportSource: importSource ?? JSX_PACKAGES.find(isInstalled) ?? JSX_PACKAGES[0] };
}

/** package.json of the @types/node that the kernel itself uses, so that a notebook anywhere knows `process` and `fetch`. */
export function nodeTypesManifest(): string {
  return createRequire(import.meta.url).resolve("@types/node/package.json");
}
