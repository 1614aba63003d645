import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { posix, win32 } from "node:path";
import type { PlatformPath } from "node:path";

/** What decides where Jupyter looks for its data. */
export interface JupyterMachine {
  readonly platform: NodeJS.Platform;
  readonly homeFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** This machine. Jupyter follows links of the home folder, so it is done here too. */
export function thisMachine(environment: JupyterMachine["environment"]): JupyterMachine {
  const home = homedir();
  return { platform: process.platform, homeFolder: existsSync(home) ? realpathSync(home) : home, environment };
}

function pathOf({ platform }: JupyterMachine): PlatformPath {
  return platform === "win32" ? win32 : posix;
}

/** Jupyter's values for "not set". Source: jupyter_core.paths.envset */
const OFF = new Set(["no", "n", "false", "off", "0", "0.0"]);

function isSet({ environment }: JupyterMachine, name: string): boolean | undefined {
  const value = environment[name];
  return value === undefined ? undefined : !OFF.has(value.toLowerCase());
}

/** The user's own data folder, where `--user` installs.
 *  Source: docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files and jupyter_core.paths.jupyter_data_dir */
export function userDataFolder(machine: JupyterMachine): string {
  const { platform, homeFolder, environment } = machine;
  const path = pathOf(machine);
  if (environment.JUPYTER_DATA_DIR) return environment.JUPYTER_DATA_DIR;
  const usesPlatformFolders = isSet(machine, "JUPYTER_PLATFORM_DIRS") === true;
  switch (platform) {
    case "darwin": return usesPlatformFolders ? path.join(homeFolder, "Library", "Application Support", "Jupyter") : path.join(homeFolder, "Library", "Jupyter");
    case "win32":
      if (usesPlatformFolders) return path.join(environment.LOCALAPPDATA ?? path.join(homeFolder, "AppData", "Local"), "Jupyter");
      if (environment.APPDATA) return path.join(environment.APPDATA, "jupyter");
      return path.join(environment.JUPYTER_CONFIG_DIR || path.join(homeFolder, ".jupyter"), "data");
    default: return path.join(environment.XDG_DATA_HOME || path.join(homeFolder, ".local", "share"), "jupyter");
  }
}

/** The prefix of the active Python environment, or null.
 *  @returns sys.prefix of that environment's Python */
export function activeEnvironment({ environment }: JupyterMachine): string | null {
  return environment.VIRTUAL_ENV || environment.CONDA_PREFIX || null;
}

/** The data folders that Jupyter searches, the first first, each once: JUPYTER_PATH, user, Python environment, system.
 *  Without Python its prefix is a guess: the active environment, and the place of the `jupyter` on the PATH.
 *  Source: jupyter_core.paths.jupyter_path */
export function dataFolders(machine: JupyterMachine): string[] {
  const { environment } = machine;
  const path = pathOf(machine);
  const named = (environment.JUPYTER_PATH ?? "").split(path.delimiter).filter((folder) => folder !== "").map((folder) => folder.replace(/[\\/]+$/, ""));
  const user = [userDataFolder(machine), ...pythonUserFolder(machine)];
  const prefixes = [activeEnvironment(machine), prefixOfJupyter(machine)].filter((prefix) => prefix !== null);
  const ofEnvironment = prefixes.map((prefix) => path.join(prefix, "share", "jupyter"));
  const prefersEnvironment = isSet(machine, "JUPYTER_PREFER_ENV_PATH") ?? isOwnEnvironment(machine);
  return [...new Set([...named, ...prefersEnvironment ? [...ofEnvironment, ...user] : [...user, ...ofEnvironment], ...systemFolders(machine)])];
}

/** Inside a virtual environment or a conda environment other than the root, its folders come before the user's. */
function isOwnEnvironment({ environment }: JupyterMachine): boolean {
  if (environment.VIRTUAL_ENV) return true;
  return Boolean(environment.CONDA_PREFIX) && (environment.CONDA_DEFAULT_ENV ?? "base") !== "base";
}

/** Python's "user base"; inside a virtual environment Python has none. On macOS its path has Python's version, unknown here. */
function pythonUserFolder(machine: JupyterMachine): string[] {
  const { platform, homeFolder, environment } = machine;
  const path = pathOf(machine);
  if (environment.VIRTUAL_ENV) return [];
  if (environment.PYTHONUSERBASE) return [path.join(environment.PYTHONUSERBASE, "share", "jupyter")];
  if (platform === "win32") return environment.APPDATA ? [path.join(environment.APPDATA, "Python", "share", "jupyter")] : [];
  return [path.join(homeFolder, ".local", "share", "jupyter")];
}

/** Where the environment of the `jupyter` on the PATH lies: its real file is in <prefix>/bin or <prefix>\Scripts. */
function prefixOfJupyter(machine: JupyterMachine): string | null {
  const path = pathOf(machine);
  const program = machine.platform === "win32" ? "jupyter.exe" : "jupyter";
  const found = (machine.environment.PATH ?? "").split(path.delimiter).filter((folder) => folder !== "").map((folder) => path.join(folder, program)).find((candidate) => existsSync(candidate));
  return found === undefined ? null : path.dirname(path.dirname(realpathSync(found)));
}

function systemFolders(machine: JupyterMachine): string[] {
  const { platform, environment } = machine;
  if (platform !== "win32") return ["/usr/local/share/jupyter", "/usr/share/jupyter"];
  // Others may write there, so Jupyter reads it only when asked to.
  return isSet(machine, "JUPYTER_USE_PROGRAMDATA") === true && environment.PROGRAMDATA ? [win32.join(environment.PROGRAMDATA, "jupyter")] : [];
}
