// The kernel process: `node --no-force-async-hooks-checks dist/kernel/main.js <connection file>`.
// This thread runs only the user's code; the worker has sockets, history and TypeScript.
import process from "node:process";
import { inspect, parseArgs } from "node:util";
import v8 from "node:v8";
import { MessageChannel, Worker } from "node:worker_threads";
import { cacheFolder } from "./cacheFolder.ts";
import { KernelError } from "./errors.ts";
import { historyFolder } from "./historyFolder.ts";
import { thisMachine } from "./kernelspec/folders.ts";
import { isNotebookLanguage } from "./notebookLanguage.ts";
import type { NotebookLanguage } from "./notebookLanguage.ts";
import { readConnectionFile } from "./protocol/connectionFile.ts";
import type { ConnectionInfo } from "./protocol/connectionFile.ts";
import { guardAsyncHooks } from "./runner/asyncHooksGuard.ts";
import { CellRuns } from "./runner/cellRun.ts";
import { createCellSignal } from "./runner/cellSignal.ts";
import { captureChildOutput } from "./runner/childOutput.ts";
import { endChildrenOfStoppedCells } from "./runner/children.ts";
import { Comms } from "./runner/comms.ts";
import { createTslab, provideTslab, TSLAB_NAME } from "./display/tslab.ts";
import { createDisplay } from "./runner/display.ts";
import { Evaluator } from "./runner/evaluator.ts";
import { createCollectGarbage } from "./runner/garbage.ts";
import { defineGlobals } from "./runner/globals.ts";
import { createImport, createResolve } from "./runner/importer.ts";
import { createInput } from "./runner/input.ts";
import { inspectValue } from "./runner/inspectValue.ts";
import { LoadedModules } from "./runner/loadedModules.ts";
import { createAskWorker } from "./runner/moduleQuestion.ts";
import { createCellRequire, requireOwnPackages } from "./runner/requirer.ts";
import { captureStreams, OutputSender } from "./runner/output.ts";
import { Runner } from "./runner/runner.ts";
import { StackTraces } from "./runner/stackTraces.ts";
import { createSharedFlags } from "./runner/threadMessages.ts";
import type { MainMessage, WorkerMessage, WorkerStart } from "./runner/threadMessages.ts";
import { trackTimers } from "./runner/timers.ts";
import { createValueReader } from "./runner/valueReader.ts";
import { createWidgets } from "./widgets/namespace.ts";
import { WidgetRegistry } from "./widgets/registry.ts";

/** Exit code for a wrong command line or connection file. */
const EXIT_USAGE = 2;

/** The worker's short-lived objects get half of V8's usual space: 12 MB less memory after some cells, no slower. */
const YOUNG_GENERATION_MB = 16;

const { values: { language }, positionals: [connectionPath] } = parseArgs({ options: { language: { type: "string", default: "typescript" } }, allowPositionals: true, strict: false });
if (connectionPath === undefined || typeof language !== "string" || !isNotebookLanguage(language)) {
  process.stderr.write("usage: node --no-force-async-hooks-checks dist/kernel/main.js [--language javascript] <connection file>\n");
  process.exit(EXIT_USAGE);
}
startKernel(connectionOrExit(connectionPath), language);

function connectionOrExit(path: string): ConnectionInfo {
  try {
    return readConnectionFile(path);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(EXIT_USAGE);
  }
}

