import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createCodeCell, writeNotebook } from "../../kernel/client/notebook.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import { installKernelspec } from "../../kernel/install.ts";
import { dataFolders, thisMachine, userDataFolder } from "../../kernel/kernelspec/folders.ts";
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
    ["jupyter_kernel_test passes with every case configured", "conformance.py", 14],
    ["jupyter_client interrupts, restarts, shuts down, gives input and opens comms, and nbclient runs notebooks", "clients.py", 15],
    ["jupyter_client debugs a cell as front ends do", "debugger.py", 6],
  ])("%s", (_, script, count) => {
    const python = "python" in jupyter ? jupyter.python : "";
    const { status, stderr, stdout } = spawnSync(python, [join(import.meta.dirname, "jupyter", script)], {
      encoding: "utf8", timeout: SUITE_TIMEOUT_MS, env: { ...process.env, JUPYTER_PATH: dataPath },
    });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stderr).toContain(`Ran ${count} tests`);
    expect(stderr).not.toMatch(/skipped/i);
  }, SUITE_TIMEOUT_MS);

  test.skipIf("reason" in jupyter)("what the headless runner writes is valid to nbformat, widgets and all kinds of output included", async () => {
    const folder = temporaryFolder();
    const [inputPath, outputPath] = [join(folder, "in.ipynb"), join(folder, "out.ipynb")];
    writeNotebook(inputPath, { metadata: {}, cells: [
      { ...createCodeCell("# Title"), cell_type: "markdown", rest: { attachments: { "a.png": { "image/png": "AA==" } } } }, { ...createCodeCell("raw"), cell_type: "raw" },
      createCodeCell("let steps = 1", { tags: ["parameters"] }), createCodeCell("console.log(steps); console.error('e'); display({ 'application/json': ['a'], 'text/html': '<b>x\\ny</b>' }); new Map([[1, 2]])"),
      createCodeCell("comms.open('jupyter.widget', { state: { _model_name: 'M', _model_module: 'm', _model_module_version: '1.0.0' } })"), createCodeCell("throw new Error('x')"),
    ] });
    await runNotebook({ inputPath, outputPath, parameters: { steps: 2 } });
    const python = "python" in jupyter ? jupyter.python : "";
    const script = "import json, nbformat, sys, warnings; warnings.simplefilter('error'); n = nbformat.read(sys.argv[1], as_version=nbformat.NO_CONVERT); nbformat.validate(n)\n"
      + "print(n.nbformat, n.nbformat_minor, [o.output_type for c in n.cells if c.cell_type == 'code' for o in c.outputs], list(n.metadata.widgets))";
    const { status, stdout, stderr } = spawnSync(python, ["-c", script, outputPath], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("4 5 ['stream', 'stream', 'display_data', 'execute_result', ");
    expect(stdout).toContain("'error'] ['application/vnd.jupyter.widget-state+json']");
  });

  test.skipIf("reason" in jupyter).each<[string, Record<string, string>]>([
    ["nothing set", {}], ["JUPYTER_DATA_DIR", { JUPYTER_DATA_DIR: "/mine" }], ["XDG_DATA_HOME", { XDG_DATA_HOME: "/data" }], ["JUPYTER_PATH", { JUPYTER_PATH: "/one:/two/" }],
    ["JUPYTER_PLATFORM_DIRS", { JUPYTER_PLATFORM_DIRS: "1" }], ["JUPYTER_PREFER_ENV_PATH=0", { JUPYTER_PREFER_ENV_PATH: "0" }],
  ])("folders are searched as jupyter_core searches them: %s", (_, variables) => {
    const python = "python" in jupyter ? jupyter.python : "";
    const venv = join(repositoryFolder, "build", "jupyter-venv");
    const environment = { HOME: process.env.HOME ?? "/", PATH: "/usr/bin", VIRTUAL_ENV: venv, ...variables };
    const { stdout, stderr } = spawnSync(python, ["-c", "import json; from jupyter_core import paths; print(json.dumps([paths.jupyter_data_dir(), paths.jupyter_path()]))"], { encoding: "utf8", env: environment });
    const [dataFolder, path] = JSON.parse(stdout || "[]") as [string, string[]];
    expect(userDataFolder(thisMachine(environment)), stderr).toBe(dataFolder);
    expect(dataFolders(thisMachine(environment))).toEqual(path);
  });
});
