import type { JsonObject } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";

/** The times at which a cell started and ended, in the form in which Jupyter's front ends store and show them.
 *  Source: nbclient's record_timing, JupyterLab's recordTiming */
export class CellTiming {
  private readonly times: Record<string, string> = {};

  add({ header, content }: Message): void {
    switch (header.msg_type) {
      case "status": this.times[`iopub.status.${String(content.execution_state)}`] = header.date; return;
      case "execute_input": this.times["iopub.execute_input"] = header.date; return;
      case "execute_reply": this.times["shell.execute_reply"] = header.date; return;
    }
  }

  metadata(): JsonObject {
    return this.times;
  }
}
