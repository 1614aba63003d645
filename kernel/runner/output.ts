import { StringDecoder } from "node:string_decoder";
import type { CellRuns } from "./cellRun.ts";
import type { MainMessage, SharedFlags } from "./threadMessages.ts";

/** More output messages than this on their way, and the main thread waits for the worker: memory stays bounded. */
const MAX_BACKLOG = 20_000;
/** A wait is cut into pieces so that an interrupt gets through, in ms. */
const WAIT_SLICE_MS = 10;

/** Sends outputs to the worker, which publishes them. */
export class OutputSender {
  private readonly post: (message: MainMessage) => void;
  private readonly backlog: Int32Array;

  constructor(post: (message: MainMessage) => void, flags: SharedFlags) {
    this.post = post;
    this.backlog = flags.outputBacklog;
  }

  send(message: MainMessage): void {
    for (;;) {
      const backlog = Atomics.load(this.backlog, 0);
      if (backlog <= MAX_BACKLOG) break;
      Atomics.wait(this.backlog, 0, backlog, WAIT_SLICE_MS);
    }
    Atomics.add(this.backlog, 0, 1);
    this.post(message);
  }
}

/** Turns process.stdout and process.stderr into stream outputs of the cell that writes. */
export function captureStreams(runs: CellRuns, output: OutputSender): void {
  for (const name of ["stdout", "stderr"] as const) {
    const decoder = new StringDecoder("utf8");
    const write = (chunk: Uint8Array | string, encodingOrDone?: BufferEncoding | ((error?: Error) => void), done?: (error?: Error) => void): boolean => {
      const text = typeof chunk === "string" ? chunk : decoder.write(Buffer.from(chunk));
      if (text !== "") output.send({ type: "stream", runId: runs.current.id, name, text });
      const finished = typeof encodingOrDone === "function" ? encodingOrDone : done;
      if (finished !== undefined) process.nextTick(finished);
      return true;
    };
    process[name].write = write;
  }
}
