import ts from "#typescript";
import { meansOwnPackage, OWN_FILE } from "../ownPackage.ts";
import { isLocal } from "../runner/localPaths.ts";

/** The file that a specifier means by `paths` or `baseUrl` of tsconfig.json, which Node.js knows nothing of; null for
 *  local files, packages and what is not there. */
export function aliasedFile(specifier: string, importer: string, options: ts.CompilerOptions): string | null {
  if ((options.paths === undefined && options.baseUrl === undefined) || isLocal(specifier)) return null;
  const found = ts.resolveModuleName(specifier, importer, runtimeOptions(options), ts.sys).resolvedModule;
  return found === undefined || found.isExternalLibraryImport === true ? null : found.resolvedFileName;
}

/** The file that an import of a package loads; null when there is none. */
export function packageFile(specifier: string, importer: string, options: ts.CompilerOptions): string | null {
  const found = (from: string): string | null => ts.resolveModuleName(specifier, from, runtimeOptions(options), ts.sys).resolvedModule?.resolvedFileName ?? null;
  return found(importer) ?? (meansOwnPackage(specifier, importer) ? found(OWN_FILE) : null);
}

/** noDtsResolution, which the typings leave out: the JavaScript, not its types. */
function runtimeOptions(options: ts.CompilerOptions): ts.CompilerOptions {
  return { ...options, allowJs: true, noDtsResolution: true };
}
