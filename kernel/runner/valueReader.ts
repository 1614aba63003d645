// Reads values of the user on the main thread for completion and inspection. It may run in the middle of a cell, so it
// never calls the user's code: getters are not run, proxies are not touched, and methods are those of the built-in
// prototypes, which a subclass can't override. V8 runs it only as long as it has no side effect, by V8's own list:
// regular expressions, Reflect.get and names imported from other modules are on it.
import { types } from "node:util";
import type { NameKind, ValueName, ValuePath, ValueQuestion, ValueStep } from "./valuePath.ts";
import { previewOf } from "./valuePreview.ts";

/** Longer lists help nobody. */
const MAX_NAMES = 1000;
/** Keys of a map that are looked at. */
const MAX_KEYS_SEEN = 20_000;
const MAX_PROTOTYPES = 20;
/** Where danfo's data frames keep their column names. */
const COLUMNS_FIELD = "$columns";

const { getOwnPropertyDescriptor, getOwnPropertyNames, getPrototypeOf } = Object;
const { isProxy, isMap, isSet, isModuleNamespaceObject } = types;
const { isArray } = Array;
const objectPrototype: object = Object.prototype;

/** @returns a function whose answers are JSON; names: ValueName[]; preview: a short text, or null where there is none */
export function createValueReader(): (question: ValueQuestion) => string {
  // V8 takes reading another module's name for a side effect.
  const preview = previewOf;
  return (question) => {
    const found = resolve(question.path);
    if (question.ask === "preview") return JSON.stringify(found === null ? null : preview(found.value));
    return JSON.stringify(found === null ? [] : namesOf(found.value, question.kind, question.prefix));
  };
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function resolve(path: ValuePath): { readonly value: unknown } | null {
  let found: { readonly value: unknown } | null = path.root === "" ? { value: globalThis } : member(globalThis, path.root);
  for (const next of path.steps) {
    if (found === null) return null;
    found = step(found.value, next);
  }
  return found;
}

function step(value: unknown, next: ValueStep): { readonly value: unknown } | null {
  switch (next.kind) {
    case "member": return member(value, next.name);
    case "element":
      if (isProxy(value)) return null;
      if (isMap(value)) return first(Map.prototype.values.call(value));
      if (isSet(value)) return first(Set.prototype.values.call(value));
      return isArray(value) ? member(value, "0") : null;
    case "get": return !isProxy(value) && isMap(value) ? { value: Map.prototype.get.call(value, next.key) } : null;
  }
}

function first(values: Iterator<unknown, undefined>): { readonly value: unknown } | null {
  const next: IteratorResult<unknown, undefined> = values.next();
  return next.done === true ? null : { value: next.value };
}

/** A data property, own or inherited; null for accessors and whatever a proxy is asked for. */
function member(value: unknown, name: string): { readonly value: unknown } | null {
  let holder: object | null = isObject(value) ? value : null;
  for (let depth = 0; holder !== null && depth < MAX_PROTOTYPES; depth++) {
    if (isProxy(holder)) return null;
    const descriptor = getOwnPropertyDescriptor(holder, name);
    if (descriptor !== undefined) return "value" in descriptor ? { value: descriptor.value } : null;
    holder = getPrototypeOf(holder) as object | null;
  }
  return null;
}

function namesOf(value: unknown, kind: NameKind, prefix: string): ValueName[] {
  switch (kind) {
    case "members": return memberNames(value, prefix);
    case "keys": return keyNames(value, prefix);
    case "columns": return columnNames(value, prefix);
  }
}

/** Own names first, in the order they were made, then those of each prototype but the last, which every object has. */
function memberNames(value: unknown, prefix: string): ValueName[] {
  const names = new Map<string, ValueName>();
  let holder: object | null = isObject(value) ? value : value === null || value === undefined ? null : getPrototypeOf(value) as object;
  for (let depth = 0; holder !== null && holder !== objectPrototype && depth < MAX_PROTOTYPES && !isProxy(holder); depth++) {
    // Of a large array the indices alone would take seconds.
    const own = depth === 0 && (isArray(holder) || ArrayBuffer.isView(holder)) ? ["length"] : getOwnPropertyNames(holder);
    for (const name of own) {
      if (names.size >= MAX_NAMES) return [...names.values()];
      if (!name.startsWith(prefix) || names.has(name) || isIndex(name) || isInternal(name, prefix)) continue;
      names.set(name, { name, type: nameType(holder, name) });
    }
    holder = getPrototypeOf(holder) as object | null;
  }
  return [...names.values()];
}

function isIndex(name: string): boolean {
  const first = name.charAt(0);
  return first >= "0" && first <= "9";
}

/** What the language put there, and nobody looks for without naming it. */
function isInternal(name: string, prefix: string): boolean {
  return name === "constructor" || (prefix === "" && name.startsWith("__"));
}

function nameType(holder: object, name: string): ValueName["type"] {
  // Asked for, an error would format its stack, and a module give up a name that has no value yet.
  if (name === "stack" || isModuleNamespaceObject(holder)) return "instance";
  const descriptor = getOwnPropertyDescriptor(holder, name);
  if (descriptor === undefined || !("value" in descriptor)) return "property";
  const value: unknown = descriptor.value;
  if (typeof value !== "function") return "instance";
  // The prototype of a class can't be replaced, that of a function can.
  return !isProxy(value) && getOwnPropertyDescriptor(value, "prototype")?.writable === false ? "class" : "function";
}

function keyNames(value: unknown, prefix: string): ValueName[] {
  if (isProxy(value) || !isMap(value)) return [];
  const names: ValueName[] = [];
  let seen = 0;
  for (const key of Map.prototype.keys.call(value)) {
    if (++seen > MAX_KEYS_SEEN || names.length >= MAX_NAMES) break;
    if (typeof key === "string" && key.startsWith(prefix)) names.push({ name: key, type: "key" });
  }
  return names;
}

function columnNames(value: unknown, prefix: string): ValueName[] {
  const columns = member(value, COLUMNS_FIELD)?.value;
  if (isProxy(columns) || !isArray(columns)) return [];
  const names: ValueName[] = [];
  for (let index = 0; index < columns.length && names.length < MAX_NAMES; index++) {
    const name = member(columns, String(index))?.value;
    if (typeof name === "string" && name.startsWith(prefix)) names.push({ name, type: "key" });
  }
  return names;
}
