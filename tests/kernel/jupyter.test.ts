import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { installKernelspec } from "../../kernel/install.ts";
import { buildKernel, repositoryFolder, temporaryFolder } from "./kernelHarness.ts";

/** Installing three Python packages over a slow network. */
const SETUP_TIMEOUT_MS = 300_000;
const SUITE_TIMEOUT_MS = 300_000;

/** Makes the virtual environment once.
 *  @returns its Python, or why there is none */
function prepareJupyter(): { python: string } | { reason: string } {
  const folder = join(repositoryFolder, "build", "jupyter-venv");
  const python = join(folder, "bin", "python");
  const works = (): boolean => existsSync(python) && spawnSync(python, ["-c", "import jupyter_client, nbclient, jupyter_kernel_test"]).status === 0;
  if (works()) return { python };
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", folder]],
    [python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "jupyter_client", "nbclient", "jupyter_kernel_test"]],
  ];
  for (const [program, args] of steps) {
    const { status, error, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: SETUP_TIMEOUT_MS });
    if (status !== 0) return { reason: `${program} ${args.slice(0, 3).join(" ")} failed: ${error?.message ?? stderr.trim().split("\n").at(-1) ?? ""}` };
  }
  return works() ? { python } : { reason: "the installed packages can't be imported" };
}

const jupyter = prepareJupyter();
const reason = "reason" in jupyter ? jupyter.reason : "";
if (reason !== "") console.warn(`\n!!! The kernel was NOT tested under Jupyter's own clients: ${reason}\n`);

describe(`under Jupyter's own Python clients${reason === "" ? "" : ` (SKIPPED: ${reason})`}`, () => {
  let dataPath = "";
  beforeAll(() => {
    buildKernel();
    const prefix = temporaryFolder();
    installKernelspec({ prefix });
    dataPath = join(prefix, "share", "jupyter");
  });

  test.skipIf("reason" in jupyter).each([
    ["jupyter_kernel_test passes with every case configured", "conformance.py", 13],
    ["jupyter_client interrupts, restarts and gives input, and nbclient runs notebooks", "clients.py", 10],
  ])("%s", (_, script, count) => {
    const python = "python" in jupyter ? jupyter.python : "";
    const { status, stderr, stdout } = spawnSync(python, [join(import.meta.dirname, "jupyter", script)], {
      encoding: "utf8", timeout: SUITE_TIMEOUT_MS, env: { ...process.env, JUPYTER_PATH: dataPath },
    });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stderr).toContain(`Ran ${count} tests`);
    expect(stderr).not.toMatch(/skipped/i);
  }, SUITE_TIMEOUT_MS);
});
