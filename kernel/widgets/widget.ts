import { inspect } from "node:util";
import { WidgetError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { Comm } from "../runner/comms.ts";
import { DISPLAY_METHOD } from "../display/richValue.ts";
import { propertyOf } from "./attributes.ts";
import { joinBuffers } from "./buffers.ts";
import { Listeners } from "./listeners.ts";
import type { WidgetModel } from "./models.ts";
import { Draft } from "./ranges.ts";
import type { WidgetRegistry } from "./registry.ts";

/** One property of a widget that has changed. */
export interface Change {
  readonly name: string;
  readonly old: unknown;
  readonly new: unknown;
  readonly owner: Widget;
}

type Options = Readonly<Record<string, unknown>>;

export const WIDGET_VIEW_MIME = "application/vnd.jupyter.widget-view+json";

/** A widget of the front end with its state here. Properties are the protocol's names in camelCase; namespace.ts defines
 *  them on the class of each model. Whatever changes here is sent there, and the other way round. */
export class Widget {
  readonly modelId: string;
  protected readonly registry: WidgetRegistry;
  private readonly model: WidgetModel;
  private readonly comm: Comm;
  private readonly values = new Map<string, unknown>();
  private readonly changes: Listeners<Change>;
  private readonly messages: Listeners<JsonObject>;
  /** Changed here, and the front end does not know yet. */
  private readonly unsent = new Set<string>();
  /** Layout and style that were made for this widget alone. */
  private readonly ownParts: Widget[] = [];
  private isClosed = false;

  /** @param options values of properties
   *  @throws WidgetError E_WIDGET_PROPERTY, E_WIDGET_VALUE, E_WIDGET_RANGE, E_WIDGET_COUNT */
  constructor(registry: WidgetRegistry, model: WidgetModel, options: Options = {}) {
    this.registry = registry;
    this.model = model;
    this.changes = new Listeners(registry.runs, `a listener of ${model.name}`);
    this.messages = new Listeners(registry.runs, `a listener of ${model.name}`);
    for (const { name, initial } of model.attributes) this.values.set(name, initial);
    const { layout, style, ...rest } = options;
    for (const [name, value] of this.checked(rest).changes) this.values.set(name, value);
    if (model.hasLayout) this.values.set("layout", this.part("Layout", layout));
    if (model.style !== null) this.values.set("style", this.part(model.style, style));
    this.comm = registry.open(this);
    this.modelId = this.comm.id;
    this.comm.onMessage = (data, buffers) => { if (isJsonObject(data)) this.receive(data, buffers); };
    this.comm.onClose = () => { this.close(); };
  }

  get name(): string {
    return this.model.name;
  }

  /** The value under a protocol name. */
  get(name: string): unknown {
    return this.values.get(name);
  }

  /** Sets several properties in one message.
   *  @throws WidgetError E_WIDGET_PROPERTY, E_WIDGET_VALUE or E_WIDGET_RANGE; then nothing has changed */
  update(values: Options): void {
    const { layout, style, ...rest } = values;
    const { changes } = this.checked(rest);
    if (layout !== undefined) this.updatePart("layout", layout);
    if (style !== undefined) this.updatePart("style", style);
    this.assign(changes, new Map());
  }

  /** Calls back after each change of a property.
   *  @param names one or several properties; all without it
   *  @returns ends the observation */
  observe(listener: (change: Change) => unknown, names?: string | readonly string[]): () => void {
    const wanted = typeof names === "string" ? [names] : names;
    return this.changes.add(listener, (change) => wanted?.includes(change.name) ?? true);
  }

  /** Calls back with each new value. */
  onChange(listener: (value: unknown, old: unknown) => unknown): () => void {
    return this.observe((change) => listener(change.new, change.old), "value");
  }

  /** Resolves with the next new value. */
  nextValue(): Promise<unknown> {
    return new Promise((resolve) => {
      const end = this.onChange((value) => {
        end();
        resolve(value);
      });
    });
  }

  /** Calls back with each message of the front end that is not about state, e.g. a click. */
  onMessage(listener: (content: JsonObject) => unknown): () => void {
    return this.messages.add(listener);
  }

  /** Sends such a message to the front end. */
  send(content: unknown, buffers: readonly Uint8Array[] = []): void {
    this.comm.send({ method: "custom", content }, { buffers });
  }

  /** Removes the widget from the page, with its layout and style. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.registry.forget(this);
    this.comm.close();
    for (const part of this.ownParts) part.close();
  }

  [DISPLAY_METHOD](): JsonObject {
    if (this.isClosed) return { "text/plain": `${this.name} (closed)` };
    return { [WIDGET_VIEW_MIME]: { version_major: 2, version_minor: 0, model_id: this.modelId }, "text/plain": this.plainText() };
  }

  [inspect.custom](): string {
    return this.plainText();
  }

  /** What a terminal shows: the properties that are not as they were at first. */
  plainText(): string {
    const shown = this.model.attributes.filter(({ name, initial, holdsWidgets }) =>
      !holdsWidgets && !name.startsWith("_") && !Object.is(this.values.get(name), initial));
    return `${this.name}(${inspect(Object.fromEntries(shown.map(({ name }) => [propertyOf(name), this.values.get(name)])), { breakLength: Infinity })})`;
  }

  /** The state as the protocol has it: all of it, or the named attributes. */
  state(names?: Iterable<string>): JsonObject {
    const { modelName, viewName, model, view } = this.model;
    const identity = {
      _model_name: modelName, _model_module: model.module, _model_module_version: model.version,
      _view_name: viewName, _view_module: view.module, _view_module_version: view.version,
    };
    const entries = [...names ?? this.values.keys()].map((name) => [name, reference(this.values.get(name))]);
    return { ...(names === undefined ? identity : {}), ...Object.fromEntries(entries) as JsonObject };
  }

  /** Sends what the front end does not know yet. */
  flush(): void {
    if (this.unsent.size === 0 || this.isClosed) return;
    const names = [...this.unsent];
    this.unsent.clear();
    this.registry.sendState(this.comm, this.state(names));
  }

  /** Takes a value that needs no check and tells no listener. */
  protected put(name: string, value: unknown): void {
    this.values.set(name, value);
    this.unsent.add(name);
    this.registry.schedule(this);
  }

  /** Turns properties into attributes; selections have properties that stand for others. */
  protected resolve(values: Options): Options {
    return values;
  }

  /** Whether the front end may give an attribute this value. */
  protected fits(name: string, value: unknown): boolean {
    return this.model.attributesByName.get(name)?.accepts(value) ?? false;
  }

  /** A change and those that follow from it. */
  protected consequences(change: Change): readonly Change[] {
    return [change];
  }

  /** A layout or style: the widget that is given, or a new one with the properties that are given. */
  private part(modelName: string, given: unknown): Widget {
    if (given instanceof Widget) return given;
    const made = this.registry.make(modelName, isJsonObject(given) ? given : {});
    this.ownParts.push(made);
    return made;
  }

  private updatePart(name: "layout" | "style", given: unknown): void {
    const part = this.values.get(name);
    if (!(part instanceof Widget)) throw this.error("E_WIDGET_PROPERTY", `a ${name}`, `${this.name} has no ${name}`, "leave it out");
    if (given instanceof Widget) this.put(name, given);
    else part.update(given as Options);
  }

  private checked(values: Options): Draft {
    const { properties } = this.model;
    const draft = new Draft(this.values);
    for (const [property, value] of Object.entries(this.resolve(values))) {
      if (value === undefined) continue;
      const attribute = properties.get(property);
      if (attribute === undefined) throw this.error("E_WIDGET_PROPERTY", `the property ${property}`, `it has ${[...properties.keys()].sort().join(", ")}`, "use one of these");
      if (!attribute.accepts(value)) throw this.error("E_WIDGET_VALUE", `${property}: ${inspect(value)}`, `${property} is ${attribute.expects}`, "give such a value");
      draft.set(attribute.name, value);
    }
    this.model.constraint?.(draft);
    return draft;
  }

  private error(code: string, given: string, why: string, fix: string): WidgetError {
    return new WidgetError({ code, what: `${this.model.name} got ${given}`, why, fix });
  }

  /** Takes new values, sends what the front end has otherwise, tells the listeners.
   *  @param known what the front end has, by name */
  private assign(next: ReadonlyMap<string, unknown>, known: ReadonlyMap<string, unknown>): void {
    const changes: Change[] = [];
    for (const [name, value] of next) {
      const old = this.values.get(name);
      if (isSame(old, value)) continue;
      this.values.set(name, value);
      this.unsent.add(name);
      changes.push({ name: propertyOf(name), old, new: value, owner: this });
    }
    for (const [name, value] of known) {
      if (isSame(value, this.values.get(name))) this.unsent.delete(name);
      else this.unsent.add(name);
    }
    if (this.unsent.size > 0) this.registry.schedule(this);
    for (const change of changes.flatMap((one) => this.consequences(one))) this.changes.tell(change);
  }

  private receive(data: JsonObject, buffers: readonly Uint8Array[]): void {
    switch (data.method) {
      case "update":
        if (isJsonObject(data.state)) this.receiveState(joinBuffers(data.state, data.buffer_paths, buffers));
        break;
      case "request_state":
        this.registry.sendState(this.comm, this.state());
        break;
      case "custom":
        if (isJsonObject(data.content)) this.messages.tell(data.content);
        break;
      default:
    }
  }

  /** Values that don't fit are answered with the right ones. */
  private receiveState(state: JsonObject): void {
    const known = new Map<string, unknown>();
    const draft = new Draft(this.values);
    for (const [name, value] of Object.entries(state)) {
      const attribute = this.model.attributesByName.get(name);
      if (attribute === undefined || attribute.holdsWidgets) continue;
      known.set(name, value);
      if (this.fits(name, value)) draft.set(name, value);
    }
    try {
      this.model.constraint?.(draft);
    } catch (error) {
      if (!(error instanceof WidgetError)) throw error;
      draft.changes.clear();
    }
    this.assign(draft.changes, known);
  }
}

/** Widgets are written as references. Source: jupyterwidgetmodels.latest.md */
function reference(value: unknown): unknown {
  if (value instanceof Widget) return `IPY_MODEL_${value.modelId}`;
  return Array.isArray(value) && value.some((item) => item instanceof Widget) ? value.map(reference) : value;
}

function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b);
  return a.length === b.length && a.every((item, index) => Object.is(item, b[index]));
}
