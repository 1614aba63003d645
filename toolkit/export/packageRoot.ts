import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ServerError } from "../errors.ts";

/** Folder of the package itself, from the sources as from dist/: it holds data files that are no modules. */
export const packageRoot: string = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/** A compiled entry that is started as its own process.
 *  @param entry below dist/, e.g. "serve/main.js"
 *  @throws ServerError E_NOT_BUILT */
export function compiledEntry(entry: string, root: string = packageRoot): string {
  const path = join(root, "dist", entry);
  if (existsSync(path)) return path;
  throw new ServerError({
    code: "E_NOT_BUILT", what: `${path} isn't there`, why: "programs of their own run the compiled code in dist/", fix: "npm run setup",
  });
}

function findPackageRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error("no package.json above the toolkit");
  return findPackageRoot(parent);
}
