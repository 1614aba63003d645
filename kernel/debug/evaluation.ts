import type { Debugger, Runtime } from "node:inspector";
import { DebugRequestError } from "../errors.ts";
import { isJsonObject, objectField } from "../protocol/json.ts";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import type { DisplayBundle } from "../runner/threadMessages.ts";
import { debugScript } from "./debugScript.ts";
import type { InspectorConnection } from "./inspectorConnection.ts";
import { valueText } from "./valueText.ts";
import { OBJECT_GROUP } from "./variables.ts";

/** An expression that runs longer is ended, in ms: Node.js hands the main thread no other command before, not even
 *  that of an interrupt. */
const TIMEOUT_MS = 3000;
/** A display method may return a promise; after this long the value is shown as text, in ms. */
const DISPLAY_TIMEOUT_MS = 2000;

/** Evaluates what the user types, in a frame or in the global scope. */
export class Evaluation {
  private readonly connection: InspectorConnection;
  /** Evaluations under way; input() is refused in them. */
  private running = 0;

  constructor(connection: InspectorConnection) {
    this.connection = connection;
  }

  get isRunning(): boolean {
    return this.running > 0;
  }

  /** The value of TypeScript code.
   *  @param call the frame to evaluate in, or null for the global scope
   *  @param isPure refuse code with effects, for a value that is only looked at
   *  @throws DebugRequestError E_DEBUG_EVALUATE */
  async evaluate(code: string, call: Debugger.CallFrame | null, isPure = false): Promise<Runtime.RemoteObject> {
    const script = debugScript(code);
    if ("message" in script) throw failed(code, script.message);
    const { result, exceptionDetails } = await this.run(script.javascript, call, { generatePreview: true, throwOnSideEffect: isPure });
    if (exceptionDetails === undefined) return result;
    const { exception, text } = exceptionDetails;
    throw failed(code, exception === undefined ? text : valueText({ ...exception, preview: undefined }));
  }

  /** How a variable shows itself in a notebook: by its display method, else as text.
   *  @param path name of the variable, or of a part of it
   *  @param isPaused no promise can settle while the main thread stands
   *  @throws DebugRequestError E_DEBUG_EVALUATE */
  async bundle(path: string, call: Debugger.CallFrame | null, isPaused: boolean): Promise<DisplayBundle> {
    const value = await this.evaluate(path, call);
    const showing = this.run(`${RUNTIME_NAME}.debug.bundle(${path})`, call, { returnByValue: true, ...(isPaused ? {} : { awaitPromise: true }) });
    const bundle: unknown = (await within(showing, DISPLAY_TIMEOUT_MS))?.result.value;
    // Where a display method fails, never ends or can't wait, its value is there for text.
    if (!isJsonObject(bundle) || !isJsonObject(bundle.data)) return { data: { "text/plain": valueText(value) }, metadata: {} };
    return { data: bundle.data, metadata: objectField(bundle, "metadata") };
  }

  private run(expression: string, call: Debugger.CallFrame | null, options: object): Promise<Runtime.EvaluateReturnType> {
    const all = { expression, objectGroup: OBJECT_GROUP, silent: true, timeout: TIMEOUT_MS, ...options };
    // Breakpoints are off, or the one who could go on would wait for this answer.
    return this.guarded(() => (call === null
      ? this.connection.post("Runtime.evaluate", { ...all, disableBreaks: true, replMode: true })
      : this.connection.post("Debugger.evaluateOnCallFrame", { ...all, callFrameId: call.callFrameId })));
  }

  private async guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    this.running += 1;
    try {
      return await work();
    } finally {
      this.running -= 1;
    }
  }
}

/** A value as an argument of a call. */
export function argumentOf({ objectId, unserializableValue, value }: Runtime.RemoteObject): Runtime.CallArgument {
  if (objectId !== undefined) return { objectId };
  return unserializableValue === undefined ? { value: value as unknown } : { unserializableValue };
}

function within<Result>(promise: Promise<Result>, milliseconds: number): Promise<Result | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { resolve(null); }, milliseconds);
    promise.then(resolve, reject).finally(() => { clearTimeout(timer); });
  });
}

function failed(code: string, why: string): DebugRequestError {
  return new DebugRequestError({
    code: "E_DEBUG_EVALUATE", what: `${code.length > 100 ? `${code.slice(0, 100)}…` : code} has no value`, why, fix: "use names that the chosen frame can see, without await",
  });
}
