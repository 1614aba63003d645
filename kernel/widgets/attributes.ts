/** What an attribute may hold. */
interface Kind {
  /** For error messages: "a whole number". */
  readonly expects: string;
  readonly accepts: (value: unknown) => boolean;
}

/** One attribute of a widget model under its name in the widget protocol, e.g. "readout_format". */
export interface Attribute extends Kind {
  readonly name: string;
  readonly initial: unknown;
  /** Holds other widgets; only the kernel sets it. */
  readonly holdsWidgets: boolean;
}

const WHOLE: Kind = { expects: "a whole number", accepts: (value) => Number.isSafeInteger(value) };
const FINITE: Kind = { expects: "a finite number", accepts: (value) => typeof value === "number" && Number.isFinite(value) };
const FLAG: Kind = { expects: "true or false", accepts: (value) => typeof value === "boolean" };
const TEXT: Kind = { expects: "a string", accepts: (value) => typeof value === "string" };
const TEXTS: Kind = { expects: "an array of strings", accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string") };
const BYTES: Kind = { expects: "a Uint8Array", accepts: (value) => value instanceof Uint8Array };
const WIDGETS: Kind = {
  expects: "an array of widgets",
  accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === "object" && item !== null && "modelId" in item),
};
const LIST: Kind = { expects: "an array", accepts: (value) => Array.isArray(value) };

function attribute(name: string, initial: unknown, kind: Kind): Attribute {
  return { name, initial, expects: kind.expects, accepts: kind.accepts, holdsWidgets: false };
}

export const integer = (name: string, initial: number): Attribute => attribute(name, initial, WHOLE);
export const number = (name: string, initial: number): Attribute => attribute(name, initial, FINITE);
export const flag = (name: string, initial: boolean): Attribute => attribute(name, initial, FLAG);
export const text = (name: string, initial = ""): Attribute => attribute(name, initial, TEXT);
export const texts = (name: string): Attribute => attribute(name, [], TEXTS);
export const bytes = (name: string): Attribute => attribute(name, new Uint8Array(), BYTES);
export const list = (name: string): Attribute => attribute(name, [], LIST);

/** A string out of a few; the first is the initial one. */
export function choice(name: string, ...values: readonly string[]): Attribute {
  const expects = `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`;
  return attribute(name, values[0], { expects, accepts: (value) => values.some((allowed) => allowed === value) });
}

/** The same attribute that may also be null. */
export function nullable(inner: Attribute, initial: unknown = null): Attribute {
  return { ...inner, initial, expects: `${inner.expects} or null`, accepts: (value) => value === null || inner.accepts(value) };
}

/** A pair of numbers, lower first. */
export function pair(name: string, initial: readonly [number, number], isWhole: boolean): Attribute {
  const kind = isWhole ? WHOLE : FINITE;
  return attribute(name, initial, {
    expects: `a pair of ${isWhole ? "whole" : "finite"} numbers, the lower one first`,
    accepts: (value) => Array.isArray(value) && value.length === 2 && value.every(kind.accepts) && Number(value[0]) <= Number(value[1]),
  });
}

/** Other widgets, in order. */
export function widgets(name: string): Attribute {
  return { ...attribute(name, [], WIDGETS), holdsWidgets: true };
}

/** The property of a protocol name: "readout_format" is readoutFormat, "_dom_classes" is domClasses. */
export function propertyOf(name: string): string {
  return name.replace(/^_/, "").replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
