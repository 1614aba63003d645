import type { JsonObject } from "../protocol/json.ts";
import { propertyOf } from "./attributes.ts";
import { Interaction } from "./interact.ts";
import type { InteractOptions, MakeWidget } from "./interact.ts";
import { MODELS } from "./models.ts";
import type { WidgetModel } from "./models.ts";
import { OutputWidget } from "./output.ts";
import type { WidgetRegistry } from "./registry.ts";
import { SelectionWidget } from "./selection.ts";
import { Widget } from "./widget.ts";

type WidgetClass = new (options?: Readonly<Record<string, unknown>>) => Widget;
type ModelClass = new (registry: WidgetRegistry, model: WidgetModel, options?: Readonly<Record<string, unknown>>) => Widget;

/** A widget that is pressed. */
class ButtonWidget extends Widget {
  /** Calls back with each click. */
  onClick(listener: () => unknown): () => void {
    return this.onMessage(({ event }) => event === "click" ? listener() : undefined);
  }

  /** Resolves with the next click. */
  nextClick(): Promise<void> {
    return new Promise((resolve) => {
      const end = this.onClick(() => {
        end();
        resolve();
      });
    });
  }
}

/** A field for text. */
class TextWidget extends Widget {
  /** Calls back with the text when Enter is pressed. */
  onSubmit(listener: (value: unknown) => unknown): () => void {
    return this.onMessage(({ event }) => event === "submit" ? listener(this.get("value")) : undefined);
  }
}

/** A widget with others in it. */
class BoxWidget extends Widget {
  override plainText(): string {
    const children = this.get("children") as readonly Widget[];
    return children.map((child) => child.plainText()).filter((text) => text !== "").join("\n");
  }
}

const CLASSES: Readonly<Record<string, ModelClass>> = {
  Button: ButtonWidget, Text: TextWidget, Textarea: TextWidget, Output: OutputWidget,
  Dropdown: SelectionWidget, Select: SelectionWidget, RadioButtons: SelectionWidget, SelectionSlider: SelectionWidget, ToggleButtons: SelectionWidget,
  VBox: BoxWidget, HBox: BoxWidget, GridBox: BoxWidget, Tab: BoxWidget, Accordion: BoxWidget,
};

/** What cells know as `widgets`: a class for each model, interact, closeAll. declarations.ts tells the type checker. */
export function createWidgets(registry: WidgetRegistry, show: (value: unknown) => void): object {
  const classes = Object.fromEntries([...MODELS.values()].map((model) => [model.name, classOf(registry, model)]));
  const make: MakeWidget = (className, options) => {
    const Class = classes[className];
    if (Class === undefined) throw new Error(`there is no widget class ${className}`);
    return new Class(options);
  };
  return {
    ...classes,
    Widget,
    interact: (work: (values: Readonly<Record<string, unknown>>) => unknown, controls: JsonObject = {}, options: InteractOptions = {}) => {
      const interaction = new Interaction(registry, make, work, controls, options);
      const { pendingDisplays } = registry.runs.current;
      const first = options.manual === true ? undefined : interaction.run();
      // The cell ends when the first result is there.
      if (first !== undefined) pendingDisplays.add(first);
      show(interaction.widget);
      return interaction;
    },
    closeAll: () => { registry.closeAll(); },
  };
}

function classOf(registry: WidgetRegistry, model: WidgetModel): WidgetClass {
  const Base = CLASSES[model.name] ?? Widget;
  const Class = { [model.name]: class extends Base { constructor(options: Readonly<Record<string, unknown>> = {}) { super(registry, model, options); } } }[model.name];
  if (Class === undefined) throw new Error(`no class was made for ${model.name}`);
  const names = [...model.attributes.map(({ name }) => name), ...(model.hasLayout ? ["layout"] : []), ...(model.style === null ? [] : ["style"])];
  for (const name of names) {
    const property = propertyOf(name);
    if (property in Base.prototype) continue;
    Object.defineProperty(Class.prototype, property, {
      get(this: Widget) { return this.get(name); },
      set(this: Widget, value: unknown) { this.update({ [property]: value }); },
      enumerable: true,
    });
  }
  return Class;
}
