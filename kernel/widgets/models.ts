import { bytes, choice, flag, integer, list, nullable, number, pair, propertyOf, text, texts, widgets } from "./attributes.ts";
import type { Attribute } from "./attributes.ts";
import { keepInLogRange, keepInRange, keepPairInRange } from "./ranges.ts";
import type { Constraint } from "./ranges.ts";

const BASE = { module: "@jupyter-widgets/base", version: "2.0.0" };
const CONTROLS = { module: "@jupyter-widgets/controls", version: "2.0.0" };
const OUTPUT = { module: "@jupyter-widgets/output", version: "1.0.0" };

/** A widget model of the front end's stock packages.
 *  Source: ipywidgets 8, packages/schema/jupyterwidgetmodels.latest.md */
export interface WidgetModel {
  /** Name of the class, e.g. "IntSlider". */
  readonly name: string;
  readonly modelName: string;
  readonly model: { readonly module: string; readonly version: string };
  readonly viewName: string;
  readonly view: { readonly module: string; readonly version: string };
  readonly attributes: readonly Attribute[];
  readonly attributesByName: ReadonlyMap<string, Attribute>;
  /** The same by the names of properties. */
  readonly properties: ReadonlyMap<string, Attribute>;
  /** Name of its style's model; null for what has no style, and for styles and layouts. */
  readonly style: string | null;
  readonly hasLayout: boolean;
  /** What its attributes owe one another. */
  readonly constraint: Constraint | null;
}

const CSS = [
  "align_content", "align_items", "align_self", "border_bottom", "border_left", "border_right", "border_top", "bottom", "display", "flex",
  "flex_flow", "grid_area", "grid_auto_columns", "grid_auto_flow", "grid_auto_rows", "grid_column", "grid_gap", "grid_row",
  "grid_template_areas", "grid_template_columns", "grid_template_rows", "height", "justify_content", "justify_items", "left", "margin",
  "max_height", "max_width", "min_height", "min_width", "object_fit", "object_position", "order", "overflow", "padding", "right", "top",
  "visibility", "width",
];
const WIDTH = text("description_width");
const optionalText = (name: string): Attribute => nullable(text(name));
const FONT = ["font_family", "font_size", "font_style", "font_variant", "font_weight", "text_color", "text_decoration"].map(optionalText);

const styles: Record<string, readonly Attribute[]> = {
  Layout: CSS.map(optionalText),
  DescriptionStyle: [WIDTH],
  SliderStyle: [WIDTH, optionalText("handle_color")],
  ProgressStyle: [WIDTH, optionalText("bar_color")],
  ButtonStyle: [optionalText("button_color"), ...FONT],
  CheckboxStyle: [WIDTH, optionalText("background")],
  ToggleButtonStyle: [WIDTH, ...FONT],
  ToggleButtonsStyle: [WIDTH, text("button_width"), text("font_weight")],
  TextStyle: [WIDTH, optionalText("background"), optionalText("font_size"), optionalText("text_color")],
  LabelStyle: [WIDTH, optionalText("background"), ...FONT],
  HTMLStyle: [WIDTH, optionalText("background"), optionalText("font_size"), optionalText("text_color")],
};

const SHOWN = [texts("_dom_classes"), nullable(flag("tabbable", false)), optionalText("tooltip")];
const DESCRIBED = [...SHOWN, text("description"), flag("description_allow_html", false)];
const DISABLED = flag("disabled", false);
const ORIENTATION = choice("orientation", "horizontal", "vertical");
const COLOURS = ["", "primary", "success", "info", "warning", "danger"];

const SLIDER = [
  ...DESCRIBED, DISABLED, ORIENTATION, flag("continuous_update", true), flag("readout", true),
  choice("behavior", "drag-tap", "drag-snap", "tap", "drag", "snap"),
];
const PROGRESS = [...DESCRIBED, ORIENTATION, choice("bar_style", "", "success", "info", "warning", "danger")];
const whole = (value: number, max: number): Attribute[] => [integer("value", value), integer("min", 0), integer("max", max)];
const real = (value: number, max: number): Attribute[] => [number("value", value), number("min", 0), number("max", max)];
const SELECTION = [...DESCRIBED, DISABLED, texts("_options_labels"), nullable(integer("index", 0))];
const TEXT = [...DESCRIBED, DISABLED, text("value"), text("placeholder", "\u200b"), flag("continuous_update", true)];
const MARKUP = [...DESCRIBED, text("value"), text("placeholder", "\u200b")];
const NUMBER_TEXT = [...DESCRIBED, DISABLED, flag("continuous_update", false)];
const BOX = [...SHOWN, widgets("children"), choice("box_style", "", "success", "info", "warning", "danger")];
const PAGES = [...BOX, texts("titles"), nullable(integer("selected_index", 0))];
const BUTTON = [DISABLED, choice("button_style", ...COLOURS), text("icon")];

