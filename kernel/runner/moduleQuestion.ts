import { receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";

/** A question to the worker, which has the TypeScript compiler. */
export interface ModuleQuestion {
  readonly id: number;
  /** version: of a local module; source: its JavaScript; commonjs: its JavaScript for require(); resolve: the file that
   *  an import of a package loads; cell: the module that a cell is, or nothing. */
  readonly kind: "version" | "source" | "commonjs" | "resolve" | "cell";
  /** Path of the file; of "resolve" the specifier. */
  readonly path: string;
  /** Set to 1 and notified when the answer is there, for who waits with Atomics. */
  readonly answered?: Int32Array;
}

export interface ModuleAnswer {
  readonly id: number;
  readonly text: string;
  readonly format: "module" | "commonjs";
  readonly error?: string;
}

/** Asks the worker and waits for its answer. */
export type AskWorker = (kind: ModuleQuestion["kind"], path: string) => ModuleAnswer;

/** A wait is cut into pieces so that a termination gets through, in ms. */
const WAIT_SLICE_MS = 100;

/** For what is synchronous in JavaScript: require() and import.meta.resolve(). */
export function createAskWorker(port: MessagePort): AskWorker {
  return (kind, path) => {
    const answered = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const question: ModuleQuestion = { id: 0, kind, path, answered };
    port.postMessage(question);
    while (Atomics.load(answered, 0) === 0) Atomics.wait(answered, 0, 0, WAIT_SLICE_MS);
    // The worker has sent it before it said so.
    return receiveMessageOnPort(port)?.message as ModuleAnswer;
  };
}
