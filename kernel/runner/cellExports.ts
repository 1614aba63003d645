import { Object, Reflect, Set } from "./intrinsics.ts";
import { RUNTIME_NAME, SHADOW_MARK } from "./runtimeName.ts";

/** `exports` of cells, as in tslab: it has what cells declared, under the same names, and what is put into it. There is no
 *  `module`: scripts of browser libraries that a cell evaluates would take both for those of CommonJS.
 *  Source: executor.ts of tslab 1.0.22 */
export function createCellExports(): object {
  const world = globalThis;
  const initialNames = new Set<PropertyKey>([...Object.getOwnPropertyNames(world), "exports", RUNTIME_NAME]);
  const variable = (name: PropertyKey): PropertyKey | null => {
    const key = typeof name === "string" && initialNames.has(name) ? name + SHADOW_MARK : name;
    return !initialNames.has(key) && Object.hasOwn(world, key) ? key : null;
  };
  const variableNames = (): string[] => Object.getOwnPropertyNames(world).filter((name) => !initialNames.has(name)).map((name) => name.replace(SHADOW_MARK, ""));
  return new Proxy<Record<PropertyKey, unknown>>({}, {
    get: (added, name) => Reflect.get(variable(name) === null ? added : world, variable(name) ?? name) as unknown,
    set: (added, name, value) => Reflect.set(variable(name) === null ? added : world, variable(name) ?? name, value),
    has: (added, name) => variable(name) !== null || Reflect.has(added, name),
    ownKeys: (added) => [...new Set([...variableNames(), ...Reflect.ownKeys(added)])],
    getOwnPropertyDescriptor: (added, name) => {
      const key = variable(name);
      if (key === null) return Reflect.getOwnPropertyDescriptor(added, name);
      return { value: Reflect.get(world, key) as unknown, writable: true, enumerable: true, configurable: true };
    },
  });
}
