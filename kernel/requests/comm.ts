import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import type { CommMessage } from "../runner/threadMessages.ts";
import type { KernelState, RequestHandler } from "./kernelState.ts";

/** Which comms are open, for comm_info; their callbacks live on the main thread. */
export class CommTable {
  private readonly targets = new Map<string, string>();

  note(kind: CommMessage["kind"], commId: string, targetName: string): void {
    if (kind === "comm_open") this.targets.set(commId, targetName);
    else if (kind === "comm_close") this.targets.delete(commId);
  }

  targetOf(commId: string): string | undefined {
    return this.targets.get(commId);
  }

  /** @param targetName "" for all */
  list(targetName: string): Record<string, { target_name: string }> {
    const chosen = [...this.targets].filter(([, target]) => targetName === "" || target === targetName);
    return Object.fromEntries(chosen.map(([id, target]) => [id, { target_name: target }]));
  }
}

/** comm_info_request. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#comm-info */
export const commInfo: RequestHandler = (state, content) => ({ status: "ok", comms: state.comms.list(stringField(content, "target_name")) });

/** comm_open, comm_msg and comm_close from the front end go to the main thread; they have no reply. */
export function commHandler(kind: CommMessage["kind"]): RequestHandler {
  return (state, content, message) => {
    state.mainThread.post(incoming(state, kind, content, message));
    return null;
  };
}

function incoming(state: KernelState, kind: CommMessage["kind"], content: JsonObject, message: Message): CommMessage {
  const commId = stringField(content, "comm_id");
  const targetName = stringField(content, "target_name", state.comms.targetOf(commId));
  state.comms.note(kind, commId, targetName);
  return {
    type: "comm", kind, commId, targetName, runId: 0, data: isJsonObject(content.data) ? content.data : {},
    metadata: objectField(content, "metadata"), buffers: message.buffers.map((buffer) => new Uint8Array(buffer)),
  };
}

/** Publishes what a comm of the kernel sends. */
export async function publishComm(state: KernelState, message: CommMessage, parent: Partial<Message["header"]>): Promise<void> {
  const { kind, commId, targetName, data, metadata, buffers } = message;
  state.comms.note(kind, commId, targetName);
  const content = { comm_id: commId, data, ...(kind === "comm_open" ? { target_name: targetName } : {}) };
  await state.publisher.publish(kind, content, parent, { metadata, buffers });
}
