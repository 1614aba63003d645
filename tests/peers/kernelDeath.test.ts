/** Kernels that die under jupyter_client and its restarter. Runs with PEERS=1, in the virtual environment that
 *  tests/kernel/jupyter.test.ts makes. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { installKernelspec } from "../../kernel/install.ts";
import { buildKernel, repositoryFolder, temporaryFolder } from "../kernel/kernelHarness.ts";

const TIMEOUT_MS = 300_000;
const python = join(repositoryFolder, "build", "jupyter-venv", "bin", "python");

function reasonToSkip(): string {
  if (process.env.PEERS !== "1") return "PEERS=1 is not set";
  return existsSync(python) ? "" : `${python} is missing: run tests/kernel/jupyter.test.ts first`;
}

const reason = reasonToSkip();
if (reason !== "") console.warn(`\n!!! Dying kernels were NOT tested under jupyter_client: ${reason}\n`);

test.skipIf(reason !== "")("jupyter_client's restarter notices every kind of death and a fresh kernel takes over; a full heap kills no kernel", () => {
  buildKernel();
  const prefix = temporaryFolder();
  installKernelspec({ prefix });
  const { status, stderr, stdout } = spawnSync(python, [join(repositoryFolder, "tests", "kernel", "jupyter", "death.py")], {
    encoding: "utf8", timeout: TIMEOUT_MS,
    // A small heap: filling the usual one takes gigabytes.
    env: { ...process.env, JUPYTER_PATH: join(prefix, "share", "jupyter"), NODE_OPTIONS: "--max-old-space-size=400" },
  });
  expect(status, `${stdout}\n${stderr}`).toBe(0);
  expect(stderr).toContain("Ran 3 tests");
}, TIMEOUT_MS);
