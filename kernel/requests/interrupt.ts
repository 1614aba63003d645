import type { RequestHandler } from "./kernelState.ts";

/** interrupt_request: stops the running cell, or, when none runs, what earlier cells left running in the background.
 *  The reply does not wait for the cell to end. */
export const interrupt: RequestHandler = (state) => {
  if (state.preparing !== null) {
    state.preparing.isInterrupted = true;
    return { status: "ok" };
  }
  state.input.interrupt();
  state.mainThread.interrupt();
  state.comms.delivery.interrupt((next) => { state.mainThread.post(next); });
  return { status: "ok" };
};
