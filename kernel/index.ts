// The public names of "moe-lab/kernel".
export { installKernelspec, kernelCommandLine, KERNEL_DISPLAY_NAME, KERNEL_NAME, kernelspecRoot, listKernelspecs, uninstallKernelspec } from "./install.ts";
export type { InstalledKernelspec, InstallOptions, InstallPlace } from "./install.ts";
export { dataFolders, thisMachine, userDataFolder } from "./kernelspec/folders.ts";
export type { JupyterMachine } from "./kernelspec/folders.ts";
export { KernelClient } from "./client/kernelClient.ts";
export type { ExecuteOptions } from "./client/kernelClient.ts";
export type { KernelCommand, KernelExit } from "./client/kernelProcess.ts";
export { readNotebook, writeNotebook } from "./client/notebook.ts";
export type { Notebook, NotebookCell, NotebookOutput } from "./client/notebook.ts";
export { notebookToHtml } from "./client/notebookHtml.ts";
export { injectParameters, notebookParameters } from "./client/parameters.ts";
export type { NotebookParameter } from "./client/parameters.ts";
export { runNotebook } from "./client/runNotebook.ts";
export type { CellEvent, CellFailure, RunNotebookOptions } from "./client/runNotebook.ts";
export type { OutputEvent } from "./client/cellOutputs.ts";
export { terminalReport } from "./client/terminalReport.ts";
export type { TerminalReport, TerminalStream } from "./client/terminalReport.ts";
export { KernelError, KernelProcessError, KernelspecError, NotebookError } from "./errors.ts";
