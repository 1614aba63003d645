import { inspect, types } from "node:util";
import { Array, ArrayBuffer, Object, String } from "./intrinsics.ts";

/** A front end gets slow with more text than this in one output, in UTF-16 units. */
const MAX_TEXT = 100_000;
/** inspect() bounds arrays, maps, sets and strings by itself, but not the properties of an object. */
const MAX_PROPERTIES = 1000;

/** The text of a value for people. Bounded, with the number of what was left out, and it never throws: getters, proxies
 *  and inspection methods are the user's and may. */
export function inspectValue(value: unknown): string {
  try {
    return boundedText(inspectProperties(value), MAX_TEXT);
  } catch (error) {
    return `[no text: showing this value threw ${describeThrown(error)}]`;
  }
}

/** @returns text, or its first `max` UTF-16 units and how many more there are */
export function boundedText(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… ${text.length - max} more characters`;
}

function inspectProperties(value: unknown): string {
  // A proxy's traps would be run, and inspect() shows the target without them.
  if (typeof value !== "object" || value === null || types.isProxy(value) || ArrayBuffer.isView(value)) return inspect(value);
  const names = Array.isArray(value) ? [] : Object.keys(value);
  if (names.length <= MAX_PROPERTIES) return inspect(value);
  const head = Object.create(Object.getPrototypeOf(value) as object | null) as object;
  for (const name of names.slice(0, MAX_PROPERTIES)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, name);
    if (descriptor !== undefined) Object.defineProperty(head, name, descriptor);
  }
  return inspect(head).replace(/\n\}$/, `,\n  ... ${names.length - MAX_PROPERTIES} more properties\n}`);
}

function describeThrown(error: unknown): string {
  try {
    return boundedText(String(error), 200);
  } catch {
    // Whatever it is, its own text throws too.
    return "an error without a text";
  }
}
