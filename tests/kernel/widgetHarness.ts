import { CellRuns } from "../../kernel/runner/cellRun.ts";
import { Comms } from "../../kernel/runner/comms.ts";
import { StackTraces } from "../../kernel/runner/stackTraces.ts";
import type { CommMessage } from "../../kernel/runner/threadMessages.ts";
import { createWidgets } from "../../kernel/widgets/namespace.ts";
import { WidgetRegistry } from "../../kernel/widgets/registry.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";

/** A widget as cells use it; its properties are checked by the declarations, which tests of the real kernel go through. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyWidget = any;

// One for all: it watches every promise of the process.
const runs = new CellRuns();

/** The widget part of a kernel in this process, with the messages it sends. */
export class WidgetBench {
  readonly runs = runs;
  readonly sent: CommMessage[] = [];
  readonly shown: unknown[] = [];
  readonly comms = new Comms(this.runs, (message) => { this.sent.push(message); });
  readonly registry = new WidgetRegistry({ runs: this.runs, comms: this.comms, stackTraces: new StackTraces("file:///none/") });
  readonly widgets = createWidgets(this.registry, (value) => { this.shown.push(value); }) as Record<string, AnyWidget>;

  /** Messages sent since the last call, with what still waited. */
  news(): CommMessage[] {
    this.registry.flush();
    return this.sent.splice(0);
  }

  /** States of the update messages since the last call. */
  updates(): { commId: string; state: JsonObject }[] {
    return this.news().filter(({ kind }) => kind === "comm_msg").map(({ commId, data }) => ({ commId, state: (data as { state: JsonObject }).state }));
  }

  /** The front end sends data to a widget. */
  receive(commId: string, data: JsonObject, buffers: readonly Uint8Array[] = []): void {
    this.comms.receive({ type: "comm", kind: "comm_msg", commId, targetName: "jupyter.widget", runId: 0, data, metadata: {}, buffers });
  }

  /** The front end changes a widget's state. */
  change(widget: { readonly modelId: string }, state: JsonObject): void {
    this.receive(widget.modelId, { method: "update", state, buffer_paths: [] });
  }
}
