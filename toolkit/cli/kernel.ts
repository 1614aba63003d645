import { Option, type Command } from "commander";
import { installKernelspec, KERNEL_NAME, listKernelspecs, uninstallKernelspec, type InstallPlace } from "../../kernel/install.ts";
import { ConfigError } from "../errors.ts";

interface PlaceOptions { user?: boolean; sysPrefix?: boolean; prefix?: string }

function placeOf(options: PlaceOptions): InstallPlace {
  if (options.prefix !== undefined) return { prefix: options.prefix };
  if (!options.sysPrefix) return { user: true };
  const sysPrefix = process.env.VIRTUAL_ENV ?? process.env.CONDA_PREFIX;
  if (sysPrefix !== undefined) return { sysPrefix };
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

/** `moe-lab kernel install | list | uninstall` */
export function addKernel(program: Command): void {
  const kernel = program.command("kernel").description("make the TypeScript kernel known to Jupyter");
  withPlace(kernel.command("install").description(`install the kernelspec ${KERNEL_NAME}`)).action((options: PlaceOptions) => {
    console.log(`Installed the kernel "TypeScript (MoE Lab)" in ${installKernelspec(placeOf(options))}\nChoose it for a notebook in JupyterLab, Notebook or VS Code.`);
  });
  withPlace(kernel.command("list").description("list the kernelspecs of a place")).action((options: PlaceOptions) => {
    const specs = listKernelspecs(placeOf(options));
    for (const { name, displayName, folder } of specs) console.log(`${name.padEnd(16)} ${displayName.padEnd(24)} ${folder}`);
    if (specs.length === 0) console.log("No kernelspecs there. Install ours with: npx moe-lab kernel install");
  });
  withPlace(kernel.command("uninstall").description(`remove the kernelspec ${KERNEL_NAME}`)).action((options: PlaceOptions) => {
    console.log(uninstallKernelspec(placeOf(options)) ? `Removed the kernelspec ${KERNEL_NAME}.` : `The kernelspec ${KERNEL_NAME} was not installed there.`);
  });
}
