import { inspect } from "node:util";
import type { Runtime } from "node:inspector";

/** Longer texts are cut, in UTF-16 units. */
const MAX_LENGTH = 10_000;

/** A value as one line. Made of what V8 tells about it, so that no getter and no other code of the user runs.
 *  It looks like what node:util's inspect makes of the value. */
export function valueText(value: Runtime.RemoteObject): string {
  const text = value.preview === undefined ? plainText(value) : previewText(value.preview, value.description);
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`;
}

/** Name of the class of an object; undefined for plain values, whose text says what they are. JupyterLab shows the
 *  type in place of the value where there is one. */
export function valueType(value: Runtime.RemoteObject): string | undefined {
  if (value.objectId === undefined || value.type === "symbol") return undefined;
  const isSized = /\(\d+\)$/.test(value.description ?? "");
  return isSized ? value.description : value.className ?? value.type;
}

function plainText(value: Runtime.RemoteObject): string {
  const { type, subtype, description = "" } = value;
  if (type === "string") return inspect(value.value);
  if (type === "function") return functionText(description);
  if (type === "object" && subtype === "error") return description.split("\n", 1)[0] ?? "";
  if (type === "undefined" || subtype === "null") return subtype ?? type;
  return value.unserializableValue ?? (description === "" ? String(value.value) : description);
}

function functionText(source: string): string {
  const name = /^(?:async\s+)?(?:function\s*\*?|class)\s+([\w$]+)/.exec(source)?.[1];
  const kind = source.startsWith("class") ? "class" : "Function";
  return name === undefined ? `[${kind} (anonymous)]` : `[${kind}: ${name}]`;
}

function previewText(preview: Runtime.ObjectPreview, description = preview.description ?? ""): string {
  const { subtype, properties, entries, overflow } = preview;
  if (preview.type === "string") return inspect(description);
  if (preview.type !== "object" || subtype === "error" || subtype === "date" || subtype === "regexp" || subtype === "proxy") {
    return plainText({ type: preview.type, subtype, description });
  }
  const more = overflow ? ["…"] : [];
  if (entries !== undefined) {
    const items = entries.map(({ key, value }) => (key === undefined ? previewText(value) : `${previewText(key)} => ${previewText(value)}`));
    return `${description} ${braces([...items, ...more])}`;
  }
  const isList = subtype === "array" || subtype === "typedarray";
  const fields = properties.filter(({ name }) => !isList || /^\d+$/.test(name)).map((property) => {
    const value = propertyText(property);
    return isList ? value : `${/^[\w$#]+$/.test(property.name) ? property.name : inspect(property.name)}: ${value}`;
  });
  const text = isList ? brackets([...fields, ...more]) : braces([...fields, ...more]);
  const isPlain = description === "Object" || (subtype === "array" && description.startsWith("Array("));
  return isPlain ? text : `${description} ${text}`;
}

function propertyText({ type, subtype, value = "" }: Runtime.PropertyPreview): string {
  if (type === "accessor") return "[Getter]";
  if (type === "string") return inspect(value);
  return type === "function" ? "[Function]" : value || (subtype ?? type);
}

function braces(parts: readonly string[]): string {
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}

function brackets(parts: readonly string[]): string {
  return parts.length === 0 ? "[]" : `[ ${parts.join(", ")} ]`;
}
