import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { KernelspecError, systemErrorCode } from "./errors.ts";
import { isJsonObject, objectField, stringField } from "./protocol/json.ts";
import type { JsonObject } from "./protocol/json.ts";
import { JSON, Object, Set, SyntaxError } from "./runner/intrinsics.ts";

/** The file of this module: from here the kernel's own package and what it depends on are found. */
export const OWN_FILE = fileURLToPath(import.meta.url).replaceAll("\\", "/");

/** The package that the kernel is part of: the nearest folder up with a package.json, from dist/kernel as from kernel.
 *  @throws KernelspecError E_KERNEL_PACKAGE */
export function ownFolder(): string {
  const found = upwards(dirname(OWN_FILE)).find((folder) => existsSync(join(folder, "package.json")));
  if (found !== undefined) return found;
  throw new KernelspecError({
    code: "E_KERNEL_PACKAGE", what: "The moe-lab package was not found", why: "no package.json lies above the kernel's files", fix: "install moe-lab again",
  });
}

let names: ReadonlySet<string> | null = null;

/** The name of the kernel's own package, then those of its dependencies. */
export function ownNames(): ReadonlySet<string> {
  if (names === null) {
    const manifest = readManifest(ownFolder()) ?? {};
    names = new Set([stringField(manifest, "name"), ...Object.keys(objectField(manifest, "dependencies"))]);
  }
  return names;
}

/** Whether an import that Node.js does not resolve means the kernel's own package or one of its dependencies. So a kernel
 *  of a global installation has the toolkit in every folder, and TensorFlow.js once: the toolkit's. What is installed for
 *  the importing file goes before it, even if it is broken; packages and the kernel itself find what they find.
 *  @param specifier as written in the import
 *  @param importer path of the importing file; a cell's need not exist */
export function meansOwnPackage(specifier: string, importer: string): boolean {
  const [name] = /^(@[^/]+\/)?[^/]+/.exec(specifier) ?? [];
  if (name === undefined || !ownNames().has(name)) return false;
  const isOfPackage = /[\\/]node_modules[\\/]/.test(importer) || upwards(dirname(importer)).includes(ownFolder());
  return !isOfPackage && !isInstalledFor(name, dirname(importer));
}

/** Whether a package lies where Node.js looks for it from a folder, or the folder is in the package itself. */
export function isInstalledFor(name: string, folder: string): boolean {
  const folders = upwards(folder);
  if (folders.some((at) => existsSync(join(at, "node_modules", name)))) return true;
  const nearest = folders.map(readManifest).find((manifest) => manifest !== null);
  return nearest !== undefined && nearest !== null && stringField(nearest, "name") === name;
}

/** A folder's package.json; null when there is none, or it is being written at this moment. */
export function readManifest(folder: string): JsonObject | null {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return isJsonObject(manifest) ? manifest : null;
  } catch (error) {
    if (!(error instanceof SyntaxError) && systemErrorCode(error) === undefined) throw error;
    return null;
  }
}

/** A folder and all above it, the nearest first. */
export function upwards(folder: string): string[] {
  const folders = [resolve(folder)];
  for (let at = resolve(folder); dirname(at) !== at; at = dirname(at)) folders.push(dirname(at));
  return folders;
}
