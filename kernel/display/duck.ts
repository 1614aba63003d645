import { Reflect } from "../runner/intrinsics.ts";

/** A property of a value that may be anything: a getter or proxy of the user's that throws means that it isn't there.
 *  Showing a value must not fail because somebody looked at it. */
export function propertyOf(value: object, name: PropertyKey): unknown {
  try {
    return name in value ? Reflect.get(value, name) as unknown : undefined;
  } catch {
    return undefined;
  }
}

/** A method of a value, bound to it; undefined when there is none. */
export function methodOf(value: object, name: PropertyKey): ((...given: unknown[]) => unknown) | undefined {
  const method = propertyOf(value, name);
  return typeof method === "function" ? (...given) => Reflect.apply(method, value, given) as unknown : undefined;
}
