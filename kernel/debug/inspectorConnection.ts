import inspector from "node:inspector";
import { systemErrorCode } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";

/** Takes what V8 tells by itself, e.g. "Debugger.paused". */
export type InspectorListener = (method: string, params: JsonObject) => void;

/** Whether V8 refused a command or the session ended before the answer; anything else is a fault of the kernel. */
export function isRefusal(error: unknown): boolean {
  return systemErrorCode(error)?.startsWith("ERR_INSPECTOR_") ?? false;
}

/** An inspector session from the worker to the main thread. It works while the main thread is busy with JavaScript and
 *  while it stands at a breakpoint.
 *  Source: chromedevtools.github.io/devtools-protocol/v8 */
export class InspectorConnection {
  private readonly session = new inspector.Session();

  constructor(listener: InspectorListener) {
    this.session.connectToMainThread();
    this.session.on("inspectorNotification", (notification: object) => {
      const { method, params } = notification as { readonly method: string; readonly params?: unknown };
      listener(method, isJsonObject(params) ? params : {});
    });
  }

  /** Sends a command.
   *  @returns its result, of the type that the protocol gives it
   *  @throws Error with V8's message, see isRefusal */
  post<Result extends object = object>(method: string, params: object = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.session.post(method, params, (error: Error | null, result?: object) => {
        if (error !== null) reject(error);
        // The caller names the result type of its command; Node's typings know only some of them.
        else resolve((result ?? {}) as Result);
      });
    });
  }

  /** Sends a command whose answer does not matter, e.g. to resume a main thread that may already run. */
  tell(method: string, params: object = {}): void {
    this.session.post(method, params, () => undefined);
  }

  close(): void {
    this.session.disconnect();
  }
}
