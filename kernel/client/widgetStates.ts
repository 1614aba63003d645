import { isJsonObject, objectField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";

/** The comm target of ipywidgets. Source: github.com/jupyter-widgets/ipywidgets, packages/schema/messages.md */
const WIDGET_TARGET = "jupyter.widget";
const STATE_MIME = "application/vnd.jupyter.widget-state+json";

interface WidgetBuffer { readonly encoding: "base64"; readonly path: readonly unknown[]; readonly data: string }
interface Widget { readonly state: JsonObject; readonly buffers: Map<string, WidgetBuffer> }

/** Follows the widgets that cells make, so that a stored notebook shows them as they were last, without a kernel. */
export class WidgetStates {
  private readonly widgets = new Map<string, Widget>();

  add({ header, content, buffers }: Message): void {
    const id = stringField(content, "comm_id");
    switch (header.msg_type) {
      case "comm_open":
        if (content.target_name !== WIDGET_TARGET) return;
        this.widgets.set(id, { state: {}, buffers: new Map() });
        this.update(id, objectField(content, "data"), buffers);
        return;
      case "comm_msg": this.update(id, objectField(content, "data"), buffers); return;
      case "comm_close": this.widgets.delete(id); return;
    }
  }

  private update(id: string, data: JsonObject, buffers: readonly Uint8Array[]): void {
    const widget = this.widgets.get(id);
    if (widget === undefined) return;
    Object.assign(widget.state, objectField(data, "state"));
    const paths: unknown[] = Array.isArray(data.buffer_paths) ? data.buffer_paths : [];
    for (const [position, path] of paths.entries()) {
      const bytes = buffers[position];
      if (!Array.isArray(path) || bytes === undefined) continue;
      widget.buffers.set(JSON.stringify(path), { encoding: "base64", path, data: Buffer.from(bytes).toString("base64") });
    }
  }

  /** Puts the states into a notebook's metadata; without widgets it leaves no trace.
   *  Source: nbclient, whose notebooks JupyterLab and nbconvert show */
  writeTo(metadata: JsonObject): void {
    const state = Object.fromEntries([...this.widgets].filter(([, widget]) => typeof widget.state._model_name === "string").map(([id, { state, buffers }]) => [id, {
      model_name: state._model_name, model_module: state._model_module, model_module_version: state._model_module_version, state,
      ...(buffers.size === 0 ? {} : { buffers: [...buffers.values()] }),
    }]));
    const others = Object.entries(isJsonObject(metadata.widgets) ? metadata.widgets : {}).filter(([mime]) => mime !== STATE_MIME);
    const own: [string, unknown][] = Object.keys(state).length === 0 ? [] : [[STATE_MIME, { state, version_major: 2, version_minor: 0 }]];
    const widgets = Object.fromEntries<unknown>([...others, ...own]);
    if (Object.keys(widgets).length > 0) metadata.widgets = widgets;
    else delete metadata.widgets;
  }
}
