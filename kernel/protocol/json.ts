/** A JSON object as it came from a file or the wire: its values are unknown until checked. */
export type JsonObject = Record<string, unknown>;

/** Whether a value is an object with string keys: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The string under a key, or the fallback when it is missing or of another type. */
export function stringField(object: JsonObject, key: string, fallback = ""): string {
  const value = object[key];
  return typeof value === "string" ? value : fallback;
}

/** The finite number under a key, or the fallback when it is missing or of another type. */
export function numberField(object: JsonObject, key: string, fallback: number): number {
  const value = object[key];
  return typeof value === "number" && Number.isFinite(value) ? value : fallback;
}

/** The boolean under a key, or the fallback when it is missing or of another type. */
export function booleanField(object: JsonObject, key: string, fallback: boolean): boolean {
  const value = object[key];
  return typeof value === "boolean" ? value : fallback;
}

/** The object under a key, or an empty one when it is missing or of another type. */
export function objectField(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}