function control(
  name: string, attributes: readonly Attribute[], style: string | null = "DescriptionStyle", parts: Partial<WidgetModel> = {},
): WidgetModel {
  return {
    name, modelName: `${name}Model`, viewName: `${name}View`, model: CONTROLS, view: CONTROLS,
    attributes, style, hasLayout: true, constraint: null, ...parts,
    attributesByName: new Map(attributes.map((attribute) => [attribute.name, attribute])),
    properties: new Map(attributes.map((attribute) => [propertyOf(attribute.name), attribute])),
  };
}

const inRange = { constraint: keepInRange };
const controls: readonly WidgetModel[] = [
  control("IntSlider", [...SLIDER, ...whole(0, 100), integer("step", 1), text("readout_format", "d")], "SliderStyle", inRange),
  control("FloatSlider", [...SLIDER, ...real(0, 100), nullable(number("step", 0.1), 0.1), text("readout_format", ".2f")], "SliderStyle", inRange),
  control("FloatLogSlider", [...SLIDER, ...real(1, 4), number("base", 10), number("step", 0.1), text("readout_format", ".3g")], "SliderStyle", {
    constraint: keepInLogRange,
  }),
  control("IntRangeSlider", [
    ...SLIDER, pair("value", [25, 75], true), integer("min", 0), integer("max", 100), integer("step", 1), text("readout_format", "d"),
  ], "SliderStyle", { constraint: keepPairInRange }),
  control("FloatRangeSlider", [
    ...SLIDER, pair("value", [25, 75], false), number("min", 0), number("max", 100), nullable(number("step", 0.1), 0.1), text("readout_format", ".2f"),
  ], "SliderStyle", { constraint: keepPairInRange }),
  control("IntProgress", [...PROGRESS, ...whole(0, 100)], "ProgressStyle", { viewName: "ProgressView", ...inRange }),
  control("FloatProgress", [...PROGRESS, ...real(0, 100)], "ProgressStyle", { viewName: "ProgressView", ...inRange }),
  control("IntText", [...NUMBER_TEXT, integer("value", 0), integer("step", 1)]),
  control("FloatText", [...NUMBER_TEXT, number("value", 0), nullable(number("step", 1))]),
  control("BoundedIntText", [...NUMBER_TEXT, ...whole(0, 100), integer("step", 1)], "DescriptionStyle", { viewName: "IntTextView", ...inRange }),
  control("BoundedFloatText", [...NUMBER_TEXT, ...real(0, 100), nullable(number("step", 1))], "DescriptionStyle", { viewName: "FloatTextView", ...inRange }),
  control("Play", [...DESCRIBED, DISABLED, ...whole(0, 100), integer("step", 1), integer("interval", 100), flag("playing", false), flag("repeat", false), flag("show_repeat", true)], "DescriptionStyle", inRange),
  control("Dropdown", SELECTION),
  control("Select", [...SELECTION, integer("rows", 5)]),
  control("RadioButtons", [...SELECTION, choice("orientation", "vertical", "horizontal")]),
  control("SelectionSlider", [...SELECTION, ORIENTATION, flag("continuous_update", true), flag("readout", true), choice("behavior", "drag-tap", "drag-snap", "tap", "drag", "snap")]),
  control("ToggleButtons", [...SELECTION, choice("button_style", ...COLOURS), texts("icons"), texts("tooltips")], "ToggleButtonsStyle"),
  control("Checkbox", [...DESCRIBED, DISABLED, flag("value", false), flag("indent", true)], "CheckboxStyle"),
  control("ToggleButton", [...DESCRIBED, ...BUTTON, flag("value", false)], "ToggleButtonStyle"),
  control("Valid", [...DESCRIBED, DISABLED, flag("value", false), text("readout", "Invalid")]),
  control("Button", [...SHOWN, ...BUTTON, text("description")], "ButtonStyle"),
  control("Text", TEXT, "TextStyle"),
  control("Textarea", [...TEXT, nullable(integer("rows", 2))], "TextStyle"),
  control("Label", MARKUP, "LabelStyle"),
  control("HTML", MARKUP, "HTMLStyle"),
  control("Image", [...SHOWN, bytes("value"), text("format", "png"), text("width"), text("height")], null),
  control("VBox", BOX, null),
  control("HBox", BOX, null),
  control("GridBox", BOX, null),
  control("Tab", PAGES, null),
  control("Accordion", PAGES, null),
  control("Output", [...SHOWN, text("msg_id"), list("outputs")], null, { model: OUTPUT, view: OUTPUT }),
];


/** Every model, by the name of its class. */
export const MODELS: ReadonlyMap<string, WidgetModel> = new Map([
  ...Object.entries(styles).map(([name, attributes]): WidgetModel => control(name, attributes, null, {
    hasLayout: false, view: BASE, ...(name === "Layout" ? { model: BASE } : { viewName: "StyleView" }),
  })),
  ...controls,
].map((model) => [model.name, model]));
