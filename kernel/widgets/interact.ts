import { types } from "node:util";
import type { JsonObject } from "../protocol/json.ts";
import { DISPLAY_METHOD } from "../display/richValue.ts";
import { planControl } from "./controls.ts";
import { OutputWidget } from "./output.ts";
import type { WidgetRegistry } from "./registry.ts";
import { Widget } from "./widget.ts";

type Values = Readonly<Record<string, unknown>>;
/** Makes a widget of a class by its name. */
export type MakeWidget = (className: string, options: Values) => Widget;

export interface InteractOptions {
  /** Run when a button is pressed, not with each change. */
  readonly manual?: boolean;
}

/** A function with controls for its arguments and a place for its results. */
export class Interaction {
  /** The controls and the output, one below the other. */
  readonly widget: Widget;
  readonly controls: Readonly<Record<string, Widget>>;
  private readonly work: (values: Values) => unknown;
  private readonly output: OutputWidget;
  private readonly registry: WidgetRegistry;
  private running: Promise<void> | null = null;
  private isWaiting = false;
  private readonly shownIn: number;

  constructor(registry: WidgetRegistry, make: MakeWidget, work: (values: Values) => unknown, abbreviations: Values, options: InteractOptions) {
    this.registry = registry;
    this.work = work;
    this.shownIn = registry.runs.current.id;
    this.controls = Object.fromEntries(Object.entries(abbreviations).map(([name, abbreviation]) => {
      const plan = planControl(name, abbreviation);
      const control = plan instanceof Widget ? plan : make(plan.className, plan.options);
      if (control.get("description") === "") control.update({ description: name });
      return [name, control];
    }));
    const output = make("Output", {});
    if (!(output instanceof OutputWidget)) throw new Error("Output is made by another class");
    this.output = output;
    const button = options.manual === true ? make("Button", { description: "Run" }) : null;
    const run = (): void => { void this.run(); };
    if (button === null) for (const control of Object.values(this.controls)) control.observe(run, "value");
    else button.onMessage(({ event }) => { if (event === "click") run(); });
    const children = [...Object.values(this.controls), ...(button === null ? [] : [button]), output];
    this.widget = make("VBox", { children, domClasses: ["widget-interact"] });
  }

  /** The arguments as the controls have them. */
  get values(): Values {
    return Object.fromEntries(Object.entries(this.controls).map(([name, control]) => [name, Reflect.get(control, "value") as unknown]));
  }

  /** Calls the function with the controls' values. While an asynchronous call runs, there is no second one; when it has
   *  ended and a control has changed meanwhile, the function is called once more.
   *  @returns for an asynchronous function when its last result is shown */
  run(): Promise<void> | undefined {
    if (this.running !== null) {
      this.isWaiting = true;
      return this.running;
    }
    const ended = this.call();
    if (ended === null) return undefined;
    this.running = ended.then(() => {
      this.running = null;
      if (!this.isWaiting) return undefined;
      this.isWaiting = false;
      return this.run();
    });
    return this.running;
  }

  /** Removes controls and output from the page. */
  close(): void {
    for (const widget of [...Object.values(this.controls), this.output, this.widget]) widget.close();
  }

  /** Where interact() has shown it already, the cell's result shows nothing. */
  [DISPLAY_METHOD](): JsonObject {
    return this.registry.runs.current.id === this.shownIn ? {} : this.widget[DISPLAY_METHOD]();
  }

  private call(): Promise<void> | null {
    const { output } = this;
    const { values, work } = this;
    const show = (value: unknown): void => {
      if (value !== undefined) output.append(value);
      output.settle();
    };
    output.clear({ wait: true });
    const result = output.capture(() => work(values));
    if (types.isPromise(result)) return result.then(show);
    show(result);
    return null;
  }
}
