import { FileFormatError } from "../errors.ts";

/** @returns why the value can't be taken, or undefined when it can */
export type FieldCheck = (value: unknown) => string | undefined;

/** Accepts the given values only; undefined stands for a field that is left out. */
export function oneOf(...allowed: readonly unknown[]): FieldCheck {
  const shown = allowed.filter((value) => value !== undefined).map((value) => JSON.stringify(value)).join(" or ");
  return (value) => (allowed.includes(value) ? undefined : `only ${shown} is supported`);
}

/** A field that can't change the ids. */
export const anything: FieldCheck = () => undefined;
/** A field with its own reader, which also tells when it is missing. */
export const readLater: FieldCheck = () => undefined;

/** Checks each known field and refuses all others. */
export function checkFields(object: Record<string, unknown>, path: string, checks: Readonly<Record<string, FieldCheck>>): void {
  for (const [name, check] of Object.entries(checks)) {
    const problem = check(object[name]);
    if (problem !== undefined) throw wrongField(path + name, object[name], problem);
  }
  for (const name of Object.keys(object)) {
    if (!Object.hasOwn(checks, name)) throw wrongField(path + name, object[name], "this setting is not known here and could change the ids");
  }
}

export function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongField(path, value, "an object is needed");
  return value as Record<string, unknown>;
}

export function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongField(path, value, "a list is needed");
  return value;
}

export function asText(value: unknown, path: string): string {
  if (typeof value !== "string") throw wrongField(path, value, "a string is needed");
  return value;
}

export function asBoolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw wrongField(path, value, "true or false is needed");
  return value;
}

export function asId(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw wrongField(path, value, "an id is an integer from 0");
  return value;
}

export function wrongField(path: string, value: unknown, why: string): FileFormatError {
  const shown = value === undefined ? "missing" : (JSON.stringify(value) ?? typeof value).slice(0, 80);
  return new FileFormatError({ code: "E_TOKENIZER_JSON",
    what: `${path} of the tokenizer file is ${shown}`,
    why,
    fix: "use a byte-level BPE tokenizer as GPT-2, Llama 3 and Qwen have, or train one with trainTokenizer" });
}
