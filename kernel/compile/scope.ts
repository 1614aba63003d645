import type { Declaration } from "./declarations.ts";

interface Binding extends Declaration { readonly module: string }

/** The names that finished cells left behind, and the texts that tell TypeScript about them.
 *
 *  Each finished cell is kept as a module of its own. One file, the scope file, puts the newest meaning of each name
 *  into the global scope, so a new cell needs no imports and TypeScript can reuse the whole program for it. */
export class Scope {
  private readonly bindings = new Map<string, Binding>();
  /** Names the TypeScript library declares; a global of the same name would merge with it, so cells import these. */
  private libraryNames: ReadonlySet<string> = new Set();
  /** Properties that cells put on globalThis themselves; of type any. */
  private readonly untypedNames = new Set<string>();
  private readonly forgottenNames = new Set<string>();

  /** The declared names, newest last. */
  names(): string[] {
    return [...this.bindings.keys()];
  }

  /** Removes names for good: what is left of them at run time is not taken for new ones. */
  forget(names: readonly string[]): void {
    for (const name of names) {
      this.bindings.delete(name);
      this.untypedNames.delete(name);
      this.forgottenNames.add(name);
    }
  }

  /** Whether a finished cell has made something of a name. */
  has(name: string): boolean {
    return this.bindings.get(name)?.isAmbient === false;
  }

  setLibraryNames(names: ReadonlySet<string>): void {
    this.libraryNames = names;
  }

  /** Remembers what a cell declared; newer declarations replace older ones of the same name.
   *  @param module specifier of the kept cell, e.g. "./__cell-3.ts" */
  add(module: string, declarations: readonly Declaration[]): void {
    for (const declaration of declarations) {
      // Newest last.
      this.bindings.delete(declaration.name);
      this.bindings.set(declaration.name, { ...declaration, module });
      this.forgottenNames.delete(declaration.name);
    }
  }

  /** Remembers properties of globalThis that no cell declared.
   *  @returns whether one of them is new */
  addUntyped(names: readonly string[]): boolean {
    const fresh = names.filter((name) => !this.untypedNames.has(name) && !this.bindings.has(name) && !this.libraryNames.has(name)
      && !this.forgottenNames.has(name));
    for (const name of fresh) this.untypedNames.add(name);
    return fresh.length > 0;
  }

  /** Import statements for earlier names, on one line.
   *  @param which "library": only names that the scope file can't declare; "all": every earlier name, for a kept cell */
  importLine(identifiers: ReadonlySet<string>, ownNames: ReadonlySet<string>, which: "library" | "all"): string {
    const imports: string[] = [];
    for (const name of identifiers) {
      const binding = this.bindings.get(name);
      if (binding === undefined || ownNames.has(name)) continue;
      if (which === "library" && !this.libraryNames.has(name)) continue;
      imports.push(binding.kind === "alias"
        ? `import { ${name} } from "${binding.module}";`
        : `declare ${binding.kind} ${name}: typeof import("${binding.module}").${name};`);
    }
    return imports.join(" ");
  }

  /** The text of the scope file. `export` inside `declare global` is an error that nobody asks for and that binds as wanted. */
  render(): string {
    const imports: string[] = [];
    const globals: string[] = [];
    for (const { name, kind, module } of this.bindings.values()) {
      if (this.libraryNames.has(name)) continue;
      if (kind === "alias") {
        imports.push(`import { ${name} as $${name} } from "${module}";`);
        globals.push(`export { $${name} as ${name} };`);
      } else globals.push(`export ${kind} ${name}: typeof import("${module}").${name};`);
    }
    for (const name of this.untypedNames) if (!this.bindings.has(name)) globals.push(`export var ${name}: any;`);
    return `${imports.join("\n")}\ndeclare global {\n${globals.join("\n")}\n}\nexport {};\n`;
  }
}
