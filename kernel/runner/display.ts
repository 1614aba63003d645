import { randomUUID } from "node:crypto";
import process from "node:process";
import { inspect, types } from "node:util";
import { checkedBundle, isMimeBundle } from "../display/bundle.ts";
import { methodOf } from "../display/duck.ts";
import { media } from "../display/media.ts";
import { plotlyLibraryHtml } from "../display/plotly.ts";
import { richBundle } from "../display/richBundle.ts";
import { DISPLAY_METHOD, RichValue } from "../display/richValue.ts";
import { DisplayError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { CellRun, CellRuns } from "./cellRun.ts";
import { inspectValue } from "./inspectValue.ts";
import type { OutputSender } from "./output.ts";
import type { DisplayBundle } from "./threadMessages.ts";
import { Map, Object } from "./intrinsics.ts";

/** Options of display(), spelled as notebooks know them. */
export interface DisplayOptions {
  readonly display_id?: string;
  readonly update?: boolean;
  readonly raw?: boolean;
  readonly metadata?: JsonObject;
}

/** One output that is shown; it can be replaced wherever it is, from any cell. */
class DisplayHandle {
  readonly id: string;
  private readonly show: (value: unknown) => void;

  constructor(id: string, show: (value: unknown) => void) {
    this.id = id;
    this.show = show;
    handles.add(this);
  }

  update(value: unknown): void {
    this.show(value);
  }

  [inspect.custom](): string {
    return `[display ${this.id}]`;
  }
}

const handles = new WeakSet<object>();

/** Whether display() returned this. A proxy is asked nothing. */
export function isDisplayHandle(value: unknown): boolean {
  return typeof value === "object" && value !== null && handles.has(value);
}

type ShowFunction = (value: unknown, options?: DisplayOptions) => DisplayHandle;
type ShowMedia = { readonly [Name in keyof typeof media]: (...given: Parameters<(typeof media)[Name]>) => DisplayHandle };
/** The display function of cells, with a helper for each form. */
export type Display = ShowFunction & ShowMedia & { readonly $display: symbol };

/** How a value shows itself: by its display method, as a table, tensor, image …, or as text.
 *  @throws DisplayError for a bundle that no front end could read, and whatever the value's own method throws */
export function bundleOf(value: unknown): DisplayBundle | Promise<DisplayBundle> {
  if (!types.isProxy(value) && value instanceof RichValue) return value.bundle;
  const method = (typeof value === "object" || typeof value === "function") && value !== null ? methodOf(value, DISPLAY_METHOD) : undefined;
  if (method === undefined) {
    const data = richBundle(value);
    return data === null ? { data: { "text/plain": inspectValue(value) }, metadata: {} } : checkedBundle(data);
  }
  const data = method();
  return types.isPromise(data) ? data.then(madeBundle) : madeBundle(data);
}

/** What a display method returned. */
function madeBundle(data: unknown): DisplayBundle {
  if (data instanceof RichValue) return data.bundle;
  return isJsonObject(data) ? checkedBundle(data) : { data: { "text/plain": inspectValue(data) }, metadata: {} };
}

/** The display function of cells: shows now, or for an asynchronous bundle when it is there, but before the cell ends. */
export function createDisplay(runs: CellRuns, output: OutputSender): Display {
  const displays = new Displays(runs, output);
  const display: ShowFunction = (value, options) => displays.show(value, options);
  const helpers = Object.entries(media).map(([name, make]) => {
    // The types of each helper's arguments are those of its maker, see ShowMedia.
    const makeAny = make as (...given: unknown[]) => RichValue;
    return [name, (...given: unknown[]) => {
      const made = makeAny(...given);
      if (name === "plotly") displays.provideLibrary();
      return displays.show(made, {}, makeAny);
    }];
  });
  return Object.assign(display, { ...Object.fromEntries(helpers) as ShowMedia, $display: DISPLAY_METHOD });
}

/** Displays of one id that are not there yet. */
interface Waiting { numPending: number; lastTurn: number; isShown: boolean }

class Displays {
  private readonly runs: CellRuns;
  private readonly output: OutputSender;
  private readonly waiting = new Map<string, Waiting>();
  private lastTurn = 0;
  private hasLibrary = false;

  constructor(runs: CellRuns, output: OutputSender) {
    this.runs = runs;
    this.output = output;
  }

  /** @param make turns what a later update gets into a value of the same form */
  show(value: unknown, options: DisplayOptions = {}, make?: (value: unknown) => RichValue): DisplayHandle {
    const id = checkId(options);
    const isBundle = options.raw === true || (isMimeBundle(value) && !(DISPLAY_METHOD in value));
    if (isBundle && !isJsonObject(value)) {
      throw new DisplayError({
        code: "E_DISPLAY_MIME", what: `display with raw: true got ${inspect(value, { depth: 0, maxStringLength: 40 })}`, why: "a MIME bundle is an object",
        fix: "give e.g. { \"text/html\": \"<b>bold</b>\" }",
      });
    }
    this.send(id, isBundle ? checkedBundle(value as JsonObject) : bundleOf(value), options);
    return new DisplayHandle(id, (next) => { this.show(make === undefined || isRich(next) ? next : make(next), { display_id: id, update: true }, make); });
  }

  /** Puts plotly.js into the page as an output of its own, once: figures come and go, the page keeps it. */
  provideLibrary(): void {
    if (this.hasLibrary) return;
    this.hasLibrary = true;
    this.show(new RichValue("plotly.js", checkedBundle({ "text/html": plotlyLibraryHtml(), "text/plain": "plotly.js" })));
  }

  private send(id: string, bundle: DisplayBundle | Promise<DisplayBundle>, options: DisplayOptions): void {
    const run = this.runs.current;
    const turn = ++this.lastTurn;
    const isUpdate = options.update ?? false;
    if (!types.isPromise(bundle)) {
      this.sendNow(run, id, turn, isUpdate, bundle, options);
      return;
    }
    const waiting = this.waiting.get(id) ?? { numPending: 0, lastTurn: 0, isShown: isUpdate };
    this.waiting.set(id, waiting);
    waiting.numPending++;
    const pending = bundle.then((ready) => { this.sendNow(run, id, turn, isUpdate, ready, options); })
      .catch((error: unknown) => { process.stderr.write(`display failed: ${inspectValue(error)}\n`); })
      .finally(() => {
        run.pendingDisplays.delete(pending);
        if (--waiting.numPending === 0) this.waiting.delete(id);
      });
    run.pendingDisplays.add(pending);
  }

  /** A slow bundle must not replace a newer one, and what comes first is what a later update replaces. */
  private sendNow(run: CellRun, id: string, turn: number, isUpdate: boolean, bundle: DisplayBundle, options: DisplayOptions): void {
    const waiting = this.waiting.get(id);
    const isStale = waiting !== undefined && turn < waiting.lastTurn;
    if (isStale && (waiting.isShown || isUpdate)) return;
    const isFirst = waiting === undefined ? !isUpdate : !waiting.isShown;
    if (waiting !== undefined) {
      waiting.lastTurn = turn;
      waiting.isShown = true;
    }
    this.output.send({
      type: "display", runId: run.id, isUpdate: !isFirst, displayId: id,
      bundle: { data: bundle.data, metadata: { ...bundle.metadata, ...options.metadata } },
    });
  }
}

function isRich(value: unknown): boolean {
  return typeof value === "object" && value !== null && DISPLAY_METHOD in value;
}

function checkId({ display_id: id, update = false }: DisplayOptions): string {
  if (typeof id === "string" && id !== "") return id;
  if (id === undefined && !update) return randomUUID();
  throw new DisplayError({
    code: "E_DISPLAY_ID", what: `display got display_id: ${inspect(id)}${update ? " with update: true" : ""}`, why: "an update needs the name of the output that it replaces",
    fix: "give display_id: \"name\", or keep the handle: const shown = display(value); shown.update(next)",
  });
}
