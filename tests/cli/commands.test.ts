import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const main = join(import.meta.dirname, "..", "..", "dist", "toolkit", "cli", "main.js");
let home: string;
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-cli-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const cli = (args: string[], env: Record<string, string> = {}) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8", cwd: home, timeout: 60_000, env: { ...process.env, ...env } });

describe("moe-lab", () => {
  test("--help names every command", () => {
    const { stdout, status } = cli(["--help"]);
    expect(status).toBe(0);
    for (const command of ["quickstart", "notebook", "kernel", "promote", "serve", "generate", "doctor"]) expect(stdout).toContain(command);
  });

  test("an unknown command is refused with help", () => {
    const { stderr, status } = cli(["trian"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/unknown command 'trian'/);
  });

  test("doctor says what was found, which backend was chosen and why, and how to mend what is missing", () => {
    const findings = JSON.parse(cli(["doctor", "--json"]).stdout) as { name: string; found: string; state: string; fix?: string }[];
    const named = Object.fromEntries(findings.map((finding) => [finding.name, finding]));
    expect(named["Node.js"].found).toBe(process.version);
    expect(named.backend.found).toMatch(/^(native|cpu), \d+ threads?: /);
    for (const finding of findings) if (finding.state === "missing") expect(finding.fix).toBeTruthy();
  });

  test("doctor explains a missing compiler", () => {
    const { stdout } = cli(["doctor"], { MOE_LAB_NO_COMPILER: "1" });
    expect(stdout).toMatch(/✗ C\+\+ compiler/);
    expect(stdout).toMatch(/apt-get install g\+\+/);
  });

  test("an environment variable that can't be is refused by name", () => {
    const { stderr, status } = cli(["doctor"], { MOE_LAB_BACKEND: "cuda" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/E_BACKEND_NAME/);
  });

  test("kernel install writes a kernelspec into a folder with a space and uninstall removes it", () => {
    const prefix = join(home, "a folder");
    expect(cli(["kernel", "install", "--prefix", prefix]).status).toBe(0);
    const spec = JSON.parse(readFileSync(join(prefix, "share", "jupyter", "kernels", "moe-lab", "kernel.json"), "utf8")) as Record<string, unknown>;
    expect(spec).toMatchObject({ display_name: "TypeScript (MoE Lab)", language: "typescript", interrupt_mode: "message" });
    expect(cli(["kernel", "list", "--prefix", prefix]).stdout).toContain("TypeScript (MoE Lab)");
    expect(cli(["kernel", "uninstall", "--prefix", prefix]).status).toBe(0);
    expect(existsSync(join(prefix, "share", "jupyter", "kernels", "moe-lab"))).toBe(false);
  });
});

describe("bad input at the command line", () => {
  test.each<[string, () => string[], RegExp]>([
    ["a run without a checkpoint", () => ["promote", home, "--out", join(home, "out")], /E_NO_CHECKPOINT/],
    ["a bundle that isn't there", () => ["generate", join(home, "none"), "--prompt", "x"], /E_FOLDER_CORRUPT/],
    ["a bundle cut short", () => {
      mkdirSync(join(home, "cut"));
      writeFileSync(join(home, "cut", "bundle.json"), '{"format":1,"sha256":{"config.json":"00"}}');
      writeFileSync(join(home, "cut", "config.json"), "{}");
      truncateSync(join(home, "cut", "config.json"), 1);
      return ["generate", join(home, "cut"), "--prompt", "x"];
    }, /E_FOLDER_CORRUPT.*config\.json is cut short or changed/s],
  ])("%s gives code, what, why and fix on standard error, and exit code 1", (_, args, message) => {
    const { stderr, status } = cli(args());
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/why: .+\n.*fix: .+/s);
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});
