import { setTimeout as sleep } from "node:timers/promises";
import { booleanField } from "../protocol/json.ts";
import type { RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { reply } from "./kernelState.ts";
import type { KernelState } from "./kernelState.ts";

/** A signal ends zeromq's thread too, which sends behind our back what the closed sockets still hold, in ms. */
const SIGNAL_DELAY_MS = 100;

/** shutdown_request: answers, closes the sockets and ends the process, busy or not. */
export async function shutDown(state: KernelState, channel: RequestChannel, request: Message): Promise<void> {
  const content = { status: "ok", restart: booleanField(request.content, "restart", false) };
  await reply(state, channel, request, "shutdown_reply", content);
  await state.publisher.publish("shutdown_reply", content, request.header);
  await state.publisher.status("idle", request.header);
  await endProcess(state, 0);
}

/** Sends what is left to send, closes the sockets, then ends the process.
 *  @param signal ends it like this signal instead of with the code */
export async function endProcess(state: KernelState, code: number, signal: NodeJS.Signals | null = null): Promise<void> {
  state.publisher.flush();
  await state.history.flush();
  await state.sockets.close();
  state.debugger.close();
  if (signal !== null) {
    await sleep(SIGNAL_DELAY_MS);
    process.kill(process.pid, signal);
  }
  state.mainThread.exit(code);
}
