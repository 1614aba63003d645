import type { JupyterServer, Locator, Page } from "./frontEnds.ts";

/** A notebook in a page of either front end. */
export interface NotebookPage {
  readonly page: Page;
  /** Opens a notebook and waits until its kernel is idle. */
  open(name: string): Promise<void>;
  cell(index: number): Locator;
  /** Everything that a code cell shows. */
  output(index: number): Promise<string>;
  /** What stands beside a code cell: "[3]:", "[*]:", … */
  prompt(index: number): Promise<string>;
  /** Runs a code cell without waiting for its end. */
  run(index: number): Promise<void>;
  runAll(): Promise<void>;
  /** Presses the stop button. */
  interrupt(): Promise<void>;
  /** Presses the restart button, confirms, and waits until the kernel is idle. */
  restart(): Promise<void>;
  save(): Promise<void>;
  waitUntilIdle(): Promise<void>;
  /** Puts the cursor behind text written at the end of a code cell. */
  write(index: number, text: string): Promise<void>;
  readonly inputField: Locator;
  readonly completions: Locator;
  readonly tooltip: Locator;
}

/** Starting a kernel on a loaded machine. */
const IDLE_TIMEOUT_MS = 90_000;

export class LabPage implements NotebookPage {
  readonly page: Page;
  private readonly server: JupyterServer;

  constructor(page: Page, server: JupyterServer) {
    this.page = page;
    this.server = server;
  }

  async open(name: string): Promise<void> {
    // A workspace of its own: tabs of other tests stay away.
    await this.page.goto(`${this.server.url}/lab/workspaces/${name.replace(/\W/g, "")}/tree/${name}?token=${this.server.token}&reset`);
    await this.cell(0).waitFor({ timeout: IDLE_TIMEOUT_MS });
    await this.waitUntilIdle();
  }

  cell(index: number): Locator {
    return this.page.locator(".jp-Notebook .jp-CodeCell").nth(index);
  }

  async output(index: number): Promise<string> {
    return (await this.cell(index).locator(".jp-Cell-outputWrapper .jp-OutputArea").first().innerText()).trim();
  }

  prompt(index: number): Promise<string> {
    return this.cell(index).locator(".jp-InputPrompt").innerText();
  }

  async run(index: number): Promise<void> {
    await this.cell(index).locator(".cm-content").click();
    await this.page.keyboard.press("Shift+Enter");
  }

  async runAll(): Promise<void> {
    await this.page.locator(".lm-MenuBar-item >> text=Run").click();
    await this.page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click();
  }

  async interrupt(): Promise<void> {
    await this.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name='interrupt'] jp-button").click();
  }

  async restart(): Promise<void> {
    await this.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name='restart'] jp-button").click();
    await this.page.locator(".jp-Dialog .jp-mod-accept").click();
    await this.page.locator("#jp-main-statusbar >> text=/Restarting|Starting|Connecting|Unknown/").waitFor({ timeout: 5000 }).catch(() => undefined);
    await this.waitUntilIdle();
  }

  async save(): Promise<void> {
    await this.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name='save'] jp-button").click();
    await this.page.locator(".lm-TabBar-tab.jp-mod-dirty").waitFor({ state: "hidden" });
  }

  waitUntilIdle(): Promise<void> {
    return this.page.locator("#jp-main-statusbar >> text=/\\| Idle/").waitFor({ timeout: IDLE_TIMEOUT_MS });
  }

  async write(index: number, text: string): Promise<void> {
    await this.cell(index).locator(".cm-content").click();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  get inputField(): Locator {
    return this.page.locator(".jp-Stdin-input");
  }

  get completions(): Locator {
    return this.page.locator(".jp-Completer:not(.lm-mod-hidden)");
  }

  get tooltip(): Locator {
    return this.page.locator(".jp-Tooltip");
  }
}

export class ClassicPage implements NotebookPage {
  readonly page: Page;
  private readonly server: JupyterServer;

  constructor(page: Page, server: JupyterServer) {
    this.page = page;
    this.server = server;
    // "Leave this page?"
    page.on("dialog", (dialog) => { void dialog.accept(); });
  }

  async open(name: string): Promise<void> {
    await this.page.goto(`${this.server.url}/notebooks/${name}?token=${this.server.token}`);
    await this.cell(0).waitFor({ timeout: IDLE_TIMEOUT_MS });
    await this.waitUntilIdle();
  }

  cell(index: number): Locator {
    return this.page.locator(".code_cell").nth(index);
  }

  async output(index: number): Promise<string> {
    return (await this.cell(index).locator(".output_wrapper").first().innerText()).trim();
  }

  prompt(index: number): Promise<string> {
    return this.cell(index).locator(".input_prompt").innerText();
  }

  async run(index: number): Promise<void> {
    await this.cell(index).locator(".CodeMirror-code").click();
    await this.page.keyboard.press("Shift+Enter");
  }

  async runAll(): Promise<void> {
    await this.page.locator("#menus a:text-is('Cell')").click();
    await this.page.locator("#run_all_cells a").click();
  }

  async interrupt(): Promise<void> {
    await this.page.locator("button[data-jupyter-action='jupyter-notebook:interrupt-kernel']").click();
  }

  async restart(): Promise<void> {
    await this.page.locator("button[data-jupyter-action='jupyter-notebook:confirm-restart-kernel']").click();
    await this.page.locator(".modal.in .btn-danger").click();
    await this.page.locator(".modal").waitFor({ state: "hidden" });
    await this.page.locator("#kernel_indicator_icon.kernel_idle_icon").waitFor({ state: "hidden", timeout: 5000 }).catch(() => undefined);
    await this.waitUntilIdle();
  }

  async save(): Promise<void> {
    await this.page.locator("button[data-jupyter-action='jupyter-notebook:save-notebook']").click();
    await this.page.locator("#autosave_status >> text=unsaved").waitFor({ state: "hidden" });
  }

  waitUntilIdle(): Promise<void> {
    return this.page.locator("#kernel_indicator_icon.kernel_idle_icon").waitFor({ timeout: IDLE_TIMEOUT_MS });
  }

  async write(index: number, text: string): Promise<void> {
    await this.cell(index).locator(".CodeMirror-code").click();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  get inputField(): Locator {
    return this.page.locator("input.raw_input");
  }

  get completions(): Locator {
    return this.page.locator("#complete");
  }

  get tooltip(): Locator {
    return this.page.locator("#tooltip:not(.hide)");
  }
}
