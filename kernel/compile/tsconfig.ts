import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "#typescript";
import { fileState, statsOf } from "../runner/localPaths.ts";

/** What the tsconfig.json near a notebook says of its cells. */
export interface ProjectSettings {
  /** The file read; null when no folder upward has one. */
  readonly path: string | null;
  /** The settings in it that apply to cells. */
  readonly options: ts.CompilerOptions;
  /** What is wrong with the file, ready to be shown; what could be read of it applies all the same. */
  readonly problems: readonly string[];
}

const FILE_NAME = "tsconfig.json";

/** Settings that say how strictly to check, which types there are, and what decorators, class fields and JSX become. The
 *  rest is about files (include, outDir, …), about emit (target, module, …) or about single-file compilers, and a cell
 *  has its own answers. `noUnusedLocals` is asked only of names inside functions and blocks; see diagnostics.ts. */
const CELL_SETTINGS = [
  "strict", "noImplicitAny", "strictNullChecks", "strictFunctionTypes", "strictBindCallApply", "strictPropertyInitialization",
  "strictBuiltinIteratorReturn", "noImplicitThis", "useUnknownInCatchVariables", "exactOptionalPropertyTypes",
  "noUncheckedIndexedAccess", "noPropertyAccessFromIndexSignature", "noImplicitReturns", "noFallthroughCasesInSwitch",
  "noImplicitOverride", "noUnusedLocals", "noUnusedParameters", "noUncheckedSideEffectImports", "allowUnreachableCode",
  "allowUnusedLabels", "erasableSyntaxOnly", "noErrorTruncation", "lib", "types", "allowJs", "checkJs", "customConditions",
  // The last is TypeScript's own note of where the paths begin.
  "paths", "baseUrl", "pathsBasePath",
  "experimentalDecorators", "emitDecoratorMetadata", "useDefineForClassFields",
  "jsx", "jsxFactory", "jsxFragmentFactory", "jsxImportSource",
] as const;

/** "No inputs were found", "the files list is empty": which files a project has is nothing to a notebook. */
const ABOUT_INPUTS = new Set([18002, 18003]);

/** Follows the tsconfig.json nearest upward from a notebook's folder, and what it extends. */
export class TsConfig {
  private readonly folder: string;
  private settings: ProjectSettings | null = null;
  /** Files that the settings were read from, with their state at that time. */
  private readonly sources = new Map<string, string>();

  /** @param folder the notebook's folder */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** The settings as the files say now; the same object as before while no file has changed. Costs a few stat calls. */
  read(): ProjectSettings {
    const path = nearest(this.folder);
    if (this.settings === null || this.settings.path !== path || this.hasChanged()) {
      this.sources.clear();
      this.settings = path === null ? { path, options: {}, problems: [] } : this.parse(path);
    }
    return this.settings;
  }

  private hasChanged(): boolean {
    for (const [path, state] of this.sources) if (fileState(path) !== state) return true;
    return false;
  }

  private parse(path: string): ProjectSettings {
    const note = (source: string): string => {
      this.sources.set(source, fileState(source));
      return source;
    };
    const host: ts.ParseConfigHost = {
      useCaseSensitiveFileNames: ts.sys.useCaseSensitiveFileNames,
      fileExists: (source) => existsSync(note(source)),
      readFile: (source) => ts.sys.readFile(note(source)),
      // A project may have a million files, and none of them is asked for.
      readDirectory: () => [],
    };
    const file = ts.readJsonConfigFile(path, (source) => host.readFile(source));
    const parsed = ts.parseJsonSourceFileConfigFileContent(file, host, dirname(path), undefined, path);
    const problems = [...new Set([...ts.getConfigFileParsingDiagnostics(parsed), ...parsed.errors])]
      .filter(({ code, category }) => !ABOUT_INPUTS.has(code) && category === ts.DiagnosticCategory.Error)
      .map((problem) => this.describe(problem, path));
    return { path, options: cellSettings(parsed.options), problems };
  }

  private describe({ code, messageText, file, start }: ts.Diagnostic, path: string): string {
    const source = relative(this.folder, file?.fileName ?? path);
    const position = file === undefined || start === undefined ? null : file.getLineAndCharacterOfPosition(start);
    const place = position === null ? source : `${source}:${position.line + 1}:${position.character + 1}`;
    return `${place} - error TS${code}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  }
}

function nearest(folder: string): string | null {
  for (let place = folder; ; place = dirname(place)) {
    const path = join(place, FILE_NAME);
    if (statsOf(path)?.isFile() === true) return path;
    if (dirname(place) === place) return null;
  }
}

function cellSettings(options: ts.CompilerOptions): ts.CompilerOptions {
  const entries = CELL_SETTINGS.map((name) => [name, options[name]] as const);
  const chosen: ts.CompilerOptions = Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  // TypeScript derives this from the target, which is not taken over.
  if (options.target !== undefined && options.target < ts.ScriptTarget.ES2022) chosen.useDefineForClassFields ??= false;
  return chosen;
}
