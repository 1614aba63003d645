import { inspect } from "node:util";
import type { JsonObject } from "../protocol/json.ts";
import type { DisplayBundle } from "../runner/threadMessages.ts";

/** A method of this name returns how a value shows itself: a MIME bundle or a promise of one.
 *  Source: Deno's Jupyter convention, docs.deno.com/runtime/reference/cli/jupyter */
export const DISPLAY_METHOD: unique symbol = Symbol.for("Jupyter.display");

/** A value made to be shown: the last expression of a cell, or an argument of display(). */
export class RichValue {
  readonly bundle: DisplayBundle;
  private readonly name: string;

  /** @param name what a console calls it */
  constructor(name: string, bundle: DisplayBundle) {
    this.name = name;
    this.bundle = bundle;
  }

  /** For other kernels and libraries, which know only the data. */
  [DISPLAY_METHOD](): JsonObject {
    return this.bundle.data;
  }

  [inspect.custom](): string {
    return `[${this.name}]`;
  }
}
