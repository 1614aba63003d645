// The protocol thread: sockets, requests, history, TypeScript. Started by main.ts.
import { workerData } from "node:worker_threads";
import { CommTable, publishComm } from "../requests/comm.ts";
import { Dispatcher } from "../requests/dispatcher.ts";
import { History } from "../requests/history.ts";
import { InputRequests } from "../requests/input.ts";
import type { KernelState, TypeScriptParts } from "../requests/kernelState.ts";
import { endProcess } from "../requests/shutdown.ts";
import type { MainMessage, WorkerStart } from "../runner/threadMessages.ts";
import { readConnectionFile } from "./connectionFile.ts";
import { MainThread } from "./mainThread.ts";
import { Publisher } from "./publisher.ts";
import { KernelSockets } from "./sockets.ts";

/** How often an orphaned kernel looks for its parent, in ms. */
const PARENT_CHECK_MS = 1000;

await serve(workerData as WorkerStart);

async function serve(start: WorkerStart): Promise<void> {
  const connection = readConnectionFile(start.connectionPath);
  const sockets = new KernelSockets(connection);
  const publisher = new Publisher(sockets);
  let loading: Promise<TypeScriptParts> | null = null;
  const state: KernelState = {
    connection, sockets, publisher,
    mainThread: new MainThread(start.flags, (message) => { void publishOutput(state, start, message); }),
    typescript: () => (loading ??= loadTypeScript(start)),
    history: new History(), comms: new CommTable(),
    input: new InputRequests(sockets, start.flags, start.inputPort),
    preparing: null, executionCount: 0,
  };
  const dispatcher = new Dispatcher(state);
  await sockets.open((channel, message) => { void dispatcher.receive(channel, message); });
  // After the first questions of a client, which come at once, and before its first cell.
  setTimeout(() => { void state.typescript(); }, 1);
  if (start.followsParent) endWithParent(state);
}

/** The compiler takes a second to load, so it comes after the sockets. */
async function loadTypeScript(start: WorkerStart): Promise<TypeScriptParts> {
  const { CellCompiler } = await import("../compile/cellCompiler.ts");
  const { CellLanguage } = await import("../compile/language.ts");
  const { LocalModules } = await import("../compile/localModules.ts");
  new LocalModules().answer(start.modulePort);
  const compiler = new CellCompiler(start.folder);
  return { compiler, language: new CellLanguage(compiler) };
}

async function publishOutput(state: KernelState, start: WorkerStart, message: MainMessage): Promise<void> {
  const { publisher, mainThread } = state;
  const request = "runId" in message ? mainThread.requestOf(message.runId) : null;
  const parent = request?.header ?? {};
  if (message.type === "stream" || message.type === "display" || message.type === "clear") countDown(start);
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
    case "exiting":
      await endProcess(state, message.code);
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
