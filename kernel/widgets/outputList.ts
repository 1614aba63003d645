import { stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { ErrorReport, OutputMessage } from "../runner/threadMessages.ts";

/** An output as notebooks store it. Source: nbformat.readthedocs.io/en/latest/format_description.html */
type Output =
  | { readonly output_type: "stream"; readonly name: string; text: string }
  | { readonly output_type: "display_data"; data: JsonObject; metadata: JsonObject }
  | ({ readonly output_type: "error" } & ErrorReport);

/** The whole list goes to the page after each change, so it is kept short: older text and outputs go. In UTF-16 units. */
const MAX_STREAM_LENGTH = 200_000;
const MAX_OUTPUTS = 500;

/** Outputs in order: streams merged, display ids updated in place, cleared at once or with the next output. */
export class OutputList {
  private list: Output[] = [];
  private displays = new Map<string, Extract<Output, { output_type: "display_data" }>>();
  private isClearing = false;

  get outputs(): readonly Output[] {
    return this.list;
  }

  /** @returns false for an update of a display that is not here */
  add(message: OutputMessage): boolean {
    switch (message.type) {
      case "clear":
        if (message.wait) this.isClearing = true;
        else this.empty();
        return true;
      case "stream":
        this.addText(message.name, message.text);
        return true;
      case "display": return this.addDisplay(message);
    }
  }

  addError(report: ErrorReport): void {
    this.push({ output_type: "error", ename: report.ename, evalue: report.evalue, traceback: report.traceback });
  }

  /** @returns whether there was something that waited for the next output to be cleared */
  settle(): boolean {
    const wasClearing = this.isClearing;
    if (wasClearing) this.empty();
    return wasClearing;
  }

  plainText(): string {
    return this.list.map((output) => {
      switch (output.output_type) {
        case "stream": return output.text.trimEnd();
        case "display_data": return stringField(output.data, "text/plain");
        case "error": return `${output.ename}: ${output.evalue}`;
      }
    }).join("\n");
  }

  private addText(name: string, text: string): void {
    const last = this.isClearing ? undefined : this.list.at(-1);
    if (last?.output_type === "stream" && last.name === name) last.text = (last.text + text).slice(-MAX_STREAM_LENGTH);
    else this.push({ output_type: "stream", name, text: text.slice(-MAX_STREAM_LENGTH) });
  }

  private addDisplay({ isUpdate, displayId, bundle }: Extract<OutputMessage, { type: "display" }>): boolean {
    if (isUpdate) {
      const shown = displayId === null ? undefined : this.displays.get(displayId);
      if (shown !== undefined) Object.assign(shown, bundle);
      return shown !== undefined;
    }
    const output = { output_type: "display_data" as const, ...bundle };
    this.push(output);
    if (displayId !== null) this.displays.set(displayId, output);
    return true;
  }

  private push(output: Output): void {
    this.settle();
    this.list = [...this.list.slice(-MAX_OUTPUTS + 1), output];
  }

  private empty(): void {
    this.list = [];
    this.displays = new Map();
    this.isClearing = false;
  }
}
