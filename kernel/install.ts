import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { KernelspecError, systemErrorCode } from "./errors.ts";
import { logoPng, logoSvg } from "./kernelspec/logo.ts";
import { startScript } from "./kernelspec/startScript.ts";
import type { KernelCommandParts } from "./kernelspec/startScript.ts";
import { KERNELS } from "./notebookLanguage.ts";
import type { NotebookLanguage } from "./notebookLanguage.ts";
import { ownFolder } from "./ownPackage.ts";
import { isJsonObject, objectField, stringField } from "./protocol/json.ts";
import type { JsonObject } from "./protocol/json.ts";

/** Name under which Jupyter finds the TypeScript kernel. */
export const KERNEL_NAME = KERNELS.typescript.kernelName;
/** Name that front ends show. */
export const KERNEL_DISPLAY_NAME = KERNELS.typescript.displayName;

/** Where to install: in one of Jupyter's data folders (`userDataFolder` names the user's), or below a prefix such as
 *  a Python environment's, in share/jupyter. */
export type InstallPlace = { readonly dataFolder: string } | { readonly prefix: string };

/** What can be chosen for a kernelspec. */
export interface InstallOptions {
  /** What its cells are written in; TypeScript by default. */
  readonly language?: NotebookLanguage;
  /** The folder's name, by which notebooks refer to the kernel; by default "moe-lab", of JavaScript "moe-lab-js". */
  readonly name?: string;
  readonly displayName?: string;
  /** Environment variables that Jupyter sets for the kernel. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces also a kernelspec of this name that is not ours. */
  readonly force?: boolean;
}

/** A kernelspec as found on disk. */
export interface InstalledKernelspec {
  readonly name: string;
  readonly displayName: string;
  readonly folder: string;
  readonly argv: readonly string[];
  /** Whether this package wrote it. */
  readonly isOurs: boolean;
  /** Why it can't start a kernel, or null. */
  readonly fault: string | null;
}

/** Without it Node.js aborts when an interrupt ends a timer callback. */
const NO_ASYNC_CHECKS = "--no-force-async-hooks-checks";

/** What starts the kernel with this Node.js. */
function kernelCommand(language: NotebookLanguage): KernelCommandParts {
  return {
    node: process.execPath, flags: [NO_ASYNC_CHECKS], main: join(ownFolder(), "dist", "kernel", "main.js"),
    options: language === "typescript" ? [] : ["--language", language],
  };
}

/** Program and arguments that start the kernel with this Node.js. */
export function kernelCommandLine(language: NotebookLanguage = "typescript"): string[] {
  const { node, flags, main, options } = kernelCommand(language);
  return [node, ...flags, main, ...options, "{connection_file}"];
}

/** Jupyter's folder of kernelspecs for a place, absolute. */
export function kernelspecRoot(place: InstallPlace): string {
  return "dataFolder" in place ? resolve(place.dataFolder, "kernels") : resolve(place.prefix, "share", "jupyter", "kernels");
}

/** The files of a kernelspec. `folder` is where they will lie.
 *  Source: jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs */
function kernelspecFiles(folder: string, options: InstallOptions): Record<string, string | Buffer> {
  const { language = "typescript" } = options;
  const command = kernelCommand(language);
  const { node, main } = command;
  const hasShell = process.platform !== "win32";
  const spec = {
    // An absolute path, not {resource_dir}: VS Code knows only {connection_file}.
    argv: hasShell ? ["/bin/sh", join(folder, START_SCRIPT), "{connection_file}"] : kernelCommandLine(language),
    display_name: options.displayName ?? KERNELS[language].displayName, language, interrupt_mode: "message",
    ...(options.env === undefined || Object.keys(options.env).length === 0 ? {} : { env: options.env }),
    metadata: { debugger: true, [MARK]: { node, main } },
  };
  return {
    "kernel.json": `${JSON.stringify(spec, null, 2)}\n`, "logo-svg.svg": logoSvg(), "logo-32x32.png": logoPng(32), "logo-64x64.png": logoPng(64),
    ...(hasShell ? { [START_SCRIPT]: startScript(command) } : {}),
  };
}

const START_SCRIPT = "start.sh";
/** The key of our kernelspecs' metadata under which they say what they start. */
const MARK = "moe-lab";

/** Installs the kernelspec, replacing one of ours of the same name as a whole; needs no Python.
 *  @returns its folder
 *  @throws KernelspecError E_KERNELSPEC_NAME, E_KERNELSPEC_FOREIGN, E_KERNELSPEC_WRITE */
