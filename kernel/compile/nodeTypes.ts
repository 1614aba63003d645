import { isBuiltin } from "node:module";
import { dirname, posix } from "node:path";
import ts from "#typescript";
import type { SourceStore } from "./sourceStore.ts";

/** Files of @types/node with the globals that most cells use and little else: a third of the nodes of the whole. */
const CORE_FILES = new Set([
  "buffer.buffer.d.ts", "buffer.d.ts", "compatibility/index.d.ts", "console.d.ts", "events.d.ts", "globals.d.ts", "globals.typedarray.d.ts",
  "module.d.ts", "path.d.ts", "perf_hooks.d.ts", "process.d.ts", "timers.d.ts", "timers/promises.d.ts", "url.d.ts",
  "web-globals/abortcontroller.d.ts", "web-globals/domexception.d.ts", "web-globals/events.d.ts",
]);

/** Part of the program that TypeScript keeps from its typings: the checker asks it for each import whose types it needs. */
interface ResolvingProgram extends ts.Program {
  getResolvedModule(file: ts.SourceFile, moduleName: string, mode: ts.ResolutionMode): unknown;
}

/** Gives programs the core of @types/node until one needs more. Types of Node.js are half of what a program holds, and
 *  most cells need few of them; a result counts only if the checker asked for nothing that is left out. */
export class NodeTypes {
  /** Whether the programs have all of @types/node. */
  isWhole = false;
  private readonly store: SourceStore;
  private readonly indexPath: string;
  private readonly wholeIndex: string;
  private hasMissed = false;

  /** @param manifestPath package.json of @types/node */
  constructor(store: SourceStore, manifestPath: string) {
    this.store = store;
    this.indexPath = posix.join(dirname(manifestPath).replaceAll("\\", "/"), "index.d.ts");
    this.wholeIndex = ts.sys.readFile(this.indexPath) ?? "";
    const lines = this.wholeIndex.split("\n").filter((line) => {
      const path = /^\/\/\/ <reference path="(.*)"/.exec(line)?.[1];
      return path === undefined || CORE_FILES.has(path);
    });
    store.setText(this.indexPath, lines.join("\n"));
  }

  /** Whether a check of this program needed a module that was left out. */
  get isTooSmall(): boolean {
    return !this.isWhole && this.hasMissed;
  }

  /** Notes what the checker of a new program asks for. */
  watch(program: ts.Program): ts.Program {
    if (this.isWhole) return program;
    this.hasMissed = false;
    const watched = program as ResolvingProgram;
    const resolve = watched.getResolvedModule.bind(watched);
    watched.getResolvedModule = (file, moduleName, mode) => {
      // Only for a module that is not declared; those of Node.js all are, in the whole.
      if (isBuiltin(moduleName)) this.hasMissed = true;
      return resolve(file, moduleName, mode);
    };
    return program;
  }

  /** Lets the next programs have all types. */
  takeWhole(): void {
    this.isWhole = true;
    this.store.setText(this.indexPath, this.wholeIndex);
  }
}
