import { Option, type Command } from "commander";
import { sep } from "node:path";
import { installKernelspec, KERNEL_DISPLAY_NAME, kernelCommandLine, kernelspecRoot, listKernelspecs, uninstallKernelspec } from "../../kernel/install.ts";
import type { InstalledKernelspec, InstallPlace } from "../../kernel/install.ts";
import { activeEnvironment, dataFolders, thisMachine, userDataFolder } from "../../kernel/kernelspec/folders.ts";
import { KERNELS } from "../../kernel/notebookLanguage.ts";
import type { NotebookLanguage } from "../../kernel/notebookLanguage.ts";
import { ConfigError } from "../errors.ts";

interface PlaceOptions { user?: boolean; sysPrefix?: boolean; prefix?: string }
interface InstallFlags extends PlaceOptions { language: NotebookLanguage; name?: string; displayName?: string; env: Record<string, string>; force?: boolean }

function placeOf(options: PlaceOptions): InstallPlace {
  const machine = thisMachine(process.env);
  if (options.prefix !== undefined) return { prefix: options.prefix };
  if (!options.sysPrefix) return { dataFolder: userDataFolder(machine) };
  const prefix = activeEnvironment(machine);
  if (prefix !== null) return { prefix };
  throw new ConfigError({
    code: "E_NO_ENVIRONMENT", what: "--sys-prefix was asked for outside a Python environment",
    why: "neither VIRTUAL_ENV nor CONDA_PREFIX is set", fix: "activate the environment first, or use --user or --prefix FOLDER",
  });
}

function withPlace(command: Command): Command {
  return command
    .addOption(new Option("--user", "for this user (the default)").conflicts(["sysPrefix", "prefix"]))
    .addOption(new Option("--sys-prefix", "in the active Python environment").conflicts(["user", "prefix"]))
    .addOption(new Option("--prefix <folder>", "in <folder>/share/jupyter/kernels").conflicts(["user", "sysPrefix"]));
}

function addVariable(text: string, earlier: Record<string, string>): Record<string, string> {
  const split = text.indexOf("=");
  if (split < 1) throw new ConfigError({ code: "E_ENV", what: `--env ${text} has no name and value`, why: "a variable is written NAME=value", fix: "for example --env MOE_LAB_THREADS=4" });
  return { ...earlier, [text.slice(0, split)]: text.slice(split + 1) };
}

function install(options: InstallFlags): void {
  const place = placeOf(options);
  const folder = installKernelspec(place, options);
  console.log(`Installed the kernel "${options.displayName ?? KERNELS[options.language].displayName}" in ${folder}`);
  const root = kernelspecRoot(place);
  const isSearched = dataFolders(thisMachine(process.env)).some((dataFolder) => kernelspecRoot({ dataFolder }) === root);
  console.log(isSearched ? "Choose it for a notebook in JupyterLab, Notebook or VS Code."
    : `Jupyter finds it there when it runs from that prefix, or with JUPYTER_PATH=${root.slice(0, -`${sep}kernels`.length)}`);
  if (kernelCommandLine().some((part) => part.includes(`${sep}_npx${sep}`))) {
    console.log("The package lies in npx's cache, which npm may clear. For good: npm install -g moe-lab && moe-lab kernel install");
  }
}

/** A kernelspec, and whether one of the same name in a folder that Jupyter searches earlier hides it. */
interface ListedKernelspec extends InstalledKernelspec { readonly isHidden: boolean }

function findKernelspecs(options: PlaceOptions): ListedKernelspec[] {
  const hasPlace = options.user === true || options.sysPrefix === true || options.prefix !== undefined;
  const places: InstallPlace[] = hasPlace ? [placeOf(options)] : dataFolders(thisMachine(process.env)).map((dataFolder) => ({ dataFolder }));
  const seen = new Set<string>();
  return places.flatMap((place) => listKernelspecs(place)).map((spec) => {
    const isHidden = seen.has(spec.name);
    seen.add(spec.name);
    return { ...spec, isHidden };
  });
}

function list(options: PlaceOptions & { json?: boolean }): void {
  const specs = findKernelspecs(options);
  if (options.json === true) {
    console.log(JSON.stringify(specs, null, 2));
    return;
  }
  for (const { name, displayName, folder, fault, isHidden } of specs) {
    console.log(`${name.padEnd(16)} ${displayName.padEnd(24)} ${folder}`);
    if (fault !== null) console.log(`${" ".repeat(17)}✗ ${fault}`);
    if (isHidden) console.log(`${" ".repeat(17)}· hidden by the one of the same name above`);
  }
  if (!specs.some(({ isOurs, fault }) => isOurs && fault === null)) console.log(`The kernel "${KERNEL_DISPLAY_NAME}" is not there. Install it with: npx moe-lab kernel install`);
}

function uninstall(options: InstallFlags): void {
  const name = options.name ?? KERNELS[options.language].kernelName;
  if (uninstallKernelspec(placeOf(options), options)) {
    console.log(`Removed the kernelspec ${name}.`);
    return;
  }
  const others = findKernelspecs({}).filter((spec) => spec.name === name);
  console.log(`The kernelspec ${name} was not installed there.${others.map(({ folder }) => `\nThere is one in ${folder}`).join("")}`);
}

const INSTALL_HELP = `
Examples:
  npx moe-lab kernel install                                   for this user: every Jupyter and VS Code of yours finds it
  npx moe-lab kernel install --sys-prefix                      in the active virtual or conda environment only
  npx moe-lab kernel install --prefix /usr/local               for all users of this machine
  npx moe-lab kernel install --language javascript             the kernel for JavaScript notebooks, beside the other
  npx moe-lab kernel install --name moe-lab-8 --display-name "TypeScript, 8 threads" --env MOE_LAB_THREADS=8

Python is not needed. The kernelspec remembers the places of this Node.js and of this package; when Node.js moves, the
node on the PATH serves; when the package moves, install again. Installing again replaces the kernelspec as a whole.
VS Code searches the user's folder and, with the Python extension, the environments.`;

/** `moe-lab kernel install | list | uninstall` */
export function addKernel(program: Command): void {
  const kernel = program.command("kernel").description("make the TypeScript and JavaScript kernels known to Jupyter");
  const named = (command: Command): Command => withPlace(command)
    .addOption(new Option("--language <language>", "what its notebooks are written in").choices(Object.keys(KERNELS)).default("typescript"))
    .option("--name <name>", `name by which notebooks refer to it (default: ${KERNELS.typescript.kernelName}; of JavaScript ${KERNELS.javascript.kernelName})`)
    .option("--force", "also where the kernelspec of that name is another program's");
  named(kernel.command("install").description("install the kernel for Jupyter and VS Code"))
    .option("--display-name <text>", `name that front ends show (default: ${KERNELS.typescript.displayName}; of JavaScript ${KERNELS.javascript.displayName})`)
    .option("--env <NAME=value>", "set a variable for the kernel; may be repeated", addVariable, {})
    .addHelpText("after", INSTALL_HELP).action(install);
  withPlace(kernel.command("list").description("list the kernels that Jupyter finds, with their folders and what is wrong with them; with a place, only those there"))
    .option("--json", "one JSON array for programs").action(list);
  named(kernel.command("uninstall").description("remove the kernel from a place")).action(uninstall);
}
