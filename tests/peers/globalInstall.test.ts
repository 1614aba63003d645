/** Installs the packed package with npm as users do, globally into a prefix of its own, and runs its kernel where no project
 *  is. Runs with PEERS=1: npm fetches the dependencies, about 170 MB. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { buildKernel, repositoryFolder, runCell } from "../kernel/kernelHarness.ts";

const INSTALL_TIMEOUT_MS = 600_000;

/** @returns the prefix, or why there is none */
function installGlobally(): { readonly prefix: string } | { readonly problem: string } {
  if (process.env.PEERS !== "1") return { problem: "PEERS=1 is not set" };
  buildKernel();
  const prefix = mkdtempSync(join(tmpdir(), "moe lab prefix "));
  const npm = (...args: string[]): unknown => execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd: repositoryFolder, stdio: "pipe", timeout: INSTALL_TIMEOUT_MS });
  npm("pack", "--ignore-scripts", "--pack-destination", prefix);
  const packed = readdirSync(prefix).find((name) => name.endsWith(".tgz")) ?? "";
  try {
    npm("install", "--global", "--prefix", prefix, join(prefix, packed));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { problem: error.message.trim().split("\n").slice(0, 3).join(" ") };
  }
  return { prefix };
}

const found = installGlobally();
const problem = "problem" in found ? found.problem : undefined;
if (problem !== undefined) console.warn(`tests/peers/globalInstall.test.ts is SKIPPED, so the kernel of a global installation is unchecked with npm: ${problem}`);

describe.skipIf(problem !== undefined)(`npm install --global${problem === undefined ? "" : ` (SKIPPED: ${problem})`}`, () => {
  const prefix = "prefix" in found ? found.prefix : "";
  const data = join(prefix, "jupyter data");

  test.each([
    ["TypeScript", "moe-lab", [], "import { tf } from 'moe-lab'\nimport * as core from '@tensorflow/tfjs-core'\nconst sum: core.Tensor = core.add(1, 2)\nconst same: boolean = core === tf || core.Tensor === tf.Tensor\n"],
    ["JavaScript", "moe-lab-js", ["--language", "javascript"], "import { tf } from 'moe-lab'\nconst core = require('@tensorflow/tfjs-core')\nlet sum = 'text'\nsum = core.add(1, 2)\nconst same = core.Tensor === tf.Tensor\n"],
  ] as const)("its command installs the %s kernel, which has the toolkit in any folder", async (_, name, options, code) => {
    execFileSync(join(prefix, "bin", "moe-lab"), ["kernel", "install", ...options], { env: { ...process.env, JUPYTER_DATA_DIR: data }, stdio: "pipe" });
    const { argv } = JSON.parse(readFileSync(join(data, "kernels", name, "kernel.json"), "utf8")) as { argv: string[] };
    const cwd = mkdtempSync(join(tmpdir(), "moe lab empty "));
    mkdirSync(join(cwd, "notebooks"));
    const client = await KernelClient.start({ argv, cwd: join(cwd, "notebooks"), env: { MOE_LAB_BACKEND: "cpu" } });
    try {
      const report = await runCell(client, `${code};[same, sum.arraySync()]`);
      expect(report.reply.evalue).toBeUndefined();
      expect(report.result).toBe("[ true, 3 ]");
    } finally {
      await client.shutdown();
    }
  });
});
