/** Runs notebooks and cells of the kernel in Jupyter's other programs: papermill, nbconvert, the console. Runs with PEERS=1. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import { installKernelspec } from "../../kernel/install.ts";
import { buildKernel, repositoryFolder } from "../kernel/kernelHarness.ts";

const PACKAGES = ["papermill==2.7.0", "nbconvert==7.17.2", "jupyter_console==6.6.3", "pexpect==4.9.0"];

/** @returns the folder of the programs, made on first use, or why there is none */
function jupyterPrograms(): { readonly bin: string } | { readonly problem: string } {
  if (process.env.PEERS !== "1") return { problem: "PEERS=1 is not set" };
  const folder = join(repositoryFolder, "build", "peers", "jupyter");
  const bin = join(folder, "bin");
  try {
    if (!existsSync(bin)) execFileSync("python3", ["-m", "venv", folder], { stdio: "pipe" });
    execFileSync(join(bin, "python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES], { stdio: "pipe", timeout: 600_000 });
    return { bin };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { problem: error.message.trim().split("\n").slice(0, 3).join(" ") };
  }
}

const found = jupyterPrograms();
const problem = "problem" in found ? found.problem : undefined;
if (problem !== undefined) console.warn(`tests/peers/jupyterPrograms.test.ts is SKIPPED, so papermill, nbconvert and jupyter console are unchecked: ${problem}`);

describe.skipIf(problem !== undefined)(`Jupyter's programs${problem === undefined ? "" : ` (SKIPPED: ${problem})`}`, () => {
  let folder = "", env: NodeJS.ProcessEnv = {};
  const run = (program: string, args: readonly string[], input?: string): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(join("bin" in found ? found.bin : "", program), args, { cwd: folder, env, encoding: "utf8", timeout: 120_000, input });

  beforeAll(() => {
    buildKernel();
    folder = mkdtempSync(join(tmpdir(), "moe lab peers "));
    installKernelspec({ prefix: folder });
    env = { ...process.env, JUPYTER_PATH: join(folder, "share", "jupyter") };
    const kernelspec = { name: "moe-lab", display_name: "TypeScript (MoE Lab)", language: "typescript" };
    writeNotebook(join(folder, "in.ipynb"), { metadata: { kernelspec }, cells: [
      createCodeCell("const n: number = 20\nfor (let i = 0; i < n; i++) console.log(i)"), createCodeCell("display({ 'text/html': '<i>shown</i>' }); n * 2"),
    ] });
  });

  const outputsOf = (path: string): unknown[] => readNotebook(path).cells.flatMap(({ outputs }) => outputs.map((output) => (output.output_type === "stream" ? output.text : output.output_type === "error" ? output.ename : output.data)));
  const expected = [Array.from({ length: 20 }, (_, line) => `${line}\n`).join(""), expect.objectContaining({ "text/html": "<i>shown</i>" }), expect.objectContaining({ "text/plain": "40" })];

  test("papermill runs a notebook", () => {
    const { status, stderr } = run("papermill", ["in.ipynb", "papermill.ipynb"]);
    expect(status, stderr).toBe(0);
    expect(outputsOf(join(folder, "papermill.ipynb"))).toEqual(expected);
  });

  test("nbconvert --execute runs a notebook, and makes a page of what our own runner wrote", () => {
    const executed = run("jupyter-nbconvert", ["--execute", "--to", "notebook", "--output", "nbconvert.ipynb", "in.ipynb"]);
    expect(executed.status, executed.stderr).toBe(0);
    expect(outputsOf(join(folder, "nbconvert.ipynb"))).toEqual(expected);
    execFileSync(process.execPath, [join(repositoryFolder, "dist", "toolkit", "cli", "main.js"), "notebook", "run", "in.ipynb", "--out", "ours.ipynb"], { cwd: folder, stdio: "pipe" });
    const page = run("jupyter-nbconvert", ["--to", "html", "ours.ipynb"]);
    expect(page.status, page.stderr).toBe(0);
    expect(readFileSync(join(folder, "ours.html"), "utf8")).toContain("<i>shown</i>");
  });

  test("the console starts, runs cells, asks for input, shows errors and ends", () => {
    const script = `
import pexpect, sys
child = pexpect.spawn(sys.argv[1], ["--kernel", "moe-lab", "--simple-prompt", "--no-confirm-exit", "--ZMQTerminalInteractiveShell.highlighting_style=bw"], encoding="utf8", timeout=60)
child.expect(r"In \\[1\\]: "); child.sendline("6 * 7")
child.expect(r"Out\\[1\\]: 42"); child.expect(r"In \\[2\\]: "); child.sendline("input('name? ').length")
child.expect(r"name\\? "); child.sendline("Grace")
child.expect(r"Out\\[2\\]: 5"); child.expect(r"In \\[3\\]: "); child.sendline("throw new Error('shown')")
child.expect("Error: shown"); child.expect(r"In \\[4\\]: "); child.sendeof()
child.expect(pexpect.EOF)
`;
    const { status, stderr, stdout } = run("python", ["-c", script, join("bin" in found ? found.bin : "", "jupyter-console")]);
    expect(status, `${stdout}${stderr}`).toBe(0);
  });
});
