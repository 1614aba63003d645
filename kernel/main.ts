// The kernel process: `node --no-force-async-hooks-checks dist/kernel/main.js <connection file>`.
// This thread runs only the user's code; the worker has sockets, history and TypeScript.
import { inspect } from "node:util";
import { MessageChannel, Worker } from "node:worker_threads";
import { CellRuns } from "./runner/cellRun.ts";
import { createCellSignal } from "./runner/cellSignal.ts";
import { Comms } from "./runner/comms.ts";
import { createDisplay } from "./runner/display.ts";
import { Evaluator } from "./runner/evaluator.ts";
import { defineGlobals } from "./runner/globals.ts";
import { createImport } from "./runner/importer.ts";
import { createInput } from "./runner/input.ts";
import { captureStreams, OutputSender } from "./runner/output.ts";
import { Runner } from "./runner/runner.ts";
import { StackTraces } from "./runner/stackTraces.ts";
import { createSharedFlags } from "./runner/threadMessages.ts";
import type { MainMessage, WorkerMessage, WorkerStart } from "./runner/threadMessages.ts";
import { trackTimers } from "./runner/timers.ts";

const [connectionPath] = process.argv.slice(2);
if (connectionPath === undefined) {
  process.stderr.write("usage: node --no-force-async-hooks-checks dist/kernel/main.js <connection file>\n");
  process.exit(2);
}
startKernel(connectionPath);

function startKernel(path: string): void {
  const folder = process.cwd();
  const flags = createSharedFlags();
  const inputChannel = new MessageChannel();
  const moduleChannel = new MessageChannel();
  const start: WorkerStart = {
    connectionPath: path, folder, flags, inputPort: inputChannel.port1, modulePort: moduleChannel.port1,
    followsParent: process.env.JPY_PARENT_PID !== undefined,
  };
  const worker = new Worker(new URL("./protocol/worker.js", import.meta.url), {
    workerData: start, transferList: [inputChannel.port1, moduleChannel.port1],
  });
  const exit = process.exit.bind(process);
  const complain = process.stderr.write.bind(process.stderr);
  worker.on("error", (error) => {
    complain(`the kernel's protocol thread failed: ${inspect(error)}\n`);
    exit(1);
  });

  const post = (message: MainMessage): void => { worker.postMessage(message); };
  const runs = new CellRuns();
  const output = new OutputSender(post, flags);
  const stackTraces = new StackTraces(new URL(".", import.meta.url).href);
  const comms = new Comms(runs, post);
  const runner = new Runner({ post, runs, stackTraces, evaluator: new Evaluator("__moeLabThrown") });
  trackTimers(runs);
  stackTraces.install();
  captureStreams(runs, output);
  defineGlobals(folder, {
    comms,
    cellSignal: createCellSignal(runs, flags),
    display: createDisplay(runs, output),
    clearOutput: (wait = false) => { output.send({ type: "clear", runId: runs.current.id, wait }); },
    input: createInput(runs, post, flags, inputChannel.port2),
  }, {
    import: createImport(folder, moduleChannel.port2),
    result: (value) => { runner.takeResult(value); },
  });
  hideOwnWarnings();
  surviveUserErrors();
  exitThroughWorker(post);
  // Ctrl+C in a terminal reaches the whole process group; the client interrupts by message or ends the kernel.
  process.on("SIGINT", () => undefined);
  worker.on("message", (message: WorkerMessage) => {
    runs.reset();
    switch (message.type) {
      case "execute": void runner.execute(message); break;
      case "abort": runs.abort(message.runId); break;
      case "interrupt": runner.interrupt(message.runId); break;
      case "ping": post({ type: "pong", id: message.id }); break;
      case "comm": comms.receive(message); break;
      case "exit": exit(message.code);
    }
  });
}

/** Node.js warns of two features that the kernel itself uses for the user: vm's loader constant and JSON imports. */
function hideOwnWarnings(): void {
  const emitWarning = process.emitWarning.bind(process) as (warning: string | Error, ...rest: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!/vm\.USE_MAIN_CONTEXT_DEFAULT_LOADER|Importing JSON modules/.test(String(warning))) emitWarning(warning, ...rest);
  };
}

/** Errors of timers and forgotten promises are shown with the cell that made them, and the kernel goes on. */
function surviveUserErrors(): void {
  process.on("uncaughtException", (error) => { process.stderr.write(`Uncaught ${inspect(error)}\n`); });
  process.on("unhandledRejection", (reason) => { process.stderr.write(`Unhandled rejection: ${inspect(reason)}\n`); });
}

/** process.exit in a cell: Node.js aborts when zeromq sockets are open, so the worker closes them first. */
function exitThroughWorker(post: (message: MainMessage) => void): void {
  const forever = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  process.exit = (code) => {
    post({ type: "exiting", code: Number(code ?? process.exitCode ?? 0) });
    // The worker ends the process; process.exit must not return before.
    for (;;) Atomics.wait(forever, 0, 0);
  };
}
