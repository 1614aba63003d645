import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { installKernelspec, kernelCommandLine, kernelspecRoot, listKernelspecs, uninstallKernelspec } from "../../kernel/install.ts";
import type { InstalledKernelspec } from "../../kernel/install.ts";
import { dataFolders, userDataFolder } from "../../kernel/kernelspec/folders.ts";
import type { JupyterMachine } from "../../kernel/kernelspec/folders.ts";
import { startScript } from "../../kernel/kernelspec/startScript.ts";
import { buildKernel, repositoryFolder, runCell, temporaryFolder } from "./kernelHarness.ts";

function specOf(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folder, "kernel.json"), "utf8")) as Record<string, unknown>;
}

/** A kernelspec that another program put under our name. */
function foreignKernelspec(prefix: string): string {
  const folder = join(kernelspecRoot({ prefix }), "moe-lab");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "kernel.json"), JSON.stringify({ argv: ["/bin/sh", "other.sh", "{connection_file}"], display_name: "Other" }));
  return folder;
}

describe("installing", () => {
  test("a kernelspec in a folder with a space, a quote and an umlaut is listed, starts a kernel and is removed", async () => {
    buildKernel();
    const prefix = join(temporaryFolder(), "Zoë's \"env\" $HOME");
    const folder = installKernelspec({ prefix });
    expect(folder).toBe(join(prefix, "share", "jupyter", "kernels", "moe-lab"));

    const [listed, ...others] = listKernelspecs({ prefix });
    expect(others).toEqual([]);
    expect(listed).toMatchObject({ name: "moe-lab", displayName: "TypeScript (MoE Lab)", folder, isOurs: true, fault: null });
    const client = await KernelClient.start({ argv: listed?.argv ?? [], cwd: prefix });
    expect((await runCell(client, "process.cwd().endsWith('$HOME')")).result).toBe("true");
    // The process id that Jupyter started is the kernel's own: a signal reaches it.
    expect((await runCell(client, "process.pid")).result).toBe(String(client.process.pid));
    await client.shutdown();

    expect(uninstallKernelspec({ prefix })).toBe(true);
    expect(uninstallKernelspec({ prefix })).toBe(false);
    expect(listKernelspecs({ prefix })).toEqual([]);
  });

  test("the kernelspec says what front ends need: language, interrupts by message, a debugger, absolute paths", () => {
    const spec = specOf(installKernelspec({ prefix: temporaryFolder() }));
    expect(spec).toMatchObject({ display_name: "TypeScript (MoE Lab)", language: "typescript", interrupt_mode: "message", metadata: { debugger: true } });
    const argv = spec.argv as string[];
    expect(argv.at(-1)).toBe("{connection_file}");
    for (const path of argv.slice(0, -1)) expect(existsSync(path), path).toBe(true);
    expect(spec).not.toHaveProperty("env");
  });

  test("name, display name and variables can be chosen, so that several kernels stand side by side", () => {
    const prefix = temporaryFolder();
    installKernelspec({ prefix });
    const folder = installKernelspec({ prefix }, { name: "moe-lab-8", displayName: "Eight threads", env: { MOE_LAB_THREADS: "8" } });
    expect(specOf(folder)).toMatchObject({ display_name: "Eight threads", env: { MOE_LAB_THREADS: "8" } });
    expect(listKernelspecs({ prefix }).map(({ name }) => name)).toEqual(["moe-lab", "moe-lab-8"]);
    expect(uninstallKernelspec({ prefix }, { name: "moe-lab-8" })).toBe(true);
    expect(listKernelspecs({ prefix }).map(({ name }) => name)).toEqual(["moe-lab"]);
  });

  test("the kernelspec of JavaScript stands beside the other, also under tslab's name, and starts a kernel of JavaScript", async () => {
    const prefix = temporaryFolder();
    installKernelspec({ prefix });
    const folder = installKernelspec({ prefix }, { language: "javascript" });
    installKernelspec({ prefix }, { language: "javascript", name: "jslab" });
    expect(listKernelspecs({ prefix }).map(({ name, displayName, isOurs, fault }) => [name, displayName, isOurs, fault])).toEqual([
      ["jslab", "JavaScript (MoE Lab)", true, null], ["moe-lab", "TypeScript (MoE Lab)", true, null], ["moe-lab-js", "JavaScript (MoE Lab)", true, null],
    ]);
    const { argv, language } = specOf(folder) as { argv: string[]; language: string };
    expect(language).toBe("javascript");
    const client = await KernelClient.start({ argv, cwd: prefix });
    expect((await runCell(client, "let kind = 1; kind = 'JavaScript'; kind")).result).toBe("'JavaScript'");
    await client.shutdown();
    expect(uninstallKernelspec({ prefix }, { language: "javascript" })).toBe(true);
    expect(listKernelspecs({ prefix }).map(({ name }) => name)).toEqual(["jslab", "moe-lab"]);
  });

  test.each(["../escape", "Two Words", "", ".hidden", "Upper"])("the name %j, which Jupyter would not find, is refused", (name) => {
    const prefix = temporaryFolder();
    expect(() => installKernelspec({ prefix }, { name })).toThrow(/E_KERNELSPEC_NAME/);
    expect(() => uninstallKernelspec({ prefix }, { name })).toThrow(/E_KERNELSPEC_NAME/);
  });

  test.each([32, 64])("the logo of %d pixels is a PNG of that size", (size) => {
    const png = readFileSync(join(installKernelspec({ prefix: temporaryFolder() }), `logo-${size}x${size}.png`));
    expect(png.subarray(0, 8).toString("latin1")).toBe("\u0089PNG\r\n\u001a\n");
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([size, size]);
    const dataLength = png.readUInt32BE(33);
    expect(png.toString("latin1", 37, 41)).toBe("IDAT");
    expect(inflateSync(png.subarray(41, 41 + dataLength))).toHaveLength(size * (1 + 4 * size));
  });

  test("installing again replaces the old kernelspec as a whole and leaves nothing beside it", () => {
    const prefix = temporaryFolder();
    const folder = installKernelspec({ prefix });
    writeFileSync(join(folder, "stale.js"), "");
    installKernelspec({ prefix });
    expect(readdirSync(folder).sort()).toEqual(["kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg", "start.sh"]);
    expect(readdirSync(kernelspecRoot({ prefix }))).toEqual(["moe-lab"]);
  });

  test("what is installed for all users can be read by all users", () => {
    const folder = installKernelspec({ prefix: temporaryFolder() });
    expect(statSync(folder).mode & 0o055).toBe(0o055 & ~process.umask());
    for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o044, file).toBe(0o044 & ~process.umask());
  });

  test("a kernelspec of the same name that another program wrote is neither replaced nor removed, unless forced", () => {
    const prefix = temporaryFolder();
    const folder = foreignKernelspec(prefix);
    expect(() => installKernelspec({ prefix })).toThrow(/E_KERNELSPEC_FOREIGN/);
    expect(() => uninstallKernelspec({ prefix })).toThrow(/E_KERNELSPEC_FOREIGN/);
    expect(specOf(folder).display_name).toBe("Other");
    installKernelspec({ prefix }, { force: true });
    expect(specOf(folder).display_name).toBe("TypeScript (MoE Lab)");
  });

  test("a kernelspec of the first release, which has no mark, is replaced", () => {
    const prefix = temporaryFolder();
    writeFileSync(join(foreignKernelspec(prefix), "kernel.json"), JSON.stringify({ argv: kernelCommandLine(), display_name: "Old" }));
    expect(specOf(installKernelspec({ prefix })).display_name).toBe("TypeScript (MoE Lab)");
  });

  test("a place that can't be written is a typed error with a fix", () => {
    const prefix = temporaryFolder();
    writeFileSync(join(prefix, "share"), "a file where a folder must be");
    expect(() => installKernelspec({ prefix })).toThrow(/E_KERNELSPEC_WRITE/);
  });
});

