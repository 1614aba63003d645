import { createRequire } from "node:module";
import { Map, Object, Reflect, Set } from "./intrinsics.ts";
import { fileState } from "./localPaths.ts";

/** The CommonJS modules of local files. Node.js keeps them by path, for import as for require(); here they are dropped
 *  when they or what they require have changed. */
export class LoadedModules {
  private readonly cache: NodeJS.Dict<NodeJS.Module> = createRequire(import.meta.url).cache;
  /** The state of each file when it was loaded. */
  private readonly states = new Map<string, string>();

  /** Drops what has changed, loads something, and remembers what that has loaded. */
  keepFresh<T>(load: () => T): T {
    this.dropChanged();
    try {
      return load();
    } finally {
      this.note();
    }
  }

  /** Drops every module whose file, or a file below it, is not as it was when it was loaded. */
  dropChanged(): void {
    const stale = new Set<string>();
    this.visitLocal((path, required) => {
      const state = fileState(path);
      // One that a package has loaded is seen here for the first time.
      const isAsLoaded = (this.states.get(path) ?? state) === state;
      if (isAsLoaded && !required.some((other) => stale.has(other))) return;
      stale.add(path);
      this.states.delete(path);
      Reflect.deleteProperty(this.cache, path);
    });
  }

  /** Remembers the state of what has been loaded since the last time. */
  note(): void {
    this.visitLocal((path) => {
      if (!this.states.has(path)) this.states.set(path, fileState(path));
    });
  }

  /** Calls back for every local module, after those it requires. */
  private visitLocal(found: (path: string, required: readonly string[]) => void): void {
    const seen = new Set<string>();
    const visit = (path: string): void => {
      const module = this.cache[path];
      // Packages don't change, and native code can't be loaded twice.
      if (module === undefined || seen.has(path) || path.includes("/node_modules/") || /\.node$/.test(path)) return;
      seen.add(path);
      const required = module.children.map(({ filename }) => filename);
      for (const other of required) visit(other);
      found(path, required);
    };
    for (const path of Object.keys(this.cache)) visit(path);
  }
}
