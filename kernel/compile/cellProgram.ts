import ts from "#typescript";
import { CellSlot } from "./cellSlot.ts";
import { createResolutionCache, moduleResolution } from "./moduleResolution.ts";
import type { NodeTypes } from "./nodeTypes.ts";
import { storeCompilerHost } from "./sourceStore.ts";
import type { SourceStore } from "./sourceStore.ts";

/** A TypeScript program that is renewed from its predecessor, or stays and takes another cell where that suffices. */
export class CellProgram {
  readonly options: ts.CompilerOptions;
  private readonly store: SourceStore;
  private readonly nodeTypes: NodeTypes;
  private readonly rootPaths: readonly string[];
  private readonly cellPath: string;
  private readonly host: ts.CompilerHost;
  private readonly slot: CellSlot;
  private program: ts.Program | undefined;
  /** How the program asked for the cell's file; null before it did. */
  private cellOptions: ts.ScriptTarget | ts.CreateSourceFileOptions | null = null;

  /** @param rootPaths the last is the cell's
   *  @param folder the notebook's folder */
  constructor(store: SourceStore, nodeTypes: NodeTypes, rootPaths: readonly string[], options: ts.CompilerOptions, folder: string) {
    this.store = store;
    this.nodeTypes = nodeTypes;
    this.rootPaths = rootPaths;
    this.cellPath = rootPaths.at(-1) ?? "";
    this.options = options;
    this.slot = new CellSlot(store, this.cellPath, (path) => store.version(path));
    const host = storeCompilerHost(store, options, folder);
    this.host = {
      ...host,
      getSourceFile: (path, languageOptions) => {
        if (path === this.cellPath) this.cellOptions = languageOptions;
        return store.sourceFile(path, languageOptions);
      },
    };
  }

  /** The program of the store's present state. */
  refresh(): ts.Program {
    const reused = this.slot.put(this.cellFile());
    if (reused !== null) return reused;
    this.program = this.nodeTypes.watch(
      ts.createProgram({ rootNames: this.rootPaths, options: this.options, host: this.resolvingHost(), oldProgram: this.program }));
    return this.slot.hold(this.program);
  }

  /** Makes the next program a new one; see cellSlot.ts. */
  renew(): void {
    this.slot.renew();
  }

  /** A package may be installed at any time, so each program looks anew. */
  private resolvingHost(): ts.CompilerHost {
    const cache = createResolutionCache(this.host.getCurrentDirectory(), this.options);
    return { ...this.host, getModuleResolutionCache: () => cache, resolveModuleNameLiterals: moduleResolution(this.host, () => cache) };
  }

  /** Whether the program is better renewed when there is time. */
  get isOld(): boolean {
    return this.slot.isOld;
  }

  /** The cell as it is now, parsed as programs want it; undefined before there was one. */
  cellFile(): ts.SourceFile | undefined {
    return this.cellOptions === null ? undefined : this.store.sourceFile(this.cellPath, this.cellOptions);
  }
}
