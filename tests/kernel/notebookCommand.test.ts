import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createCodeCell, readNotebook, writeNotebook } from "../../kernel/client/notebook.ts";
import type { NotebookCell } from "../../kernel/client/notebook.ts";
import { buildKernel, repositoryFolder, temporaryFolder } from "./kernelHarness.ts";

const main = join(repositoryFolder, "dist", "toolkit", "cli", "main.js");
beforeAll(() => { buildKernel(); });

interface Ended { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** Runs the command without blocking, so that the kernels of several tests start at the same time. */
function cli(cwd: string, args: readonly string[], onOutput?: (pid: number, stdout: string) => void): Promise<Ended> {
  const child = spawn(process.execPath, [main, "notebook", ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "", stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (child.pid !== undefined) onOutput?.(child.pid, stdout);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => { stderr += text; });
  return new Promise((resolve) => { child.once("close", (status) => { resolve({ status, stdout, stderr }); }); });
}

function folderWith(...cells: NotebookCell[]): string {
  const folder = temporaryFolder();
  writeNotebook(join(folder, "in.ipynb"), { cells, metadata: {} });
  return folder;
}
const parametersCell = createCodeCell("let steps: number = 1000\nlet label = 'default'", { tags: ["parameters"] });

describe.concurrent("moe-lab notebook run", () => {
  test("exit code 0: the executed notebook and the page are written, the one that was read is untouched", async () => {
    const folder = folderWith(parametersCell, createCodeCell("import { writeFileSync } from 'node:fs'; writeFileSync('here.txt', ''); console.log(steps + 1, label)"));
    const before = readFileSync(join(folder, "in.ipynb"), "utf8");
    writeFileSync(join(folder, "values.yaml"), "steps: 7\nlabel: from file\n");
    const { status, stdout, stderr } = await cli(folder, ["run", "in.ipynb", "--out", "new folder/out.ipynb", "--html", "page.html", "--param-file", "values.yaml", "--param", "label=007"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("8 007\n");
    expect(stdout).not.toContain("\u001b");
    expect(readNotebook(join(folder, "new folder", "out.ipynb")).cells.at(-1)?.outputs).toMatchObject([{ text: "8 007\n" }]);
    expect(readFileSync(join(folder, "page.html"), "utf8")).toContain("8 007\n");
    expect(readFileSync(join(folder, "in.ipynb"), "utf8")).toBe(before);
    expect(existsSync(join(folder, "here.txt"))).toBe(true);
  });

  test("exit code 1: a cell failed; the executed notebook holds the error and what ran before", async () => {
    const folder = folderWith(createCodeCell("console.log('ran')"), createCodeCell("throw new RangeError('here')"), createCodeCell("console.log('never')"));
    const { status, stderr } = await cli(folder, ["run", "in.ipynb", "--in-place"]);
    expect(status).toBe(1);
    expect(stderr).toContain("cell 2 of 3 (In [2]) failed: RangeError: here");
    expect(readNotebook(join(folder, "in.ipynb")).cells.map(({ outputs }) => outputs.map(({ output_type: type }) => type))).toEqual([["stream"], ["error"], []]);
    expect(readdirSync(folder)).toEqual(["in.ipynb"]);
  });

  test("exit code 3: a cell took longer than --timeout and is named", async () => {
    const folder = folderWith({ ...createCodeCell("# Title"), cell_type: "markdown" }, createCodeCell("for (;;) {}"));
    const { status, stderr } = await cli(folder, ["run", "in.ipynb", "--out", "out.ipynb", "--timeout", "4", "--allow-errors"]);
    expect(status).toBe(3);
    expect(stderr).toContain("cell 2 of 2 (In [1]) was interrupted: the cell took longer than 4 s");
    expect(readNotebook(join(folder, "out.ipynb")).cells[1]?.outputs).toMatchObject([{ output_type: "error", ename: "KeyboardInterrupt" }]);
  });

  test("exit code 4: the kernel died", async () => {
    const folder = folderWith(createCodeCell("process.exit(7)"), createCodeCell("1"));
    const { status, stderr } = await cli(folder, ["run", "in.ipynb", "--out", "out.ipynb"]);
    expect(status).toBe(4);
    expect(stderr).toMatch(/the kernel died in cell 1 of 2 .*code 7/);
    expect(existsSync(join(folder, "out.ipynb"))).toBe(true);
  });

  test.each([["SIGINT", 130], ["SIGTERM", 143]] as const)("%s interrupts the cell, writes the notebook and gives exit code %d", async (signal, code) => {
    const folder = folderWith(createCodeCell("console.log('running'); await new Promise(() => {})"));
    let isSent = false;
    const { status, stderr } = await cli(folder, ["run", "in.ipynb", "--out", "out.ipynb"], (pid, stdout) => {
      if (isSent || !stdout.includes("running\n")) return;
      isSent = true;
      process.kill(pid, signal);
    });
    expect(status).toBe(code);
    expect(stderr).toContain("cell 1 of 1 (In [1]) was interrupted: the run was stopped");
    expect(readNotebook(join(folder, "out.ipynb")).cells[0]?.outputs.map(({ output_type: type }) => type)).toEqual(["stream", "error"]);
  });

  test("a place that can't be written is refused before a cell has run", async () => {
    const folder = folderWith(createCodeCell("console.log('ran')"));
    writeFileSync(join(folder, "file"), "");
    const { status, stdout, stderr } = await cli(folder, ["run", "in.ipynb", "--out", "file/out.ipynb"]);
    expect(status).toBe(2);
    expect(stderr).toContain("E_NOTEBOOK_WRITE");
    expect(stdout).not.toContain("ran");
  });

  test.each<[string, string[], RegExp]>([
    ["a notebook that isn't there", ["run", "nothing.ipynb"], /E_NO_NOTEBOOK/],
    ["a file of another kind", ["run", "values.txt"], /E_NO_NOTEBOOK/],
    ["a notebook that is no JSON", ["run", "bad.ipynb"], /E_NOTEBOOK_READ/],
    ["a parameter without a value", ["run", "in.ipynb", "--param", "steps"], /E_PARAM/],
    ["a parameter that the notebook does not declare", ["run", "in.ipynb", "--param", "stpes=1"], /E_NOTEBOOK_PARAMETER[^]*declares steps, label/],
    ["a parameter of another type", ["run", "in.ipynb", "--param", "steps=ten"], /the notebook wants a number/],
    ["a parameter file that isn't there", ["run", "in.ipynb", "--param-file", "gone.yaml"], /E_PARAM_FILE/],
    ["a parameter file without names", ["run", "in.ipynb", "--param-file", "values.txt"], /E_PARAM_FILE/],
    ["no time", ["run", "in.ipynb", "--timeout", "soon"], /E_TIMEOUT/],
    ["an output that is the input", ["run", "in.ipynb", "--out", "./in.ipynb"], /E_OUT/],
    ["a page that is the input", ["run", "in.ipynb", "--html", "in.ipynb"], /E_OUT/],
    ["a folder that isn't there", ["run", "in.ipynb", "--kernel-cwd", "gone"], /E_KERNEL_CWD/],
    ["an option that isn't there", ["run", "in.ipynb", "--nosuch"], /unknown option '--nosuch'/],
    ["a page of a notebook that isn't there", ["html", "gone.ipynb", "--out", "a.html"], /E_NO_NOTEBOOK/],
  ])("exit code 2: %s", async (_, args, message) => {
    const folder = folderWith(parametersCell);
    writeFileSync(join(folder, "values.txt"), "only text");
    writeFileSync(join(folder, "bad.ipynb"), "{");
    const { status, stderr } = await cli(folder, args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});

test("moe-lab notebook html makes the page of a notebook without running it", () => {
  const folder = folderWith({ ...createCodeCell("throw new Error('not run')"), outputs: [{ output_type: "stream", name: "stdout", text: "stored" }] });
  const { status, stderr } = spawnSync(process.execPath, [main, "notebook", "html", "in.ipynb", "--out", "pages/in.html", "--title", "My page"], { cwd: folder, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(readFileSync(join(folder, "pages", "in.html"), "utf8")).toMatch(/<title>My page<\/title>[^]*stored/);
});

test("the help tells parameters, tags and exit codes", () => {
  const { status, stdout } = spawnSync(process.execPath, [main, "notebook", "run", "--help"], { encoding: "utf8" });
  expect(status).toBe(0);
  for (const word of ["parameters", "skip-execution", "raises-exception", "130", "--param-file"]) expect(stdout).toContain(word);
});
