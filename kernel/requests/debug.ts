import type { RequestHandler } from "./kernelState.ts";

/** debug_request: a request of the Debug Adapter Protocol; its events come on iopub as debug_event.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#debug-request */
export const debug: RequestHandler = (state, content, message) => {
  state.debugParent = message.header;
  return state.debugger.answer(content);
};
