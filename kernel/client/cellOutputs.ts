import { isJsonObject, numberField, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import type { NotebookCell, NotebookOutput } from "./notebook.ts";

/** An output that came or changed. */
export interface OutputEvent {
  readonly output: NotebookOutput;
  /** True when it replaced an output of the same display id. */
  readonly isUpdate: boolean;
  readonly displayId: string | null;
}

type DataOutput = Extract<NotebookOutput, { output_type: "display_data" | "execute_result" }>;

/** Files iopub messages into the cells of a notebook, as a front end would: streams merged, display ids updated
 *  wherever they are shown, clear_output with and without waiting. */
export class CellOutputs {
  private readonly displays = new Map<string, DataOutput[]>();
  private readonly clearLater = new Set<NotebookCell>();

  /** @returns what changed, or null for a message that is not an output */
  add(cell: NotebookCell, message: Message): OutputEvent | null {
    const { content } = message;
    switch (message.header.msg_type) {
      case "execute_input":
        cell.executionCount = numberField(content, "execution_count", 0);
        return null;
      case "stream": return this.append(cell, { output_type: "stream", name: stringField(content, "name"), text: stringField(content, "text") });
      case "error": return this.append(cell, {
        output_type: "error", ename: stringField(content, "ename"), evalue: stringField(content, "evalue"),
        traceback: Array.isArray(content.traceback) ? content.traceback.map(String) : [],
      });
      case "display_data": return this.display(cell, { output_type: "display_data", ...bundle(content) }, displayIdOf(content));
      case "execute_result": return this.display(cell, {
        output_type: "execute_result", ...bundle(content), execution_count: numberField(content, "execution_count", 0),
      }, displayIdOf(content));
      case "update_display_data": return this.update(content);
      case "clear_output":
        if (content.wait === true) this.clearLater.add(cell);
        else cell.outputs = [];
        return null;
      default: return null;
    }
  }

  private append(cell: NotebookCell, output: NotebookOutput): OutputEvent {
    if (this.clearLater.delete(cell)) cell.outputs = [];
    const last = cell.outputs.at(-1);
    if (output.output_type === "stream" && last?.output_type === "stream" && last.name === output.name) last.text += output.text;
    else cell.outputs.push(output.output_type === "stream" ? { ...output } : output);
    return { output, isUpdate: false, displayId: null };
  }

  private display(cell: NotebookCell, output: DataOutput, displayId: string | null): OutputEvent {
    this.append(cell, output);
    if (displayId !== null) this.displays.set(displayId, [...(this.displays.get(displayId) ?? []), output]);
    return { output, isUpdate: false, displayId };
  }

  private update(content: JsonObject): OutputEvent | null {
    const displayId = displayIdOf(content);
    const shown = displayId === null ? undefined : this.displays.get(displayId);
    if (shown === undefined) return null;
    const fresh = bundle(content);
    for (const output of shown) Object.assign(output, fresh);
    return { output: { output_type: "display_data", ...fresh }, isUpdate: true, displayId };
  }
}

function bundle(content: JsonObject): { data: JsonObject; metadata: JsonObject } {
  return { data: objectField(content, "data"), metadata: objectField(content, "metadata") };
}

function displayIdOf(content: JsonObject): string | null {
  const transient = isJsonObject(content.transient) ? content.transient : {};
  return typeof transient.display_id === "string" ? transient.display_id : null;
}