function startKernel(connection: ConnectionInfo, language: NotebookLanguage): void {
  const folder = process.cwd();
  const flags = createSharedFlags();
  const inputChannel = new MessageChannel();
  const moduleChannel = new MessageChannel();
  const requireChannel = new MessageChannel();
  const start: WorkerStart = {
    connection, language, folder, flags, historyFolder: historyFolder(thisMachine(process.env)), inputPort: inputChannel.port1, modulePort: moduleChannel.port1,
    requirePort: requireChannel.port1,
    heapLimitBytes: v8.getHeapStatistics().heap_size_limit,
    followsParent: process.env.JPY_PARENT_PID !== undefined,
    // Source: ipywidgets.readthedocs.io/en/stable/changelog.html (8.0): echoes are on unless switched off.
    echoesWidgets: !/^(0|0\.0|n|no|f|false|off)$/i.test(process.env.JUPYTER_WIDGETS_ECHO ?? ""),
    cacheFolder: cacheFolder(process.env),
  };
  const worker = new Worker(new URL("./protocol/worker.js", import.meta.url), {
    workerData: start, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    transferList: [inputChannel.port1, moduleChannel.port1, requireChannel.port1],
  });
  const exit = process.exit.bind(process);
  const complain = process.stderr.write.bind(process.stderr);
  worker.on("error", (error) => {
    // Of a known error, such as a port in use, the message says what to do; for the rest the stack is needed.
    const isKnown = "fix" in error;
    complain(isKnown ? `${error.message}\n` : `the kernel's protocol thread failed: ${inspect(error)}\n`);
    exit(isKnown ? EXIT_USAGE : 1);
  });

  const post = (message: MainMessage): void => { worker.postMessage(message); };
  const runs = new CellRuns();
  const output = new OutputSender(post, flags, runs);
  const stackTraces = new StackTraces(new URL(".", import.meta.url).href);
  const comms = new Comms(runs, (message) => { output.send(message); }, (targetName) => { post({ type: "comm-target", targetName }); });
  const widgets = new WidgetRegistry({ runs, comms, stackTraces });
  const runner = new Runner({
    post: (message) => {
      if (message.type === "done") widgets.flush();
      post(message);
    },
    runs, stackTraces, evaluator: new Evaluator("__moeLabThrown", runs),
  });
  const ask = createAskWorker(requireChannel.port2);
  const loaded = new LoadedModules();
  trackTimers(runs);
  endChildrenOfStoppedCells(runs);
  captureChildOutput(runs, flags);
  stackTraces.install();
  captureStreams(runs, output);
  const display = createDisplay(runs, output);
  const tslab = createTslab(display);
  provideTslab(tslab);
  requireOwnPackages();
  defineGlobals(folder, {
    comms, display,
    widgets: createWidgets(widgets, display),
    cellSignal: createCellSignal(runs, flags),
    clearOutput: (wait = false) => { output.send({ type: "clear", runId: runs.current.id, wait }); },
    input: createInput(runs, post, flags, inputChannel.port2),
    require: createCellRequire(folder, ask, loaded),
  }, {
    import: createImport(folder, moduleChannel.port2, loaded, new Map([[TSLAB_NAME, tslab]])),
    result: (value) => { runner.takeResult(value); },
    values: createValueReader(),
    resolve: createResolve(folder, ask),
    collectGarbage: createCollectGarbage(),
  });
  hideOwnWarnings();
  const clearAsyncIds = guardAsyncHooks();
  surviveUserErrors();
  exitThroughWorker(post);
  // Ctrl+C in a terminal reaches the whole process group; the client interrupts by message or ends the kernel.
  process.on("SIGINT", () => undefined);
  worker.on("message", (message: WorkerMessage) => {
    runs.reset();
    clearAsyncIds();
    Atomics.store(flags.isInSyncChild, 0, 0);
    switch (message.type) {
      case "execute": void runner.execute(message); break;
      case "abort": runs.abort(message.runId); break;
      case "interrupt": runner.interrupt(message.runId); break;
      case "ping": post({ type: "pong", id: message.id }); break;
      case "comm":
        comms.receive(message);
        post({ type: "comm-taken", commId: message.commId, serial: message.serial });
        break;
      case "exit": exit(message.code);
    }
  });
}

/** Node.js warns of features that the kernel itself uses: vm's loader constant, JSON imports, its async bookkeeping. */
function hideOwnWarnings(): void {
  const emitWarning = process.emitWarning.bind(process) as (warning: string | Error, ...rest: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!/vm\.USE_MAIN_CONTEXT_DEFAULT_LOADER|Importing JSON modules|process\.binding\('async_wrap'\)/.test(String(warning))) emitWarning(warning, ...rest);
  };
}

/** Errors of timers and forgotten promises are shown with the cell that made them, and the kernel goes on. */
function surviveUserErrors(): void {
  process.on("uncaughtException", (error) => { process.stderr.write(`Uncaught ${inspectValue(error)}\n`); });
  process.on("unhandledRejection", (reason) => { process.stderr.write(`Unhandled rejection: ${inspectValue(reason)}\n`); });
}

/** process.exit and process.abort in a cell: Node.js aborts when zeromq sockets are open, and what the cell printed last
 *  may not be sent yet, so the worker closes them first. */
function exitThroughWorker(post: (message: MainMessage) => void): void {
  const forever = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const end = (code: number, signal: NodeJS.Signals | null): never => {
    post({ type: "exiting", code, signal });
    // The worker ends the process; process.exit must not return before.
    for (;;) Atomics.wait(forever, 0, 0);
  };
  process.exit = (code) => end(Number(code ?? process.exitCode ?? 0), null);
  process.abort = () => end(0, "SIGABRT");
}
