import timers from "node:timers";
import { WidgetError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CellRuns } from "../runner/cellRun.ts";
import type { Comm, Comms } from "../runner/comms.ts";
import type { StackTraces } from "../runner/stackTraces.ts";
import { splitBuffers } from "./buffers.ts";
import { MODELS } from "./models.ts";
import { Widget } from "./widget.ts";

/** Version of the widget messaging protocol that is spoken here; 2.1 has echo_update. */
const PROTOCOL_VERSION = "2.1.0";
const WIDGET_TARGET = "jupyter.widget";
const CONTROL_TARGET = "jupyter.widget.control";

/** Least time between two messages about the state of one widget: a progress bar in a fast loop must not flood the page, in ms. */
const SEND_INTERVAL_MS = 20;
/** Each widget stays here until it is closed; a loop that makes them without end is stopped here. */
const MAX_WIDGETS = 20_000;

// Taken before timers.ts replaces it: this timer belongs to no cell.
const { setTimeout: setNodeTimeout } = timers;

export interface RegistryParts { readonly runs: CellRuns; readonly comms: Comms; readonly stackTraces: StackTraces }

/** Knows the open widgets, and sends their state. */
export class WidgetRegistry {
  readonly runs: CellRuns;
  readonly stackTraces: StackTraces;
  private readonly comms: Comms;
  private readonly widgets = new Map<string, Widget>();
  private readonly sentMs = new WeakMap<Widget, number>();
  private readonly scheduled = new Set<Widget>();
  private hasTimer = false;

  constructor({ runs, comms, stackTraces }: RegistryParts) {
    this.runs = runs;
    this.comms = comms;
    this.stackTraces = stackTraces;
    comms.register(CONTROL_TARGET, (comm) => {
      comm.onMessage = (data) => { if (isJsonObject(data) && data.method === "request_states") this.answerStates(comm); };
    });
  }

  /** Makes a widget without a class of its own: a layout or a style. */
  make(modelName: string, options: JsonObject): Widget {
    const model = MODELS.get(modelName);
    if (model === undefined) throw new Error(`there is no widget model ${modelName}`);
    return new Widget(this, model, options);
  }

  /** Makes the widget known to the front end.
   *  @throws WidgetError E_WIDGET_COUNT */
  open(widget: Widget): Comm {
    if (this.widgets.size >= MAX_WIDGETS) {
      throw new WidgetError({
        code: "E_WIDGET_COUNT", what: `More than ${MAX_WIDGETS} widgets were made`, why: "each stays open until it is closed",
        fix: "close widgets that are no longer needed, or all with widgets.closeAll(), and change one widget instead of making new ones",
      });
    }
    const { state, bufferPaths, buffers } = splitBuffers(widget.state());
    const comm = this.comms.open(WIDGET_TARGET, { state, buffer_paths: bufferPaths }, { metadata: { version: PROTOCOL_VERSION }, buffers });
    this.widgets.set(comm.id, widget);
    return comm;
  }

  forget(widget: Widget): void {
    this.widgets.delete(widget.modelId);
    this.scheduled.delete(widget);
  }

  closeAll(): void {
    for (const widget of [...this.widgets.values()]) widget.close();
  }

  /** Sends the widget's news, at once or, when the last message is too young, soon. */
  schedule(widget: Widget): void {
    const waitMs = (this.sentMs.get(widget) ?? -Infinity) + SEND_INTERVAL_MS - performance.now();
    if (waitMs <= 0) {
      this.send(widget);
      return;
    }
    this.scheduled.add(widget);
    if (this.hasTimer) return;
    this.hasTimer = true;
    setNodeTimeout(() => {
      this.hasTimer = false;
      this.runs.reset();
      this.flush();
    }, waitMs);
  }

  /** Sends all news now. */
  flush(): void {
    for (const widget of [...this.scheduled]) this.send(widget);
  }

  /** Source: "Synchronizing widget state: update" of the widget messaging protocol, version 2 */
  sendState(comm: Comm, whole: JsonObject): void {
    const { state, bufferPaths, buffers } = splitBuffers(whole);
    comm.send({ method: "update", state, buffer_paths: bufferPaths }, { buffers });
  }

  private send(widget: Widget): void {
    this.scheduled.delete(widget);
    this.sentMs.set(widget, performance.now());
    widget.flush();
  }

  /** All states in one message, for a page that was loaded again.
   *  Source: the control comm of the widget messaging protocol, version 2.1 */
  private answerStates(comm: Comm): void {
    const states = Object.fromEntries([...this.widgets].map(([id, widget]) => {
      const state = widget.state();
      return [id, { model_name: state._model_name, model_module: state._model_module, model_module_version: state._model_module_version, state }];
    }));
    const split = splitBuffers(states);
    comm.send({ method: "update_states", states: split.state, buffer_paths: split.bufferPaths }, { buffers: split.buffers });
  }
}
