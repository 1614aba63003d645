import { inspect, types } from "node:util";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CellRuns } from "./cellRun.ts";
import type { OutputSender } from "./output.ts";
import type { DisplayBundle } from "./threadMessages.ts";

/** A method of this name returns how a value shows itself: a MIME bundle or a promise of one.
 *  Source: Deno's Jupyter convention, docs.deno.com/runtime/reference/cli/jupyter */
export const DISPLAY_METHOD = Symbol.for("Jupyter.display");

/** Options of display(), spelled as notebooks know them. */
export interface DisplayOptions {
  readonly display_id?: string;
  readonly update?: boolean;
  readonly raw?: boolean;
  readonly metadata?: JsonObject;
}

/** How a value shows itself: by its display method, or as text. */
export function bundleOf(value: unknown): DisplayBundle | Promise<DisplayBundle> {
  const method = displayMethodOf(value);
  if (method === undefined) return { data: { "text/plain": inspect(value) }, metadata: {} };
  const data = method();
  return types.isPromise(data) ? data.then((resolved) => checkedBundle(resolved)) : checkedBundle(data);
}

function displayMethodOf(value: unknown): (() => unknown) | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  const method: unknown = Reflect.get(value, DISPLAY_METHOD);
  return typeof method === "function" ? () => Reflect.apply(method, value, []) as unknown : undefined;
}

function checkedBundle(data: unknown, metadata: JsonObject = {}): DisplayBundle {
  if (!isJsonObject(data)) return { data: { "text/plain": inspect(data) }, metadata };
  const entries = Object.entries(data).map(([mime, value]) =>
    [mime, value instanceof Uint8Array ? Buffer.from(value).toString("base64") : plainJson(value)]);
  return { data: Object.fromEntries(entries) as JsonObject, metadata };
}

/** Typed arrays become lists: plot data often holds them, and JSON has no other form. */
function plainJson(value: unknown): unknown {
  if (typeof value === "string") return value;
  const text: string | undefined = JSON.stringify(value, (_key, item: unknown) =>
    ArrayBuffer.isView(item) && !(item instanceof DataView) ? Array.from(item as Float64Array) : item);
  return text === undefined ? null : JSON.parse(text) as unknown;
}

/** An object all of whose keys look like MIME types is taken as a bundle. */
function isMimeBundle(value: unknown): value is JsonObject {
  if (!isJsonObject(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => /^[\w.+-]+\/[\w.+-]+$/.test(key));
}

/** The display function of cells: shows now, or for an asynchronous bundle when it is there, but before the cell ends. */
export function createDisplay(runs: CellRuns, output: OutputSender): (value: unknown, options?: DisplayOptions) => void {
  return (value, options = {}) => {
    const run = runs.current;
    const show = (bundle: DisplayBundle): void => {
      output.send({
        type: "display", runId: run.id, isUpdate: options.update ?? false, displayId: options.display_id ?? null,
        bundle: { data: bundle.data, metadata: { ...bundle.metadata, ...options.metadata } },
      });
    };
    const isBundle = options.raw === true || (displayMethodOf(value) === undefined && isMimeBundle(value));
    const bundle = isBundle ? checkedBundle(value) : bundleOf(value);
    if (!types.isPromise(bundle)) {
      show(bundle);
      return;
    }
    const pending = bundle.then(show, (error: unknown) => { process.stderr.write(`display failed: ${inspect(error)}\n`); })
      .finally(() => { run.pendingDisplays.delete(pending); });
    run.pendingDisplays.add(pending);
  };
}
