import { StringDecoder } from "node:string_decoder";
import type { CellRuns } from "./cellRun.ts";
import type { CommMessage, MainMessage, OutputMessage, SharedFlags } from "./threadMessages.ts";

/** More output messages than this on their way, and the main thread waits for the worker: memory stays bounded. */
const MAX_BACKLOG = 20_000;
/** A wait is cut into pieces so that an interrupt gets through, in ms. */
const WAIT_SLICE_MS = 10;

/** Sends outputs to the worker, which publishes them, or to the sink of the running code. */
export class OutputSender {
  private readonly post: (message: MainMessage) => void;
  private readonly backlog: Int32Array;
  private readonly runs: CellRuns;

  constructor(post: (message: MainMessage) => void, flags: SharedFlags, runs: CellRuns) {
    this.post = post;
    this.backlog = flags.outputBacklog;
    this.runs = runs;
  }

  send(message: OutputMessage | CommMessage): void {
    const { sink } = this.runs.current;
    if (sink !== null && message.type !== "comm" && sink(message)) return;
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
      const text = textOf(decoder, chunk, typeof encodingOrDone === "string" ? encodingOrDone : "utf8");
      if (text !== "") output.send({ type: "stream", runId: runs.current.id, name, text });
      const finished = typeof encodingOrDone === "function" ? encodingOrDone : done;
      if (finished !== undefined) process.nextTick(finished);
      return true;
    };
    // Later cells write on, so the stream does not end; who waits for its end is told so.
    const end = (...given: (Uint8Array | string | (() => void))[]): unknown => {
      const [chunk, encoding] = given;
      if (chunk !== undefined && typeof chunk !== "function") write(chunk, typeof encoding === "string" ? encoding as BufferEncoding : undefined);
      for (const finished of given) if (typeof finished === "function") process.nextTick(finished);
      setImmediate(() => {
        process[name].emit("finish");
        process[name].emit("close");
      });
      return process[name];
    };
    Object.assign(process[name], { end });
    process[name].write = write;
    // Every cell may wait for it.
    process[name].setMaxListeners(0);
  }
}

/** Bytes may end within a character, whose rest comes with the next. */
function textOf(decoder: StringDecoder, chunk: Uint8Array | string, encoding: BufferEncoding): string {
  if (typeof chunk !== "string") return decoder.write(Buffer.from(chunk));
  return encoding === "utf8" || encoding === "utf-8" ? chunk : decoder.write(Buffer.from(chunk, encoding));
}
