import { randomUUID } from "node:crypto";
import type { JsonObject } from "../protocol/json.ts";
import { stringField } from "../protocol/json.ts";
import type { RequestHandler } from "./kernelState.ts";
import { ShellQueue } from "./shellQueue.ts";

/** Front ends make one for each console or kind of widget. */
const MAX_SUBSHELLS = 64;

/** The shells of the kernel, each with a queue of its own: the main one and those that clients made. All run cells on
 *  the same thread, so a subshell's cell runs while the main shell's cell awaits something, not while it computes.
 *  Source: jupyter.org/enhancement-proposals/91-kernel-subshells/kernel-subshells.html */
export class Subshells {
  readonly main = new ShellQueue();
  private readonly queues = new Map<string, ShellQueue>();

  /** @param id of a subshell; null for the main shell
   *  @returns null when there is no such subshell */
  queueOf(id: string | null): ShellQueue | null {
    return id === null ? this.main : this.queues.get(id) ?? null;
  }

  /** @returns the new subshell's id, or null when there are too many */
  create(): string | null {
    if (this.queues.size >= MAX_SUBSHELLS) return null;
    const id = randomUUID();
    this.queues.set(id, new ShellQueue());
    return id;
  }

  /** Forgets a subshell; its running cell goes on.
   *  @returns its queue, or null when there is no such subshell */
  delete(id: string): ShellQueue | null {
    const queue = this.queues.get(id) ?? null;
    this.queues.delete(id);
    return queue;
  }

  get ids(): string[] {
    return [...this.queues.keys()];
  }
}

/** The reply to a request for a subshell that is not there, with ipykernel's name for the error. */
export function unknownSubshell(id: string): object {
  return subshellError("UnknownSubshellError", `there is no subshell ${JSON.stringify(id)}`);
}

function subshellError(ename: string, evalue: string): object {
  return { status: "error", ename, evalue, traceback: [] };
}

/** create_subshell_request */
export const createSubshell: RequestHandler = ({ subshells }) => {
  const id = subshells.create();
  if (id === null) return subshellError("TooManySubshellsError", `the kernel has ${MAX_SUBSHELLS} subshells already`);
  return { status: "ok", subshell_id: id };
};

/** list_subshell_request. The list is under `subshell_id`, as the proposal has it. */
export const listSubshells: RequestHandler = ({ subshells }) => ({ status: "ok", subshell_id: subshells.ids });

/** delete_subshell_request: its running cell ends on its own, its waiting cells are aborted. */
export const deleteSubshell: RequestHandler = async ({ subshells, abortCells }, content: JsonObject) => {
  const id = stringField(content, "subshell_id");
  const queue = subshells.delete(id);
  if (queue === null) return unknownSubshell(id);
  await abortCells(queue.takeCells());
  return { status: "ok" };
};
