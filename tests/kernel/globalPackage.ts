import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { kernelCommandLine } from "../../kernel/install.ts";
import { buildKernel, repositoryFolder, temporaryFolder } from "./kernelHarness.ts";

/** Lays the package down as `npm install -g` would, without npm: its files are copies, its dependencies are this
 *  project's. tests/peers/globalInstall.test.ts does the same with npm.
 *  @returns the package's folder */
export function globalPackage(): string {
  buildKernel();
  const folder = join(temporaryFolder(), "lib", "node_modules", "moe-lab");
  mkdirSync(folder, { recursive: true });
  for (const path of ["package.json", "dist", join("build", "tfjsGradients.mjs")]) cpSync(join(repositoryFolder, path), join(folder, path), { recursive: true });
  symlinkSync(join(repositoryFolder, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Starts the kernel of a package that lies elsewhere, on the cpu backend: there is no addon, and none is to be built.
 *  @param cwd the notebook's folder */
export function startKernelOf(packageFolder: string, cwd: string): Promise<KernelClient> {
  const argv = kernelCommandLine().map((part) => part.replace(repositoryFolder, packageFolder));
  return KernelClient.start({ argv, cwd, env: { MOE_LAB_BACKEND: "cpu" } });
}
