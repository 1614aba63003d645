import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import type { CommMessage } from "../runner/threadMessages.ts";
import { CommDelivery } from "./commDelivery.ts";
import type { KernelState, RequestHandler } from "./kernelState.ts";

/** The target of widgets. Source: the widget messaging protocol, version 2, in ipywidgets' packages/schema/messages.md */
const WIDGET_TARGET = "jupyter.widget";
/** Comm targets that the kernel itself has, registered before any cell. */
const OWN_TARGETS: readonly string[] = [WIDGET_TARGET, "jupyter.widget.control"];

/** Which comms are open, for comm_info, and what is on its way to them; their callbacks live on the main thread. */
export class CommTable {
  readonly delivery = new CommDelivery();
  private readonly targets = new Map<string, string>();
  private readonly registered = new Set(OWN_TARGETS);

  /** A cell has registered a target. */
  noteTarget(targetName: string): void {
    this.registered.add(targetName);
  }

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

  /** Whether a message need not wait for the running cell: a slider or a stop button has to reach a cell that awaits.
   *  A comm that a waiting cell has yet to make known does wait. */
  isUrgent({ header, content }: Message): boolean {
    switch (header.msg_type) {
      case "comm_msg":
      case "comm_close": return this.targets.has(stringField(content, "comm_id"));
      case "comm_open": return this.registered.has(stringField(content, "target_name"));
      case "comm_info_request": return true;
      default: return false;
    }
  }
}

/** comm_info_request. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#comm-info */
export const commInfo: RequestHandler = (state, content) => ({ status: "ok", comms: state.comms.list(stringField(content, "target_name")) });

/** comm_open, comm_msg and comm_close from the front end go to the main thread; they have no reply. Idle comes when the
 *  callback has run: front ends hold back a moving slider until then. */
export function commHandler(kind: CommMessage["kind"]): RequestHandler {
  return async (state, content, message) => {
    const isKnown = state.comms.targetOf(stringField(content, "comm_id")) !== undefined;
    // A comm that was closed, or is of an earlier kernel, or opened twice.
    if (isKnown === (kind === "comm_open")) return null;
    const order = incoming(state, kind, content, message);
    if (order.targetName === WIDGET_TARGET && state.echoesWidgets) await echo(state, order, message);
    await state.comms.delivery.deliver(order, (numbered) => { state.mainThread.post(numbered); });
    return null;
  };
}

function incoming(state: KernelState, kind: CommMessage["kind"], content: JsonObject, message: Message): CommMessage {
  const commId = stringField(content, "comm_id");
  const targetName = state.comms.targetOf(commId) ?? stringField(content, "target_name");
  state.comms.note(kind, commId, targetName);
  return {
    type: "comm", kind, commId, targetName, runId: 0, data: isJsonObject(content.data) ? content.data : {},
    metadata: message.metadata, buffers: message.buffers.map((buffer) => new Uint8Array(buffer)),
  };
}

/** Tells every front end what one of them changed in a widget; the one that did knows its change by the parent header.
 *  Source: echo_update, the widget messaging protocol, version 2.1 */
async function echo(state: KernelState, { kind, commId, data, buffers }: CommMessage, message: Message): Promise<void> {
  if (kind !== "comm_msg" || !isJsonObject(data) || data.method !== "update") return;
  const content = { comm_id: commId, data: { method: "echo_update", state: objectField(data, "state"), buffer_paths: data.buffer_paths ?? [] } };
  await state.publisher.publish("comm_msg", content, message.header, { buffers });
}

/** Publishes what a comm of the kernel sends. */
export async function publishComm(state: KernelState, message: CommMessage, parent: Partial<Message["header"]>): Promise<void> {
  const { kind, commId, targetName, data, metadata, buffers } = message;
  state.comms.note(kind, commId, targetName);
  const content = { comm_id: commId, data, ...(kind === "comm_open" ? { target_name: targetName } : {}) };
  await state.publisher.publish(kind, content, parent, { metadata, buffers });
}
