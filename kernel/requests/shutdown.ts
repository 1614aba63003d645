import { booleanField } from "../protocol/json.ts";
import type { RequestChannel } from "../protocol/sockets.ts";
import type { Message } from "../protocol/wire.ts";
import { reply } from "./kernelState.ts";
import type { KernelState } from "./kernelState.ts";

/** shutdown_request: answers, closes the sockets and ends the process, busy or not. */
export async function shutDown(state: KernelState, channel: RequestChannel, request: Message): Promise<void> {
  const content = { status: "ok", restart: booleanField(request.content, "restart", false) };
  await reply(state, channel, request, "shutdown_reply", content);
  await state.publisher.publish("shutdown_reply", content, request.header);
  await state.publisher.status("idle", request.header);
  await endProcess(state, 0);
}

/** Closes the sockets, then ends the process. */
export async function endProcess(state: KernelState, code: number): Promise<void> {
  await state.sockets.close();
  state.mainThread.exit(code);
}