describe("listing", () => {
  const listed = (name: string, kernelJson: string | null): InstalledKernelspec | undefined => {
    const prefix = temporaryFolder();
    const folder = join(kernelspecRoot({ prefix }), name);
    mkdirSync(folder, { recursive: true });
    if (kernelJson !== null) writeFileSync(join(folder, "kernel.json"), kernelJson);
    return listKernelspecs({ prefix })[0];
  };
  test.each([
    ["no kernel.json", null, "kernel.json can't be read (ENOENT)"],
    ["cut short", "{", "kernel.json is not JSON"],
    ["no argv", "{}", "kernel.json has no argv"],
    ["empty argv", "{\"argv\":[]}", "argv is empty"],
    ["a program that is gone", "{\"argv\":[\"/gone/python\"]}", "/gone/python does not exist"],
    ["a package that is gone", "{\"argv\":[\"/bin/sh\"],\"metadata\":{\"moe-lab\":{\"node\":\"/gone/node\",\"main\":\"/gone/main.js\"}}}", "the package is no longer at /gone/main.js"],
  ])("a broken kernelspec is listed with what is wrong: %s", (_, kernelJson, fault) => {
    expect(listed("broken", kernelJson)).toMatchObject({ name: "broken", fault });
  });

  test("a link to a kernelspec is listed, files and hidden folders beside it are not", () => {
    const prefix = temporaryFolder();
    const folder = installKernelspec({ prefix });
    symlinkSync(folder, join(dirname(folder), "linked"));
    writeFileSync(join(dirname(folder), "notes.txt"), "");
    mkdirSync(join(dirname(folder), ".moe-lab-x"));
    expect(listKernelspecs({ prefix }).map(({ name }) => name)).toEqual(["linked", "moe-lab"]);
  });
});

