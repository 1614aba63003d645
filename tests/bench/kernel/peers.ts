/** The kernels that ours is compared with and the client that drives them all, in build/peers/kernels: made on first use. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How client.py starts and interrupts a kernel; each as its own kernelspec says. */
export interface KernelDescription {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly language: "typescript" | "python";
  readonly interruptMode: "message" | "signal";
  /** Folder to run in, where it must be a certain one. */
  readonly cwd?: string;
  /** Folder where @tensorflow/tfjs-core and moe-lab are found. */
  readonly libraryCwd?: string;
}

/** Deno's npm package has its programs in packages of their own, one for each system. */
const NPM_PACKAGES = ["tslab@1.0.22", "deno@2.9.6"];
const INSTALL_TIMEOUT_MS = 300_000;

const folder = join(process.cwd(), "build", "peers", "kernels");
const binary = (environment: string, name: string): string =>
  process.platform === "win32" ? join(environment, "Scripts", `${name}.exe`) : join(environment, "bin", name);

function run(program: string, args: readonly string[]): string | null {
  console.error(`$ ${program} ${args.join(" ")}`);
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", 2, 2], timeout: INSTALL_TIMEOUT_MS });
  return status === 0 ? null : `${program} ${args[0]} failed${error === undefined ? "" : `: ${error.message}`}`;
}

/** Does work once, as long as `wanted` stays the same.
 *  @returns null, or why it failed */
function once(stamp: string, wanted: string, work: () => string | null): string | null {
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return null;
  const failure = work();
  if (failure === null) writeFileSync(stamp, wanted);
  return failure;
}

/** A Python with jupyter_client and ipykernel.
 *  @throws Error when it can't be made: nothing can be measured without the client */
export function pythonWithClient(): string {
  const environment = join(folder, "python");
  const requirements = join(process.cwd(), "tests", "bench", "kernel", "requirements.txt");
  mkdirSync(folder, { recursive: true });
  const python = binary(environment, "python");
  const failure = once(join(folder, "python-stamp"), readFileSync(requirements, "utf8"), () =>
    run("python3", ["-m", "venv", environment]) ?? run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]));
  if (failure === null) return python;
  throw new Error(`${failure}; the bench needs python3 with venv, and once a way to PyPI for ${readFileSync(requirements, "utf8").trim().replaceAll("\n", ", ")}`);
}

/** The peers that run here; says on stderr which do not. */
export function peers(python: string): KernelDescription[] {
  const npmFolder = join(folder, "npm");
  mkdirSync(npmFolder, { recursive: true });
  const failure = once(join(folder, "npm-stamp"), NPM_PACKAGES.join("\n"), () =>
    run("npm", ["install", "--prefix", npmFolder, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", ...NPM_PACKAGES]));
  if (failure !== null) console.error(failure);
  const modules = join(npmFolder, "node_modules");
  const deno = ["linux-x64-glibc", "linux-arm64-glibc", "darwin-x64", "darwin-arm64"].map((system) => join(modules, "@deno", system, "deno")).find(existsSync);
  const tslab = join(modules, "tslab", "bin", "tslab");
  if (!existsSync(tslab)) console.error("tslab is not available here");
  if (deno === undefined) console.error("Deno is not available here");
  const noUpdates = { DENO_NO_UPDATE_CHECK: "1", DENO_DIR: join(folder, "deno") };
  return [
    ...(existsSync(tslab) ? [{ name: "tslab", argv: [process.execPath, tslab, "kernel", "--config-path={connection_file}"], env: {}, language: "typescript", interruptMode: "signal",
      // tslab knows console only where @types/node is found.
      cwd: npmFolder,
    } as const] : []),
    ...(deno === undefined ? [] : [{ name: "Deno", argv: [deno, "jupyter", "--kernel", "--conn", "{connection_file}"], env: noUpdates, language: "typescript", interruptMode: "signal" } as const]),
    { name: "ipykernel", argv: [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], env: {}, language: "python", interruptMode: "signal" },
  ];
}
