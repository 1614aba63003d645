import { isBuiltin } from "node:module";
import ts from "#typescript";
import { meansOwnPackage, OWN_FILE } from "../ownPackage.ts";

type ResolveModules = NonNullable<ts.CompilerHost["resolveModuleNameLiterals"]>;

/** Modules of Node.js are declared in its typings and never a package, as at run time. Looking for them in all folders was
 *  half the time of a renewed program: the typings import each other 120 times. */
const BUILT_IN: ts.ResolvedModuleWithFailedLookupLocations = { resolvedModule: undefined };

/** How programs of cells find modules: as TypeScript does, and after that the kernel's own package and what it depends on,
 *  as at run time; see ownPackage.ts.
 *  @param cacheOf what is known of the packages near the notebook */
export function moduleResolution(host: ts.ModuleResolutionHost, cacheOf: (options: ts.CompilerOptions) => ts.ModuleResolutionCache): ResolveModules {
  return (literals, importer, redirect, options, source) => literals.map((literal) => {
    if (isBuiltin(literal.text)) return BUILT_IN;
    const cache = cacheOf(options);
    const mode = ts.getModeForUsageLocation(source, literal, options);
    const found = ts.resolveModuleName(literal.text, importer, options, host, cache, redirect, mode);
    if (found.resolvedModule !== undefined || !meansOwnPackage(literal.text, importer)) return found;
    return ts.resolveModuleName(literal.text, OWN_FILE, options, host, cache, redirect, mode);
  });
}

export function createResolutionCache(folder: string, options: ts.CompilerOptions): ts.ModuleResolutionCache {
  return ts.createModuleResolutionCache(folder, (name) => (ts.sys.useCaseSensitiveFileNames ? name : name.toLowerCase()), options);
}