export function installKernelspec(place: InstallPlace, options: InstallOptions = {}): string {
  const root = kernelspecRoot(place);
  const name = kernelspecName(options);
  const folder = join(root, name);
  if (options.force !== true) refuseForeign(folder, name, "replaced");
  // A folder of its own beside the others: Jupyter lists only folders that hold a kernel.json themselves, so it never sees half a kernelspec.
  let workshop: string | null = null;
  try {
    mkdirSync(root, { recursive: true });
    workshop = mkdtempSync(join(root, `.${name}-`));
    const fresh = join(workshop, "new");
    mkdirSync(fresh);
    for (const [file, content] of Object.entries(kernelspecFiles(folder, options))) writeFileSync(join(fresh, file), content);
    if (existsSync(folder)) renameSync(folder, join(workshop, "old"));
    renameSync(fresh, folder);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    if (workshop !== null && !existsSync(folder) && existsSync(join(workshop, "old"))) renameSync(join(workshop, "old"), folder);
    throw new KernelspecError({
      code: "E_KERNELSPEC_WRITE", what: `The kernelspec could not be written to ${folder}`, why: `the folder can't be created or changed (${systemErrorCode(error) ?? ""})`,
      fix: "choose a place you may write to, e.g. the user's own with --user", cause: error,
    });
  } finally {
    if (workshop !== null) rmSync(workshop, { recursive: true, force: true });
  }
  return folder;
}

/** Source: jupyter_client.kernelspec, whose names are lower case */
function kernelspecName({ name: chosen, language = "typescript" }: InstallOptions): string {
  const name = chosen ?? KERNELS[language].kernelName;
  if (/^[a-z0-9_-][a-z0-9._-]*$/.test(name)) return name;
  throw new KernelspecError({
    code: "E_KERNELSPEC_NAME", what: `A kernelspec can't be named "${name}"`, why: "Jupyter takes ASCII letters in lower case, digits and - . _",
    fix: `use a name such as ${KERNEL_NAME} or typescript-24`,
  });
}

function refuseForeign(folder: string, name: string, done: "replaced" | "removed"): void {
  if (!existsSync(folder) || readKernelspec(folder, name).isOurs) return;
  throw new KernelspecError({
    code: "E_KERNELSPEC_FOREIGN", what: `${folder} is the kernelspec of another program and was not ${done}`,
    why: "its kernel.json does not start the kernel of moe-lab", fix: "use --force if that is meant, or another name or place",
  });
}

/** The kernelspecs of a place in alphabetical order, broken ones with what is wrong. */
export function listKernelspecs(place: InstallPlace): InstalledKernelspec[] {
  const root = kernelspecRoot(place);
  let names: string[];
  try {
    names = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
  return names.filter((name) => !name.startsWith(".")).sort().map((name) => readKernelspec(join(root, name), name));
}

function readKernelspec(folder: string, name: string): InstalledKernelspec {
  const broken = (fault: string): InstalledKernelspec => ({ name, folder, displayName: name, argv: [], isOurs: false, fault });
  let spec: unknown;
  try {
    spec = JSON.parse(readFileSync(join(folder, "kernel.json"), "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return broken("kernel.json is not JSON");
    if (systemErrorCode(error) === undefined) throw error;
    return broken(`kernel.json can't be read (${systemErrorCode(error) ?? ""})`);
  }
  if (!isJsonObject(spec) || !Array.isArray(spec.argv)) return broken("kernel.json has no argv");
  const argv = spec.argv.map(String);
  return { name, folder, argv, displayName: stringField(spec, "display_name", name), isOurs: isOurs(spec, argv), fault: faultOf(spec, argv) };
}

/** Kernelspecs of the first release have no mark, but their command has this flag. */
function isOurs(spec: JsonObject, argv: readonly string[]): boolean {
  return isJsonObject(objectField(spec, "metadata")[MARK]) || argv.includes(NO_ASYNC_CHECKS);
}

function faultOf(spec: JsonObject, argv: readonly string[]): string | null {
  const target = objectField(objectField(spec, "metadata"), MARK);
  const [node, main] = [stringField(target, "node"), stringField(target, "main")];
  if (main !== "" && !existsSync(main)) return `the package is no longer at ${main}`;
  if (node !== "" && !existsSync(node)) return `Node.js is no longer at ${node}; the node on the PATH is used, if there is one`;
  if (argv.length === 0) return "argv is empty";
  const gone = argv.slice(0, 2).find((part) => isAbsolute(part) && !existsSync(part));
  return gone === undefined ? null : `${gone} does not exist`;
}

/** Removes the kernelspec.
 *  @returns whether there was one
 *  @throws KernelspecError E_KERNELSPEC_FOREIGN, E_KERNELSPEC_WRITE */
export function uninstallKernelspec(place: InstallPlace, options: Pick<InstallOptions, "name" | "language" | "force"> = {}): boolean {
  const name = kernelspecName(options);
  const folder = join(kernelspecRoot(place), name);
  if (!existsSync(folder)) return false;
  if (options.force !== true) refuseForeign(folder, name, "removed");
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw new KernelspecError({
      code: "E_KERNELSPEC_WRITE", what: `The kernelspec ${folder} could not be removed`, why: `the system refused it (${systemErrorCode(error) ?? ""})`,
      fix: "run this as a user who may change that folder", cause: error,
    });
  }
  return true;
}