test("moe-lab kernel list shows the kernels of all of Jupyter's folders, and which are hidden or broken", () => {
  buildKernel();
  const home = temporaryFolder();
  const [first, second] = [join(home, "first"), join(home, "second")];
  for (const prefix of [first, second]) installKernelspec({ prefix });
  mkdirSync(join(kernelspecRoot({ prefix: second }), "broken"));
  const main = join(repositoryFolder, "dist", "toolkit", "cli", "main.js");
  const list = (...args: string[]): string => spawnSync(process.execPath, [main, "kernel", "list", ...args], {
    encoding: "utf8", env: { HOME: home, PATH: "/nowhere", JUPYTER_PATH: `${join(first, "share", "jupyter")}:${join(second, "share", "jupyter")}` },
  }).stdout;
  const found = JSON.parse(list("--json")) as { name: string; folder: string; fault: string | null; isHidden: boolean }[];
  expect(found.map(({ name, fault, isHidden }) => [name, fault, isHidden])).toEqual([["moe-lab", null, false], ["broken", "kernel.json can't be read (ENOENT)", false], ["moe-lab", null, true]]);
  expect(list()).toMatch(/✗ kernel\.json can't be read[^]*· hidden by the one of the same name above/);
  expect(list("--user")).toBe("The kernel \"TypeScript (MoE Lab)\" is not there. Install it with: npx moe-lab kernel install\n");
});

describe("starting after things have moved", () => {
  /** A package that prints its flags and arguments in place of a kernel. */
  const start = (node: string, mainExists: boolean, env: NodeJS.ProcessEnv = process.env): { status: number | null; stdout: string; stderr: string } => {
    const folder = join(temporaryFolder(), "it's $(here)");
    mkdirSync(folder);
    const main = join(folder, "main.js");
    if (mainExists) writeFileSync(main, "console.log(JSON.stringify([process.execArgv, process.argv.slice(2)]))");
    const script = join(folder, "start.sh");
    writeFileSync(script, startScript({ node, flags: ["--no-warnings"], main, options: [] }));
    return spawnSync("/bin/sh", [script, "connection file.json"], { encoding: "utf8", env });
  };

  test("the script hands flags and the connection file to Node.js", () => {
    expect(start(process.execPath, true)).toMatchObject({ status: 0, stdout: "[[\"--no-warnings\"],[\"connection file.json\"]]\n", stderr: "" });
  });

  test("when Node.js has moved, the node on the PATH serves", () => {
    expect(start("/gone/node", true, { PATH: dirname(process.execPath) })).toMatchObject({ status: 0, stderr: "" });
  });

  test("when there is no Node.js any more, the message says so and what to do", () => {
    const { status, stderr } = start("/gone/node", true, { PATH: "/nowhere" });
    expect(status).toBe(127);
    expect(stderr).toMatch(/can't start: Node\.js is no longer at \/gone\/node, and there is no node on the PATH\nFix: install Node\.js, then run once more: npx moe-lab kernel install\n/);
  });

  test("when the package is gone, the message says so and what to do", () => {
    const { status, stderr } = start(process.execPath, false);
    expect(status).toBe(127);
    expect(stderr).toMatch(/the package is no longer at .*it's \$\(here\)\/main\.js\nFix: install moe-lab again/);
  });

  test("a kernelspec whose folder has moved is listed as broken", () => {
    const prefix = temporaryFolder();
    installKernelspec({ prefix });
    const moved = `${prefix} moved`;
    renameSync(prefix, moved);
    expect(listKernelspecs({ prefix: moved })[0]?.fault).toMatch(/start\.sh does not exist$/);
  });
});

// Expected: docs.jupyter.org/en/latest/use/jupyter-directories.html and jupyter_core 5.9's paths.py; jupyter.test.ts compares with jupyter_core itself.
describe("Jupyter's folders", () => {
  const machine = (platform: NodeJS.Platform, environment: JupyterMachine["environment"] = {}): JupyterMachine =>
    ({ platform, homeFolder: platform === "win32" ? "C:\\Users\\Zoë Q" : "/home/zoë q", environment });

  test.each<[string, JupyterMachine, string]>([
    ["Linux", machine("linux"), "/home/zoë q/.local/share/jupyter"],
    ["Linux with XDG_DATA_HOME", machine("linux", { XDG_DATA_HOME: "/data" }), "/data/jupyter"],
    ["macOS", machine("darwin"), "/home/zoë q/Library/Jupyter"],
    ["macOS, where XDG_DATA_HOME counts nothing", machine("darwin", { XDG_DATA_HOME: "/data" }), "/home/zoë q/Library/Jupyter"],
    ["macOS with JUPYTER_PLATFORM_DIRS", machine("darwin", { JUPYTER_PLATFORM_DIRS: "1" }), "/home/zoë q/Library/Application Support/Jupyter"],
    ["Windows", machine("win32", { APPDATA: "C:\\Users\\Zoë Q\\AppData\\Roaming" }), "C:\\Users\\Zoë Q\\AppData\\Roaming\\jupyter"],
    ["Windows without APPDATA", machine("win32"), "C:\\Users\\Zoë Q\\.jupyter\\data"],
    ["Windows with JUPYTER_PLATFORM_DIRS", machine("win32", { JUPYTER_PLATFORM_DIRS: "true", LOCALAPPDATA: "D:\\Local" }), "D:\\Local\\Jupyter"],
    ["JUPYTER_DATA_DIR on Linux", machine("linux", { JUPYTER_DATA_DIR: "/mine", XDG_DATA_HOME: "/data" }), "/mine"],
    ["JUPYTER_DATA_DIR on Windows", machine("win32", { JUPYTER_DATA_DIR: "E:\\mine", APPDATA: "C:\\a" }), "E:\\mine"],
  ])("the user's is where Jupyter looks: %s", (_, where, expected) => {
    expect(userDataFolder(where)).toBe(expected);
  });

  test("they are searched in Jupyter's order: JUPYTER_PATH, the user's, the system's", () => {
    expect(dataFolders(machine("linux", { JUPYTER_PATH: "/one:/two/" }))).toEqual(["/one", "/two", "/home/zoë q/.local/share/jupyter", "/usr/local/share/jupyter", "/usr/share/jupyter"]);
    expect(dataFolders(machine("win32", { JUPYTER_PATH: "C:\\one;D:\\two", APPDATA: "C:\\a" }))).toEqual(["C:\\one", "D:\\two", "C:\\a\\jupyter", "C:\\a\\Python\\share\\jupyter"]);
  });

  test("an active virtual environment comes before the user's folder, a root conda environment after it", () => {
    expect(dataFolders(machine("linux", { VIRTUAL_ENV: "/venv" })).slice(0, 2)).toEqual(["/venv/share/jupyter", "/home/zoë q/.local/share/jupyter"]);
    expect(dataFolders(machine("linux", { VIRTUAL_ENV: "/venv", JUPYTER_PREFER_ENV_PATH: "0" })).slice(0, 2)).toEqual(["/home/zoë q/.local/share/jupyter", "/venv/share/jupyter"]);
    expect(dataFolders(machine("linux", { CONDA_PREFIX: "/conda", CONDA_DEFAULT_ENV: "base" })).slice(0, 2)).toEqual(["/home/zoë q/.local/share/jupyter", "/conda/share/jupyter"]);
    expect(dataFolders(machine("linux", { CONDA_PREFIX: "/conda/envs/x", CONDA_DEFAULT_ENV: "x" }))[0]).toBe("/conda/envs/x/share/jupyter");
  });

  test("the environment of the jupyter on the PATH is found through links", () => {
    const prefix = temporaryFolder();
    mkdirSync(join(prefix, "venv", "bin"), { recursive: true });
    mkdirSync(join(prefix, "bin"));
    writeFileSync(join(prefix, "venv", "bin", "jupyter"), "");
    symlinkSync(join(prefix, "venv", "bin", "jupyter"), join(prefix, "bin", "jupyter"));
    expect(dataFolders(machine("linux", { PATH: `/nowhere:${join(prefix, "bin")}` }))).toContain(join(prefix, "venv", "share", "jupyter"));
  });
});

test("the kernel says how it is used when started without a connection file, or with a language that it does not have", () => {
  buildKernel();
  const [node = "", flag = "", main = ""] = kernelCommandLine();
  expect(() => execFileSync(node, [flag, main], { stdio: "pipe" })).toThrow(/usage:/);
  expect(() => execFileSync(node, [flag, main, "--language", "cobol", "file.json"], { stdio: "pipe" })).toThrow(/usage:/);
});
