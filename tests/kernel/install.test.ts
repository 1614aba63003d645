import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { installKernelspec, kernelspecRoot, listKernelspecs, uninstallKernelspec } from "../../kernel/install.ts";
import { buildKernel, runCell, temporaryFolder } from "./kernelHarness.ts";

test("the kernelspec installs into a folder with a space, is listed, starts a kernel and is removed", async () => {
  buildKernel();
  const prefix = temporaryFolder();
  const folder = installKernelspec({ prefix });
  expect(folder).toBe(join(prefix, "share", "jupyter", "kernels", "moe-lab"));
  const spec: unknown = JSON.parse(readFileSync(join(folder, "kernel.json"), "utf8"));
  expect(spec).toMatchObject({ display_name: "TypeScript (MoE Lab)", language: "typescript", interrupt_mode: "message" });

  const [listed, ...others] = listKernelspecs({ prefix });
  expect(others).toEqual([]);
  expect(listed).toMatchObject({ name: "moe-lab", displayName: "TypeScript (MoE Lab)", folder });
  const client = await KernelClient.start({ argv: listed?.argv ?? [], cwd: prefix });
  expect((await runCell(client, "process.cwd()")).result).toBe(`'${prefix}'`);
  await client.shutdown();

  expect(uninstallKernelspec({ prefix })).toBe(true);
  expect(uninstallKernelspec({ prefix })).toBe(false);
  expect(listKernelspecs({ prefix })).toEqual([]);
});

test("the kernelspec names this Node.js and an existing main file by absolute paths", () => {
  buildKernel();
  const prefix = temporaryFolder();
  installKernelspec({ sysPrefix: prefix });
  const [spec] = listKernelspecs({ sysPrefix: prefix });
  const [node = "", flag, main = "", file] = spec?.argv ?? [];
  expect(node).toBe(process.execPath);
  expect(flag).toBe("--no-force-async-hooks-checks");
  expect(existsSync(main)).toBe(true);
  expect(file).toBe("{connection_file}");
});

test("installing again replaces the old kernelspec as a whole and leaves nothing beside it", () => {
  const prefix = temporaryFolder();
  const folder = installKernelspec({ prefix });
  writeFileSync(join(folder, "stale.js"), "");
  installKernelspec({ prefix });
  expect(readdirSync(folder).sort()).toEqual(["kernel.json", "logo-svg.svg"]);
  expect(readdirSync(kernelspecRoot({ prefix }))).toEqual(["moe-lab"]);
});

test("broken kernelspecs of others are left out of the list", () => {
  const prefix = temporaryFolder();
  mkdirSync(join(kernelspecRoot({ prefix }), "broken"), { recursive: true });
  writeFileSync(join(kernelspecRoot({ prefix }), "broken", "kernel.json"), "{");
  expect(listKernelspecs({ prefix })).toEqual([]);
});

test("a place that can't be written is a typed error with a fix", () => {
  const prefix = temporaryFolder();
  writeFileSync(join(prefix, "share"), "a file where a folder must be");
  expect(() => installKernelspec({ prefix })).toThrow(/E_KERNELSPEC_WRITE/);
});

test("the kernel says how it is used when started without a connection file", () => {
  buildKernel();
  const prefix = temporaryFolder();
  installKernelspec({ prefix });
  const [node = "", flag = "", main = ""] = listKernelspecs({ prefix })[0]?.argv ?? [];
  expect(() => execFileSync(node, [flag, main], { stdio: "pipe" })).toThrow(/usage:/);
});
