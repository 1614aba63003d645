// A short text for a value, made without calling the user's code; see valueReader.ts.
import { types } from "node:util";

const MAX_DEPTH = 2;
const MAX_ELEMENTS = 10;
const MAX_PROPERTIES = 12;
const MAX_STRING_LENGTH = 80;
/** All of a preview, in UTF-16 units. */
const MAX_LENGTH = 400;

const { getOwnPropertyDescriptor, getOwnPropertyNames, getPrototypeOf } = Object;
const { isArray } = Array;
const { stringify } = JSON;
const { isProxy, isDataView, isMap, isSet, isDate, isNativeError, isModuleNamespaceObject } = types;
// The getters of the built-in prototypes: a value may have others of the same name.
const arrayLength = getterOf(getPrototypeOf(Uint8Array.prototype) as object, "length");
const mapSize = getterOf(Map.prototype, "size");
const setSize = getterOf(Set.prototype, "size");

/** @returns null for undefined and for modules, of which the type says more */
export function previewOf(value: unknown): string | null {
  if (value === undefined || isModuleNamespaceObject(value)) return null;
  const text = preview(value, 0);
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}

function getterOf(prototype: object, name: string): (this: object) => number {
  // The three above exist and give numbers.
  const { get } = getOwnPropertyDescriptor(prototype, name) as { readonly get: (this: object) => number };
  return get;
}

function preview(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string": return value.length > MAX_STRING_LENGTH ? `${stringify(value.slice(0, MAX_STRING_LENGTH))}… (${value.length} characters)` : stringify(value);
    case "bigint": return `${value}n`;
    case "symbol": return "Symbol";
    case "function": return functionPreview(value);
    case "object": return value === null ? "null" : objectPreview(value, depth);
    default: return Object.is(value, -0) ? "-0" : String(value);
  }
}

function functionPreview(value: object): string {
  if (isProxy(value)) return "Proxy";
  const name: unknown = getOwnPropertyDescriptor(value, "name")?.value;
  return typeof name === "string" && name !== "" ? `[Function ${name}]` : "[Function]";
}

function objectPreview(value: object, depth: number): string {
  if (isProxy(value)) return "Proxy";
  if (isArray(value)) return listPreview("", value, value.length, depth);
  if (ArrayBuffer.isView(value) && !isDataView(value)) {
    const length = arrayLength.call(value);
    return listPreview(`${constructorName(value)}(${length}) `, value, length, depth);
  }
  if (isMap(value)) return `Map(${mapSize.call(value)})`;
  if (isSet(value)) return `Set(${setSize.call(value)})`;
  if (isDate(value)) return Number.isNaN(Date.prototype.valueOf.call(value)) ? "Invalid Date" : Date.prototype.toISOString.call(value);
  if (isNativeError(value)) return errorPreview(value);
  if (isModuleNamespaceObject(value)) return "Module";
  return plainPreview(value, depth);
}

function listPreview(start: string, list: object, length: number, depth: number): string {
  if (depth >= MAX_DEPTH) return `${start}[…]`;
  const shown: string[] = [];
  for (let index = 0; index < length && index < MAX_ELEMENTS; index++) shown.push(propertyPreview(list, String(index), depth));
  if (length > MAX_ELEMENTS) shown.push(`… ${length - MAX_ELEMENTS} more`);
  return `${start}[${shown.join(", ")}]`;
}

function plainPreview(value: object, depth: number): string {
  const name = constructorName(value);
  const start = name === "" || name === "Object" ? "" : `${name} `;
  if (depth >= MAX_DEPTH) return `${start}{…}`;
  const keys = getOwnPropertyNames(value);
  const shown = keys.slice(0, MAX_PROPERTIES).map((key) => `${key.includes(" ") ? stringify(key) : key}: ${propertyPreview(value, key, depth)}`);
  if (keys.length > MAX_PROPERTIES) shown.push(`… ${keys.length - MAX_PROPERTIES} more`);
  return shown.length === 0 ? `${start}{}` : `${start}{ ${shown.join(", ")} }`;
}

function propertyPreview(holder: object, key: string, depth: number): string {
  const descriptor = getOwnPropertyDescriptor(holder, key);
  if (descriptor === undefined) return "";
  return "value" in descriptor ? preview(descriptor.value, depth + 1) : "[getter]";
}

function constructorName(value: object): string {
  const prototype = getPrototypeOf(value) as object | null;
  if (prototype === null || isProxy(prototype)) return "";
  const made: unknown = getOwnPropertyDescriptor(prototype, "constructor")?.value;
  if (typeof made !== "function" || isProxy(made)) return "";
  const name: unknown = getOwnPropertyDescriptor(made, "name")?.value;
  return typeof name === "string" ? name : "";
}

function errorPreview(error: Error): string {
  const message: unknown = getOwnPropertyDescriptor(error, "message")?.value;
  const name = constructorName(error) || "Error";
  return typeof message === "string" ? `${name}: ${message}` : name;
}
