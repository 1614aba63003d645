import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { KernelspecError, systemErrorCode } from "./errors.ts";
import { isJsonObject, stringField } from "./protocol/json.ts";

/** Name under which Jupyter finds the kernel. */
export const KERNEL_NAME = "moe-lab";

/** Where to install: for this user, into a Python environment, or below any folder. */
export type InstallPlace = { readonly user: true } | { readonly sysPrefix: string } | { readonly prefix: string };

/** A kernelspec as found on disk. */
export interface InstalledKernelspec { readonly name: string; readonly displayName: string; readonly folder: string; readonly argv: readonly string[] }

/** The package's own folder: the nearest one up with a package.json, from dist/kernel as from kernel. */
function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new KernelspecError({
        code: "E_KERNEL_PACKAGE", what: "The moe-lab package was not found", why: "no package.json lies above the kernel's files", fix: "install moe-lab again",
      });
    }
    folder = parent;
  }
  return folder;
}

/** Program and arguments that start the kernel with this Node.js.
 *  --no-force-async-hooks-checks: without it Node.js aborts when an interrupt ends a timer callback. */
export function kernelCommandLine(): string[] {
  return [process.execPath, "--no-force-async-hooks-checks", join(packageFolder(), "dist", "kernel", "main.js"), "{connection_file}"];
}

/** The content of kernel.json. Source: jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs */
export function kernelspec(): object {
  return {
    argv: kernelCommandLine(), display_name: "TypeScript (MoE Lab)", language: "typescript", interrupt_mode: "message",
    metadata: { debugger: false },
  };
}

/** Jupyter's folder of kernelspecs for a place. */
export function kernelspecRoot(place: InstallPlace): string {
  if ("user" in place) return join(userDataFolder(), "kernels");
  return join("sysPrefix" in place ? place.sysPrefix : place.prefix, "share", "jupyter", "kernels");
}

/** Source: docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files */
function userDataFolder(): string {
  switch (process.platform) {
    case "darwin": return join(homedir(), "Library", "Jupyter");
    case "win32": return join(homedir(), "AppData", "Roaming", "jupyter");
    default: return join(homedir(), ".local", "share", "jupyter");
  }
}

/** Installs the kernelspec, replacing an older one as a whole; needs no Python.
 *  @returns its folder
 *  @throws KernelspecError E_KERNELSPEC_WRITE */
export function installKernelspec(place: InstallPlace): string {
  const root = kernelspecRoot(place);
  const folder = join(root, KERNEL_NAME);
  try {
    mkdirSync(root, { recursive: true });
    // Written beside and renamed, so that Jupyter never sees half a kernelspec; the dot keeps it from being listed.
    const fresh = mkdtempSync(join(root, `.${KERNEL_NAME}-`));
    writeFileSync(join(fresh, "kernel.json"), `${JSON.stringify(kernelspec(), null, 2)}\n`);
    writeFileSync(join(fresh, "logo-svg.svg"), LOGO_SVG);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw new KernelspecError({
      code: "E_KERNELSPEC_WRITE", what: `The kernelspec could not be written to ${folder}`, why: "the folder can't be created or changed",
      fix: "choose a place you may write to, e.g. the user's own", cause: error,
    });
  }
  return folder;
}

/** The kernelspecs of a place; broken ones are left out. */
export function listKernelspecs(place: InstallPlace): InstalledKernelspec[] {
  const root = kernelspecRoot(place);
  if (!existsSync(root)) return [];
  return readdirSync(root).filter((name) => !name.startsWith(".")).flatMap((name) => {
    const found = readKernelspec(join(root, name), name);
    return found === null ? [] : [found];
  });
}

function readKernelspec(folder: string, name: string): InstalledKernelspec | null {
  const path = join(folder, "kernel.json");
  if (!existsSync(path)) return null;
  let spec: unknown;
  try {
    spec = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  if (!isJsonObject(spec) || !Array.isArray(spec.argv)) return null;
  return { name, folder, displayName: stringField(spec, "display_name", name), argv: spec.argv.map(String) };
}

/** Removes the kernelspec.
 *  @returns whether there was one */
export function uninstallKernelspec(place: InstallPlace): boolean {
  const folder = join(kernelspecRoot(place), KERNEL_NAME);
  if (!existsSync(folder)) return false;
  rmSync(folder, { recursive: true, force: true });
  return true;
}

const LOGO_SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="12" fill="#3178c6"/>
<g stroke="#fff" stroke-width="3" fill="none"><path d="M14 32h12M26 32l12-16M26 32l12-5M26 32l12 5M26 32l12 16" opacity=".55"/>
<path d="M26 32l12-5h6M26 32l12 16h6"/></g><g fill="#fff"><circle cx="14" cy="32" r="4"/><circle cx="26" cy="32" r="5"/>
<circle cx="46" cy="16" r="4" opacity=".55"/><circle cx="46" cy="27" r="5"/><circle cx="46" cy="37" r="4" opacity=".55"/><circle cx="46" cy="48" r="5"/></g></svg>
`;
