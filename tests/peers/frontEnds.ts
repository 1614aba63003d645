/** JupyterLab and classic Notebook with ipywidgets from PyPI, served from a folder of their own and driven through headless
 *  Chromium: made on first use under build/peers. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installKernelspec, KERNEL_NAME } from "../../kernel/install.ts";

const RELEASES = ["jupyterlab==4.6.6", "nbclassic==1.3.3", "ipywidgets==8.1.9"];
const PLAYWRIGHT = "playwright-core@1.65.1";
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const START_TIMEOUT_MS = 120_000;
const root = join(import.meta.dirname, "..", "..");
const peersFolder = join(root, "build", "peers");
const venvFolder = join(peersFolder, "frontEnds");
const browserFolder = join(peersFolder, "browser");
/** The Python that has ipywidgets. */
export const python = join(venvFolder, "bin", "python");

/** The few things of playwright-core's API that are used here. */
export interface Locator {
  first(): Locator;
  last(): Locator;
  nth(index: number): Locator;
  locator(selector: string): Locator;
  click(options?: object): Promise<void>;
  focus(): Promise<void>;
  fill(text: string): Promise<void>;
  press(key: string): Promise<void>;
  waitFor(options?: object): Promise<void>;
  count(): Promise<number>;
  isVisible(): Promise<boolean>;
  innerText(): Promise<string>;
  allInnerTexts(): Promise<string[]>;
  scrollIntoViewIfNeeded(): Promise<void>;
}
export interface Page {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  close(): Promise<void>;
  locator(selector: string): Locator;
  screenshot(options: { path: string }): Promise<unknown>;
  on(event: "pageerror", listener: (error: Error) => void): void;
  on(event: "dialog", listener: (dialog: { accept(): Promise<void> }) => void): void;
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
}
export interface Browser {
  newPage(options: object): Promise<Page>;
  close(): Promise<void>;
}

/** Installs what is needed.
 *  @returns why the front ends can't be used here, or undefined */
export function setUpFrontEnds(): string | undefined {
  if (process.env.PEERS !== "1") return "PEERS=1 is not set";
  if (CHROMIUM.every((path) => !existsSync(path))) return `there is no Chromium (${CHROMIUM.join(", ")}); Debian's package is "chromium"`;
  const run = (command: string, args: readonly string[], cwd = root): void => {
    execFileSync(command, args, { cwd, stdio: "pipe", timeout: 600_000 });
  };
  try {
    mkdirSync(browserFolder, { recursive: true });
    if (!existsSync(python)) run("python3", ["-m", "venv", venvFolder]);
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...RELEASES]);
    if (!existsSync(join(browserFolder, "package.json"))) writeFileSync(join(browserFolder, "package.json"), "{\"private\":true}\n");
    if (!existsSync(join(browserFolder, "node_modules", "playwright-core"))) run("npm", ["install", "--no-audit", "--no-fund", "--silent", PLAYWRIGHT], browserFolder);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message.trim().split("\n").slice(0, 3).join(" ");
  }
}

export async function openBrowser(): Promise<Browser> {
  const module = pathToFileURL(join(browserFolder, "node_modules", "playwright-core", "index.mjs")).href;
  const { chromium } = await import(module) as { chromium: { launch(options: object): Promise<Browser> } };
  return chromium.launch({ executablePath: CHROMIUM.find((path) => existsSync(path)), args: ["--no-sandbox"] });
}

/** One code cell of a notebook. */
export interface Cell { readonly type?: "code" | "markdown"; readonly source: string }

/** A Jupyter server over a folder of notebooks inside the repository, so that cells find the package. */
export class JupyterServer {
  readonly url: string;
  readonly token: string;
  private readonly folder: string;
  private readonly home: string;
  private readonly process: ChildProcess;

  private constructor(url: string, token: string, folder: string, home: string, process: ChildProcess) {
    this.url = url;
    this.token = token;
    this.folder = folder;
    this.home = home;
    this.process = process;
  }

  static async start(): Promise<JupyterServer> {
    const folder = mkdtempSync(join(peersFolder, "notebooks-"));
    const home = mkdtempSync(join(tmpdir(), "moe-lab-jupyter-"));
    installKernelspec({ prefix: home });
    const port = await freePort();
    const token = "a-token-for-this-test";
    const child = spawn(python, [
      "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", `--port=${port}`, "--ServerApp.port_retries=0",
      `--IdentityProvider.token=${token}`, `--ServerApp.root_dir=${folder}`, "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ], { cwd: folder, stdio: "ignore", env: { ...process.env, HOME: home, JUPYTER_PATH: join(home, "share", "jupyter"), JUPYTER_CONFIG_DIR: home, JUPYTER_DATA_DIR: home, JUPYTER_RUNTIME_DIR: home } });
    const server = new JupyterServer(`http://127.0.0.1:${port}`, token, folder, home, child);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!await server.answers()) {
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`Jupyter did not start (exit code ${child.exitCode ?? "none"})`);
      await new Promise((next) => { setTimeout(next, 200); });
    }
    return server;
  }

  /** Writes a notebook that wants our kernel. */
  write(name: string, cells: readonly Cell[]): void {
    const written = cells.map(({ type = "code", source }, index) => ({
      id: `cell-${index}`, cell_type: type, metadata: {}, source, ...(type === "code" ? { outputs: [], execution_count: null } : {}),
    }));
    const kernelspec = { name: KERNEL_NAME, display_name: "TypeScript (MoE Lab)", language: "typescript" };
    writeFileSync(join(this.folder, name), JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: { kernelspec }, cells: written }));
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => { this.process.once("exit", resolve); });
    // Once: it asks nobody when there is no terminal, and ends its kernels.
    this.process.kill("SIGTERM");
    await ended;
    for (const folder of [this.folder, this.home]) rmSync(folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/api/status?token=${this.token}`)).ok;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => { resolve(port); });
    });
  });
}
