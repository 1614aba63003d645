// The protocol thread: sockets, requests, history, TypeScript. Started by main.ts.
import { workerData } from "node:worker_threads";
import { KernelDebugger } from "../debug/kernelDebugger.ts";
import { RuntimeValues } from "../language/runtimeValues.ts";
import { CommTable, publishComm } from "../requests/comm.ts";
import { Dispatcher } from "../requests/dispatcher.ts";
import { History } from "../requests/history.ts";
import { HistoryFiles } from "../requests/historyFiles.ts";
import { InputRequests } from "../requests/input.ts";
import { abortCells } from "../requests/kernelState.ts";
import type { KernelState, TypeScriptParts } from "../requests/kernelState.ts";
import { endProcess } from "../requests/shutdown.ts";
import { Subshells } from "../requests/subshell.ts";
import { UsageMeter } from "../requests/usage.ts";
import type { MainMessage, WorkerStart } from "../runner/threadMessages.ts";
import { MainThread } from "./mainThread.ts";
import { Publisher } from "./publisher.ts";
import { KernelSockets } from "./sockets.ts";

/** How often an orphaned kernel looks for its parent, in ms. */
const PARENT_CHECK_MS = 1000;
/** The code that start and first cell compiled is kept for the next start when they are over, in ms. */
const CODE_CACHE_DELAY_MS = 1000;

await serve(workerData as WorkerStart);

async function serve(start: WorkerStart): Promise<void> {
  const { connection, language } = start;
  const sockets = new KernelSockets(connection);
  const publisher = new Publisher(sockets);
  let loading: Promise<TypeScriptParts> | null = null;
  const state: KernelState = {
    connection, language, sockets, publisher,
    mainThread: new MainThread(start.flags, start.heapLimitBytes, (message) => { void publishOutput(state, start, message); }),
    typescript: () => (loading ??= loadTypeScript(state, start)),
    history: new History(start.historyFolder === null ? null : new HistoryFiles(start.historyFolder)), comms: new CommTable(),
    input: new InputRequests(sockets, publisher, start.flags, start.inputPort),
    subshells: new Subshells(), usage: new UsageMeter(), abortCells: (cells) => abortCells({ sockets, publisher }, cells),
    debugger: new KernelDebugger({
      isCellRunning: () => state.mainThread.isRunning,
      publish: (event) => { void publisher.publish("debug_event", event, state.debugParent); },
    }),
    preparing: null, executionCount: 0, debugParent: {}, echoesWidgets: start.echoesWidgets,
  };
  state.mainThread.releasePause = (terminates) => { state.debugger.release(terminates); };
  state.input.isRefused = () => state.debugger.isEvaluating;
  const dispatcher = new Dispatcher(state);
  await sockets.open((channel, message) => dispatcher.receive(channel, message));
  // After the first questions of a client, which come at once, and before its first cell.
  setTimeout(() => { void state.typescript(); }, 1);
  if (start.followsParent) endWithParent(state);
}

/** The compiler takes a second to load, so it comes after the sockets. */
async function loadTypeScript(state: KernelState, start: WorkerStart): Promise<TypeScriptParts> {
  const { typescriptModule } = await import("../compile/typescript.ts");
  const { CellCompiler } = await import("../compile/cellCompiler.ts");
  const { CatchUp } = await import("../language/catchUp.ts");
  const { CellLanguage } = await import("../language/cellLanguage.ts");
  const { magicNames } = await import("../magics/magicTable.ts");
  const { LocalModules } = await import("../compile/localModules.ts");
  const compiler = new CellCompiler(start.folder, start.language);
  setTimeout(() => { typescriptModule.save(); }, CODE_CACHE_DELAY_MS).unref();
  const localModules = new LocalModules(() => compiler.moduleOptions, compiler.cellPath, compiler.store);
  localModules.answer(start.modulePort);
  localModules.answer(start.requirePort);
  const values = new RuntimeValues((expression, busyLimitMs) => state.mainThread.evaluate(expression, busyLimitMs));
  const language = new CellLanguage(compiler, { values, magics: magicNames() });
  return { compiler, language, catchUp: new CatchUp(compiler, language) };
}

async function publishOutput(state: KernelState, start: WorkerStart, message: MainMessage): Promise<void> {
  const { publisher, mainThread } = state;
  const request = "runId" in message ? mainThread.requestOf(message.runId) : null;
  const parent = request?.header ?? {};
  if (message.type === "stream" || message.type === "display" || message.type === "clear" || message.type === "comm") countDown(start);
  // Output of a silent cell is not for anyone.
  const isSilent = request?.content.silent === true;
  switch (message.type) {
    case "stream":
      if (!isSilent) publisher.stream(message.name, message.text, parent);
      break;
    case "display": {
      const transient = message.displayId === null ? {} : { display_id: message.displayId };
      if (!isSilent) await publisher.publish(message.isUpdate ? "update_display_data" : "display_data", { ...message.bundle, transient }, parent);
      break;
    }
    case "clear":
      if (!isSilent) await publisher.publish("clear_output", { wait: message.wait }, parent);
      break;
    case "input":
      await state.input.ask(request, message.prompt, message.isPassword);
      break;
    case "comm":
      await publishComm(state, message, parent);
      break;
    case "comm-target":
      state.comms.noteTarget(message.targetName);
      break;
    case "comm-taken":
      state.comms.delivery.taken(message.commId, message.serial, (next) => { mainThread.post(next); });
      break;
    case "exiting":
      await endProcess(state, message.code, message.signal);
      break;
    case "done":
    case "pong":
      break;
  }
}

function countDown({ flags }: WorkerStart): void {
  Atomics.sub(flags.outputBacklog, 0, 1);
  Atomics.notify(flags.outputBacklog, 0);
}

/** Jupyter may be killed without telling its kernels; an orphan has another parent. */
function endWithParent(state: KernelState): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) void endProcess(state, 0);
  }, PARENT_CHECK_MS);
}
