import inspector from "node:inspector";
import { types } from "node:util";
import type { CellRuns } from "./cellRun.ts";
import { BigInt, Number, Promise, Set, SyntaxError } from "./intrinsics.ts";

/** How a script ended. */
export type Evaluation =
  | { readonly kind: "finished" }
  | { readonly kind: "threw"; readonly thrown: unknown }
  /** V8 refused the script; position counted from 1. */
  | { readonly kind: "refused"; readonly message: string; readonly line: number; readonly column: number }
  | { readonly kind: "terminated" };

const OBJECT_GROUP = "cell";

/** Evaluates scripts in this thread's global scope through an inspector session: only V8's REPL mode has both
 *  top-level await and names that outlive the script. */
export class Evaluator {
  private readonly session = new inspector.Session();
  /** Where the session's function puts a thrown object, since the protocol itself passes only descriptions. */
  private readonly thrownName: string;
  private readonly runs: CellRuns;
  private thrown: unknown;
  /** Promises of the scripts that have not ended. When one is garbage collected, as after `await new Promise(() => {})`,
   *  V8 calls the session's callback in the middle of the collection, and Node.js 22 and 24 abort. */
  private readonly unsettled = new Set<object>();

  /** @param thrownName name of a global property that may be used to pass thrown values */
  constructor(thrownName: string, runs: CellRuns) {
    this.runs = runs;
    this.thrownName = thrownName;
    Object.defineProperty(globalThis, thrownName, { set: (value: unknown) => { this.thrown = value; }, enumerable: false });
    this.session.connect();
  }

  evaluate(expression: string): Promise<Evaluation> {
    // Node's typings don't know replMode.
    const parameters = { expression, replMode: true, awaitPromise: true, objectGroup: OBJECT_GROUP };
    return new Promise((resolve) => {
      let scriptPromise: object | null = null;
      let hasEnded = false;
      const ended = (error: Error | null, response: inspector.Runtime.EvaluateReturnType | undefined): void => {
        hasEnded = true;
        if (scriptPromise !== null) this.unsettled.delete(scriptPromise);
        if (error !== null || response === undefined) {
          resolve({ kind: "terminated" });
          return;
        }
        resolve(response.exceptionDetails === undefined ? { kind: "finished" } : this.failure(response.exceptionDetails));
        // V8 keeps the values it described until told otherwise.
        if (response.exceptionDetails === undefined && response.result.objectId === undefined) return;
        this.session.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
      };
      // In REPL mode every script is an async function: the first promise made is its own.
      scriptPromise = this.runs.firstPromiseOf(() => { this.session.post("Runtime.evaluate", parameters, ended); });
      if (scriptPromise !== null && !hasEnded) this.unsettled.add(scriptPromise);
    });
  }

  private failure(details: inspector.Runtime.ExceptionDetails): Evaluation {
    const { exception, lineNumber, columnNumber } = details;
    if (exception?.objectId === undefined) {
      if (exception?.unserializableValue !== undefined) return { kind: "threw", thrown: numberOf(exception.unserializableValue) };
      return exception === undefined ? { kind: "terminated" } : { kind: "threw", thrown: exception.value as unknown };
    }
    this.session.post("Runtime.callFunctionOn", {
      objectId: exception.objectId, functionDeclaration: `function () { "use strict"; ${this.thrownName} = this; }`,
    });
    const thrown = this.thrown;
    this.thrown = undefined;
    // isNativeError first: instanceof runs a proxy's traps.
    const isEarly = types.isNativeError(thrown) && thrown instanceof SyntaxError && details.stackTrace === undefined && !/^\s+at .*(\.ts|\b(cell|unnumbered)-\d+\.js):/m.test(String(thrown.stack));
    if (isEarly) return { kind: "refused", message: thrown.message, line: lineNumber + 1, column: columnNumber + 1 };
    return { kind: "threw", thrown };
  }
}

/** NaN, -0, an infinity or a bigint, from the text that the inspector protocol has for it. */
function numberOf(text: string): number | bigint {
  return text.endsWith("n") ? BigInt(text.slice(0, -1)) : Number(text);
}
