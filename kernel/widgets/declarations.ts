/** TypeScript's view of `widgets`, for compile/ambient.ts; namespace.ts makes the values. */
export const WIDGET_DECLARATIONS = `
/** Controls for the page, as in Python's ipywidgets, with camelCase properties. Needs JupyterLab, Notebook or another front
 *  end with ipywidgets' own package. */
declare namespace widgets {
  interface Change<T = any> { readonly name: string; readonly old: T; readonly new: T; readonly owner: Widget }
  /** Sizes and places, by the names of CSS: "50%", "200px", "1 1 auto", … */
  interface LayoutOptions {
    alignContent?: string | null; alignItems?: string | null; alignSelf?: string | null; borderBottom?: string | null; borderLeft?: string | null;
    borderRight?: string | null; borderTop?: string | null; bottom?: string | null; display?: string | null; flex?: string | null;
    flexFlow?: string | null; gridArea?: string | null; gridAutoColumns?: string | null; gridAutoFlow?: string | null; gridAutoRows?: string | null;
    gridColumn?: string | null; gridGap?: string | null; gridRow?: string | null; gridTemplateAreas?: string | null;
    gridTemplateColumns?: string | null; gridTemplateRows?: string | null; height?: string | null; justifyContent?: string | null;
    justifyItems?: string | null; left?: string | null; margin?: string | null; maxHeight?: string | null; maxWidth?: string | null;
    minHeight?: string | null; minWidth?: string | null; objectFit?: string | null; objectPosition?: string | null; order?: string | null;
    overflow?: string | null; padding?: string | null; right?: string | null; top?: string | null; visibility?: string | null; width?: string | null;
  }
  interface StyleOptions {
    /** Room for the description, e.g. "initial" for as much as it needs. */
    descriptionWidth?: string; handleColor?: string | null; barColor?: string | null; buttonColor?: string | null; buttonWidth?: string;
    background?: string | null; fontFamily?: string | null; fontSize?: string | null; fontStyle?: string | null; fontVariant?: string | null;
    fontWeight?: string | null; textColor?: string | null; textDecoration?: string | null;
  }
  /** Any widget. */
  class Widget<Options = any> {
    readonly modelId: string;
    /** Sets several properties in one message, e.g. both ends of a range. */
    update(values: Partial<Options>): void;
    /** Calls back after each change of the named properties, or of any; returns what ends the observation. */
    observe(listener: (change: Change) => unknown, names?: string | readonly string[]): () => void;
    /** Calls back with each message about something else than state. */
    onMessage(listener: (content: any) => unknown): () => void;
    send(content: unknown, buffers?: readonly Uint8Array[]): void;
    /** Removes the widget from the page. */
    close(): void;
  }
  /** A widget with a value that goes both ways: whoever changes it, the other side follows. */
  class ValueWidget<T, Options> extends Widget<Options> {
    value: T;
    /** Calls back with each new value. An asynchronous listener is not called again before it has ended, and then with the
     *  newest value only. Returns what ends the observation. */
    onChange(listener: (value: T, old: T) => unknown): () => void;
    /** Resolves with the next new value; a running cell that awaits it gets it. */
    nextValue(): Promise<T>;
  }
  interface Shown { layout?: LayoutOptions | Layout; tooltip?: string | null; tabbable?: boolean | null; domClasses?: string[] }
  interface Described extends Shown { description?: string; descriptionAllowHtml?: boolean; style?: StyleOptions | Widget }
  interface Enabled { disabled?: boolean }
  type Colour = "" | "primary" | "success" | "info" | "warning" | "danger";
  type Orientation = "horizontal" | "vertical";
  interface Range<T = number> { value?: T; min?: number; max?: number }
  interface Sliding extends Described, Enabled {
    orientation?: Orientation; continuousUpdate?: boolean; readout?: boolean; behavior?: "drag-tap" | "drag-snap" | "tap" | "drag" | "snap";
  }
  interface SliderOptions<T = number> extends Sliding, Range<T> {
    step?: number | null;
    /** d3-format, e.g. ".2f". */
    readoutFormat?: string;
  }
  interface LogSliderOptions extends SliderOptions { /** min and max are exponents of it; 10 without it. */ base?: number }
  interface ProgressOptions extends Described, Range { barStyle?: "" | "success" | "info" | "warning" | "danger"; orientation?: Orientation }
  interface NumberTextOptions extends Described, Enabled { value?: number; step?: number | null; continuousUpdate?: boolean }
  interface BoundedTextOptions extends NumberTextOptions { min?: number; max?: number }
  interface PlayOptions extends Described, Enabled, Range { step?: number; interval?: number; playing?: boolean; repeat?: boolean; showRepeat?: boolean }
  /** Values, [label, value] pairs, or an object from labels to values. */
  type Choices<T> = readonly T[] | readonly (readonly [string, T])[] | Readonly<Record<string, T>>;
  interface SelectionOptions<T> extends Described, Enabled { options?: Choices<T>; value?: T | null; index?: number | null; label?: string | null }
  interface TextOptions extends Described, Enabled { value?: string; placeholder?: string; continuousUpdate?: boolean }
  interface TextareaOptions extends TextOptions { rows?: number | null }
  interface MarkupOptions extends Described { value?: string; placeholder?: string }
  interface ToggleOptions extends Described, Enabled { value?: boolean; buttonStyle?: Colour; icon?: string }
  interface ButtonOptions extends Shown, Enabled { description?: string; buttonStyle?: Colour; icon?: string; style?: StyleOptions | Widget }
  interface ImageOptions extends Shown { value?: Uint8Array; format?: string; width?: string; height?: string }
  interface BoxOptions extends Shown { children?: readonly Widget[]; boxStyle?: "" | "success" | "info" | "warning" | "danger" }
  interface PagesOptions extends BoxOptions { titles?: readonly string[]; selectedIndex?: number | null }

  interface IntSlider extends Required<SliderOptions> {}
  class IntSlider extends ValueWidget<number, SliderOptions> { constructor(options?: SliderOptions) }
  interface FloatSlider extends Required<SliderOptions> {}
  class FloatSlider extends ValueWidget<number, SliderOptions> { constructor(options?: SliderOptions) }
  interface FloatLogSlider extends Required<LogSliderOptions> {}
  class FloatLogSlider extends ValueWidget<number, LogSliderOptions> { constructor(options?: LogSliderOptions) }
  interface IntRangeSlider extends Required<SliderOptions<readonly [number, number]>> {}
  class IntRangeSlider extends ValueWidget<readonly [number, number], SliderOptions<readonly [number, number]>> {
    constructor(options?: SliderOptions<readonly [number, number]>);
  }
  interface FloatRangeSlider extends Required<SliderOptions<readonly [number, number]>> {}
  class FloatRangeSlider extends ValueWidget<readonly [number, number], SliderOptions<readonly [number, number]>> {
    constructor(options?: SliderOptions<readonly [number, number]>);
  }
  interface IntProgress extends Required<ProgressOptions> {}
  class IntProgress extends ValueWidget<number, ProgressOptions> { constructor(options?: ProgressOptions) }
  interface FloatProgress extends Required<ProgressOptions> {}
  class FloatProgress extends ValueWidget<number, ProgressOptions> { constructor(options?: ProgressOptions) }
  interface IntText extends Required<NumberTextOptions> {}
  class IntText extends ValueWidget<number, NumberTextOptions> { constructor(options?: NumberTextOptions) }
  interface FloatText extends Required<NumberTextOptions> {}
  class FloatText extends ValueWidget<number, NumberTextOptions> { constructor(options?: NumberTextOptions) }
  interface BoundedIntText extends Required<BoundedTextOptions> {}
  class BoundedIntText extends ValueWidget<number, BoundedTextOptions> { constructor(options?: BoundedTextOptions) }
  interface BoundedFloatText extends Required<BoundedTextOptions> {}
  class BoundedFloatText extends ValueWidget<number, BoundedTextOptions> { constructor(options?: BoundedTextOptions) }
  interface Play extends Required<PlayOptions> {}
  /** Counts from min to max, a step each interval (ms). */
  class Play extends ValueWidget<number, PlayOptions> { constructor(options?: PlayOptions) }
  interface Checkbox extends Required<Omit<ToggleOptions, "buttonStyle" | "icon">> { indent: boolean }
  class Checkbox extends ValueWidget<boolean, Omit<ToggleOptions, "buttonStyle" | "icon"> & { indent?: boolean }> {
    constructor(options?: Omit<ToggleOptions, "buttonStyle" | "icon"> & { indent?: boolean });
  }
  interface ToggleButton extends Required<ToggleOptions> {}
  class ToggleButton extends ValueWidget<boolean, ToggleOptions> { constructor(options?: ToggleOptions) }
  interface Valid extends Required<Omit<ToggleOptions, "buttonStyle" | "icon">> { readout: string }
  class Valid extends ValueWidget<boolean, Omit<ToggleOptions, "buttonStyle" | "icon"> & { readout?: string }> {
    constructor(options?: Omit<ToggleOptions, "buttonStyle" | "icon"> & { readout?: string });
  }
  interface SelectionWidget<T> extends Required<Described>, Required<Enabled> { options: Choices<T>; index: number | null; label: string | null }
  class SelectionWidget<T, Options = SelectionOptions<T>> extends ValueWidget<T, Options> { constructor(options?: Options) }
  class Dropdown<T = any> extends SelectionWidget<T> {}
  class Select<T = any> extends SelectionWidget<T, SelectionOptions<T> & { rows?: number }> { rows: number }
  class RadioButtons<T = any> extends SelectionWidget<T, SelectionOptions<T> & { orientation?: Orientation }> { orientation: Orientation }
  class SelectionSlider<T = any> extends SelectionWidget<T, SelectionOptions<T> & Sliding> {
    orientation: Orientation; continuousUpdate: boolean; readout: boolean; behavior: "drag-tap" | "drag-snap" | "tap" | "drag" | "snap";
  }
  class ToggleButtons<T = any> extends SelectionWidget<T, SelectionOptions<T> & { buttonStyle?: Colour; icons?: readonly string[]; tooltips?: readonly string[] }> {
    buttonStyle: Colour; icons: readonly string[]; tooltips: readonly string[];
  }
  interface Text extends Required<TextOptions> {}
  class Text extends ValueWidget<string, TextOptions> {
    constructor(options?: TextOptions);
    /** Calls back with the text when Enter is pressed. */
    onSubmit(listener: (value: string) => unknown): () => void;
  }
  interface Textarea extends Required<TextareaOptions> {}
  class Textarea extends ValueWidget<string, TextareaOptions> { constructor(options?: TextareaOptions) }
  interface Label extends Required<MarkupOptions> {}
  class Label extends ValueWidget<string, MarkupOptions> { constructor(options?: MarkupOptions) }
  interface HTML extends Required<MarkupOptions> {}
  class HTML extends ValueWidget<string, MarkupOptions> { constructor(options?: MarkupOptions) }
  interface Image extends Required<ImageOptions> {}
  class Image extends ValueWidget<Uint8Array, ImageOptions> { constructor(options?: ImageOptions) }
  interface Button extends Required<ButtonOptions> {}
  class Button extends Widget<ButtonOptions> {
    constructor(options?: ButtonOptions);
    onClick(listener: () => unknown): () => void;
    /** Resolves with the next click; a running cell that awaits it gets it. */
    nextClick(): Promise<void>;
  }
  interface VBox extends Required<BoxOptions> {}
  class VBox extends Widget<BoxOptions> { constructor(options?: BoxOptions) }
  interface HBox extends Required<BoxOptions> {}
  class HBox extends Widget<BoxOptions> { constructor(options?: BoxOptions) }
  interface GridBox extends Required<BoxOptions> {}
  class GridBox extends Widget<BoxOptions> { constructor(options?: BoxOptions) }
  interface Tab extends Required<PagesOptions> {}
  class Tab extends Widget<PagesOptions> { constructor(options?: PagesOptions) }
  interface Accordion extends Required<PagesOptions> {}
  class Accordion extends Widget<PagesOptions> { constructor(options?: PagesOptions) }
  interface Output extends Required<Shown> {}
  /** A place on the page for outputs. */
  class Output extends Widget<Shown> {
    constructor(options?: Shown);
    readonly outputs: readonly any[];
    /** Runs work with its outputs, and its error, going here. */
    capture<T>(work: () => T): T | undefined;
    /** Adds a value as display() would. */
    append(value: unknown): void;
    clear(options?: { wait?: boolean }): void;
  }
  interface Layout extends Required<LayoutOptions> {}
  class Layout extends Widget<LayoutOptions> { constructor(options?: LayoutOptions) }

  /** [min, max] or { min, max, step?, value? }: a slider. A number: a slider around it. Other lists, and objects from labels
   *  to values: a drop-down menu; { options: [2, 4] } where two numbers are meant as options. */
  type Control = boolean | string | number | readonly [number, number] | { min: number; max: number; step?: number; value?: number }
    | { options: readonly any[] } | readonly any[] | Widget | Readonly<Record<string, any>>;
  type ValueOf<C> = C extends { value: infer V } & Widget ? V : C extends boolean ? boolean : C extends string ? string : C extends number ? number
    : C extends readonly [number, number] ? number : C extends { min: number; max: number } ? number
    : C extends { options: readonly (infer V)[] } ? V : C extends readonly (infer V)[] ? V : C extends Readonly<Record<string, infer V>> ? V : never;
  interface Interaction {
    /** Controls and output, one below the other. */
    readonly widget: VBox;
    readonly controls: Readonly<Record<string, any>>;
    readonly values: Readonly<Record<string, any>>;
    /** Calls the function now. */
    run(): Promise<void> | undefined;
    close(): void;
  }
  /** Shows a control for each argument, calls the function, shows its result and output, and again when a control changes:
   *  interact(({ layer }) => plot(layer), { layer: [0, 11] }). With manual, when the button is pressed. */
  function interact<const C extends Readonly<Record<string, Control>>>(
    work: (values: { readonly [K in keyof C]: ValueOf<C[K]> }) => unknown, controls: C, options?: { manual?: boolean }): Interaction;
  /** Closes all widgets. */
  function closeAll(): void;
}
`;
