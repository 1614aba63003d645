import { isJsonObject, objectField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CommMessage, NumberedCommMessage } from "../runner/threadMessages.ts";

/** A comm whose callbacks don't keep up gets no more messages than this held for it; later ones are dropped. */
const MAX_WAITING = 1000;

interface Parcel { message: CommMessage; readonly taken: (() => void)[] }
interface Lane { onItsWay: { readonly serial: number; readonly parcel: Parcel } | null; readonly waiting: Parcel[] }

/** Gives comm messages to the main thread, of each comm one at a time, because that thread may be busy for long. What comes
 *  meanwhile waits here, and of a widget's state only the newest values are kept. */
export class CommDelivery {
  private readonly lanes = new Map<string, Lane>();
  private lastSerial = 0;

  /** @returns when the main thread has called back, or has been interrupted */
  deliver(message: CommMessage, post: (message: NumberedCommMessage) => void): Promise<void> {
    const lane = this.lanes.get(message.commId) ?? { onItsWay: null, waiting: [] };
    this.lanes.set(message.commId, lane);
    return new Promise((taken) => {
      this.add(lane, message, taken);
      if (lane.onItsWay === null) this.next(message.commId, lane, post);
    });
  }

  /** The main thread is through with a message. */
  taken(commId: string, serial: number, post: (message: NumberedCommMessage) => void): void {
    const lane = this.lanes.get(commId);
    if (lane?.onItsWay?.serial !== serial) return;
    this.next(commId, lane, post);
  }

  /** A terminated callback acknowledges nothing: its comm goes on. */
  interrupt(post: (message: NumberedCommMessage) => void): void {
    for (const [commId, lane] of [...this.lanes]) if (lane.onItsWay !== null) this.next(commId, lane, post);
  }

  private add(lane: Lane, message: CommMessage, taken: () => void): void {
    const last = lane.waiting.at(-1);
    const merged = last === undefined ? null : mergeUpdates(last.message, message);
    if (last !== undefined && merged !== null) {
      last.message = merged;
      last.taken.push(taken);
    } else if (lane.waiting.length < MAX_WAITING) lane.waiting.push({ message, taken: [taken] });
    else taken();
  }

  private next(commId: string, lane: Lane, post: (message: NumberedCommMessage) => void): void {
    for (const taken of lane.onItsWay?.parcel.taken ?? []) taken();
    const parcel = lane.waiting.shift();
    if (parcel === undefined) {
      this.lanes.delete(commId);
      return;
    }
    lane.onItsWay = { serial: ++this.lastSerial, parcel };
    post({ ...parcel.message, serial: this.lastSerial });
  }
}

/** Two state updates of a widget as one, the newer values winning; null where the second has to come by itself. */
function mergeUpdates(first: CommMessage, second: CommMessage): CommMessage | null {
  const [older, newer] = [updateOf(first), updateOf(second)];
  if (older === null || newer === null) return null;
  return { ...second, data: { ...newer, state: { ...objectField(older, "state"), ...objectField(newer, "state") } } };
}

/** The data of a state update without binary values. */
function updateOf({ kind, data, buffers }: CommMessage): JsonObject | null {
  return kind === "comm_msg" && buffers.length === 0 && isJsonObject(data) && data.method === "update" ? data : null;
}
