import { isJsonObject } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";

/** The way from the state to one of its values: keys of objects and places in arrays. */
type BufferPath = readonly (string | number)[];

/** A state without its binary values, which travel as buffers of the message. */
export interface SplitState { readonly state: JsonObject; readonly bufferPaths: readonly BufferPath[]; readonly buffers: readonly Uint8Array[] }

/** Takes the binary values out of a state: removed from objects, null in arrays.
 *  Source: the widget messaging protocol, version 2, "Instantiating a widget object" */
export function splitBuffers(state: JsonObject): SplitState {
  const bufferPaths: BufferPath[] = [];
  const buffers: Uint8Array[] = [];
  const take = (value: Uint8Array, path: BufferPath): void => {
    bufferPaths.push(path);
    buffers.push(value);
  };
  const without = (value: unknown, path: BufferPath): unknown => {
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => {
        if (!(item instanceof Uint8Array)) return without(item, [...path, index]);
        take(item, [...path, index]);
        return null;
      });
    }
    return isJsonObject(value) ? withoutFields(value, path) : value;
  };
  const withoutFields = (object: JsonObject, path: BufferPath): JsonObject => {
    const kept: JsonObject = {};
    for (const [key, value] of Object.entries(object)) {
      if (value instanceof Uint8Array) take(value, [...path, key]);
      else kept[key] = without(value, [...path, key]);
    }
    return kept;
  };
  return { state: withoutFields(state, []), bufferPaths, buffers };
}

/** Puts binary values back in their places; paths that lead nowhere are left out.
 *  @param paths as they came from the front end
 *  @returns a new state */
export function joinBuffers(state: JsonObject, paths: unknown, buffers: readonly Uint8Array[]): JsonObject {
  const whole = structuredClone(state);
  if (!Array.isArray(paths)) return whole;
  for (const [index, path] of paths.entries()) {
    const buffer = buffers[index];
    if (buffer === undefined || !isPath(path)) continue;
    let holder: unknown = whole;
    for (const step of path.slice(0, -1)) holder = stepInto(holder, step);
    const last = path.at(-1);
    if (Array.isArray(holder) && typeof last === "number" && last < holder.length) holder[last] = buffer;
    else if (isJsonObject(holder) && typeof last === "string" && last !== "__proto__") holder[last] = buffer;
  }
  return whole;
}

function isPath(value: unknown): value is (string | number)[] {
  return Array.isArray(value) && value.length > 0 && value.every((step) => typeof step === "string" || typeof step === "number");
}

function stepInto(holder: unknown, step: string | number): unknown {
  if (Array.isArray(holder)) return typeof step === "number" ? holder[step] as unknown : undefined;
  return isJsonObject(holder) && Object.hasOwn(holder, step) ? holder[step] : undefined;
}
