/** Types of display and its helpers, for cells; runner/display.ts and media.ts define the values. */
export const DISPLAY_DECLARATIONS = `
/** One output that is shown. */
interface DisplayHandle {
  readonly id: string;
  /** Replaces what is shown, wherever it is; of a helper such as display.html, by another value for that helper. */
  update(value: unknown): void;
}
/** A value made by html, md, svg or latex: the last expression of a cell, or an argument of display(). */
interface DisplayValue { readonly bundle: { readonly data: Record<string, unknown>; readonly metadata: Record<string, unknown> } }
/** How large an image is drawn, in px. */
interface DisplayImageOptions { readonly width?: number; readonly height?: number; readonly alt?: string }
interface DisplayTableOptions {
  /** These columns in this order; all by default. */
  readonly columns?: readonly string[];
  /** Rows shown, 30 by default. */
  readonly maxRows?: number;
  /** Columns shown, 20 by default. */
  readonly maxColumns?: number;
  readonly caption?: string;
  /** Number the rows from 0. */
  readonly index?: boolean;
}
interface Display {
  /** Shows a value: its [Symbol.for("Jupyter.display")]() bundle, a MIME bundle, a table, tensor or image, or its text. */
  (value: unknown, options?: DisplayOptions): DisplayHandle;
  html(text: string): DisplayHandle;
  markdown(text: string): DisplayHandle;
  /** A formula; without delimiters it is set as a display formula. */
  latex(text: string): DisplayHandle;
  svg(text: string): DisplayHandle;
  /** Bytes, or their base64 text. */
  png(data: Uint8Array | ArrayBuffer | string, options?: DisplayImageOptions): DisplayHandle;
  jpeg(data: Uint8Array | ArrayBuffer | string, options?: DisplayImageOptions): DisplayHandle;
  gif(data: Uint8Array | ArrayBuffer | string, options?: DisplayImageOptions): DisplayHandle;
  /** A PNG, JPEG, GIF or WebP image: its bytes, or the path of a file. */
  image(dataOrPath: Uint8Array | ArrayBuffer | string | URL, options?: DisplayImageOptions): DisplayHandle;
  pdf(data: Uint8Array | ArrayBuffer | string): DisplayHandle;
  /** A tree that can be opened and closed. */
  json(value: unknown, options?: { readonly expanded?: boolean }): DisplayHandle;
  /** Traces and layout as Plotly.newPlot takes them, or a figure that has them. */
  plotly(dataOrFigure: readonly object[] | { readonly data: readonly object[]; readonly layout?: object; readonly config?: object }, layout?: object, config?: object): DisplayHandle;
  /** Rows (objects or arrays), columns (an object of arrays), a Map, a Set or a data frame. */
  table(rows: unknown, options?: DisplayTableOptions): DisplayHandle;
  text(text: unknown): DisplayHandle;
  /** Runs in the front end, where that trusts the notebook. */
  javascript(code: string): DisplayHandle;
  /** Symbol.for("Jupyter.display"): a method of this name returns a value's MIME bundle. */
  readonly $display: unique symbol;
}
declare const display: Display;
/** HTML of a template; what is put in is escaped, but for other html values and lists of them. A call takes HTML as it is. */
declare function html(text: string | TemplateStringsArray, ...values: readonly unknown[]): DisplayValue;
/** Markdown of a template. */
declare function md(text: string | TemplateStringsArray, ...values: readonly unknown[]): DisplayValue;
declare function svg(text: string | TemplateStringsArray, ...values: readonly unknown[]): DisplayValue;
/** A formula; backslashes in the template stay. */
declare function latex(text: string | TemplateStringsArray, ...values: readonly unknown[]): DisplayValue;
/** The public functions of tslab 1.0.22, provided by this kernel. */
declare module "tslab" {
  interface Versions { readonly tslab: string; readonly typescript: string; readonly node: string }
  export const versions: Versions;
  export interface Display {
    javascript(s: string): void;
    html(s: string): void;
    markdown(s: string): void;
    latex(s: string): void;
    svg(s: string): void;
    png(b: Uint8Array): void;
    jpeg(b: Uint8Array): void;
    gif(b: Uint8Array): void;
    pdf(b: Uint8Array): void;
    text(s: string): void;
    raw(contentType: string, b: string | Uint8Array): any;
  }
  /** A display that replaces its own output with every call. */
  export function newDisplay(): Display;
  export const display: Display;
}
`;
