import { inspect } from "node:util";
import { WidgetError } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";
import { Widget } from "./widget.ts";

/** The class of a control and the options to make it with. */
export interface ControlPlan { readonly className: string; readonly options: Readonly<Record<string, unknown>> }

/** The control that an abbreviation stands for: a range of numbers a slider, a list a drop-down menu, a boolean a checkbox, a
 *  string a text field, a number a slider around it, a widget itself.
 *  Source: the abbreviations of ipywidgets.readthedocs.io/en/stable/examples/Using%20Interact.html; lists of two numbers are
 *  ranges because JavaScript has no tuples
 *  @throws WidgetError E_WIDGET_CONTROL */
export function planControl(name: string, abbreviation: unknown): ControlPlan | Widget {
  if (abbreviation instanceof Widget) return abbreviation;
  switch (typeof abbreviation) {
    case "boolean": return { className: "Checkbox", options: { value: abbreviation, description: name } };
    case "string": return { className: "Text", options: { value: abbreviation, description: name } };
    case "number": return sliderAround(name, abbreviation);
    default:
  }
  if (Array.isArray(abbreviation)) return planList(name, abbreviation);
  if (!isJsonObject(abbreviation)) throw controlError(name, abbreviation);
  const { min, max, step, value, options, ...rest } = abbreviation;
  if (options !== undefined) return { className: "Dropdown", options: { options, value, description: name, ...rest } };
  if (min === undefined && max === undefined) return { className: "Dropdown", options: { options: abbreviation, description: name } };
  return slider(name, { min, max, step, value, ...rest }, abbreviation);
}

function planList(name: string, items: readonly unknown[]): ControlPlan {
  const [min, max] = items;
  if (items.length === 2 && typeof min === "number" && typeof max === "number") return slider(name, { min, max }, items);
  if (items.length === 0) throw controlError(name, items);
  return { className: "Dropdown", options: { options: items, description: name } };
}

/** From -value to 3 · value, as in ipywidgets. */
function sliderAround(name: string, value: number): ControlPlan {
  const [min, max] = value === 0 ? [0, 1] : [Math.min(-value, 3 * value), Math.max(-value, 3 * value)];
  return slider(name, { min, max, value }, value);
}

function slider(name: string, given: Readonly<Record<string, unknown>>, abbreviation: unknown): ControlPlan {
  const { min, max, step, value, ...rest } = given;
  const numbers = [min, max, step, value].filter((part) => part !== undefined);
  if (min === undefined || max === undefined || !numbers.every((part) => typeof part === "number" && Number.isFinite(part))) throw controlError(name, abbreviation);
  const isWhole = numbers.every((part) => Number.isInteger(part));
  const middle = (Number(min) + Number(max)) / 2;
  const initial = value ?? (isWhole ? Math.floor(middle) : middle);
  return { className: isWhole ? "IntSlider" : "FloatSlider", options: { min, max, step, value: initial, description: name, ...rest } };
}

function controlError(name: string, given: unknown): WidgetError {
  return new WidgetError({
    code: "E_WIDGET_CONTROL", what: `No control can be made for ${name}: ${inspect(given)}`,
    why: "a control is made from [min, max], { min, max, step, value }, a list of options, an object from labels to values, a boolean, a string, a number or a widget",
    fix: "give one of these",
  });
}
