import type { CheckedDatasetSettings } from "./datasetSettings.ts";
import type { DataDocument } from "./documents.ts";
import { badRecord, type BadReason, type BadRecord, type DataRecord } from "./readers/record.ts";

/** Which part of a record is the document. */
export type DocumentContent =
  | { readonly kind: "text"; readonly field: string }
  | { readonly kind: "ids"; readonly field: string; readonly vocabSize: number }
  | { readonly kind: "record"; readonly fields: readonly string[] };

export function contentOf({ textField, fields, idsField, vocabSize = 2 ** 31 }: CheckedDatasetSettings, isTokenised: boolean): DocumentContent {
  if (fields) return { kind: "record", fields };
  if (idsField !== undefined || (isTokenised && textField === undefined)) return { kind: "ids", field: idsField ?? "input_ids", vocabSize };
  return { kind: "text", field: textField ?? "text" };
}

export function fieldsOf(content: DocumentContent): readonly string[] {
  return content.kind === "record" ? content.fields : [content.field];
}

/** The document in a record, or what is wrong with it. */
export function documentOf(record: DataRecord, content: DocumentContent): DataDocument | BadRecord {
  const { value, file, line } = record;
  if (!isObject(value)) return spoiled(record, "wrong-type", `the record is ${nameOfType(value)}, not an object`);
  const base = { record: value, file, line, domain: 0 };
  for (const field of fieldsOf(content)) {
    const part = Object.hasOwn(value, field) ? value[field] : undefined;
    if (part === undefined || part === null) return spoiled(record, "missing-field", `field ${field} is ${part === null ? "null" : "missing"}`);
    if (hasLoneSurrogate(part, deepestNesting)) return spoiled(record, "lone-surrogate", `field ${field} has half a surrogate pair, which is no character`);
  }
  if (content.kind === "record") return base;
  const part = value[content.field];
  if (content.kind === "text") {
    return typeof part === "string" ? { ...base, text: part } : spoiled(record, "wrong-type", `field ${content.field} is ${nameOfType(part)}, not text`);
  }
  if (!Array.isArray(part) && !isNumberArray(part)) return spoiled(record, "wrong-type", `field ${content.field} is ${nameOfType(part)}, not an array of token ids`);
  const wrong = Array.prototype.findIndex.call(part, (id: unknown) => !(Number.isInteger(id) && (id as number) >= 0 && (id as number) < content.vocabSize));
  if (wrong >= 0) return spoiled(record, "token-id", `field ${content.field} has ${JSON.stringify(part[wrong])} at ${wrong}; token ids are integers from 0 to ${content.vocabSize - 1}`);
  return { ...base, ids: Int32Array.from(part as ArrayLike<number>) };
}

/** The size of a document in characters, or token ids. */
export function sizeOf(document: DataDocument): number {
  return document.text?.length ?? document.ids?.length ?? JSON.stringify(document.record).length;
}

function spoiled(record: DataRecord, reason: BadReason, detail: string): BadRecord {
  const { file, line, byte, after } = record;
  return badRecord({ file, line, byte, after }, reason, detail, Buffer.from(jsonOf(record.value)));
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch (error) {
    if (error instanceof RangeError) return ""; // nested deeper than the stack; the quarantine names the place all the same
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function isNumberArray(value: unknown): value is Int32Array {
  return value instanceof Int32Array || value instanceof Uint32Array || value instanceof Uint16Array || value instanceof Uint8Array;
}

function nameOfType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Levels of a record that are looked at for lone surrogates: more than any record has that isn't made to break readers. */
const deepestNesting = 100;

/** JSON can write half a surrogate pair as an escape; it would silently become U+FFFD in UTF-8. */
function hasLoneSurrogate(value: unknown, levels: number): boolean {
  if (typeof value === "string") return /\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return levels > 0 && Object.values(value).some((part) => hasLoneSurrogate(part, levels - 1));
}
