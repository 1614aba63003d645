import type { Debugger, Runtime } from "node:inspector";
import { DebugRequestError } from "../errors.ts";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import type { CellSources } from "./cellSources.ts";
import type { InspectorConnection } from "./inspectorConnection.ts";
import { valueText, valueType } from "./valueText.ts";

/** A variable as front ends show it.
 *  Source: microsoft.github.io/debug-adapter-protocol/specification#Types_Variable */
export interface Variable {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  /** Fetches the variables inside; 0 when there are none. */
  readonly variablesReference: number;
  /** Expression for evaluate requests. */
  readonly evaluateName: string;
  readonly indexedVariables?: number;
}

/** What a reference stands for. */
type Container =
  | { readonly kind: "scopes"; readonly scopes: readonly Debugger.Scope[]; readonly self: Runtime.RemoteObject | null; readonly withGlobals: boolean }
  | { readonly kind: "globals" }
  | { readonly kind: "object"; readonly objectId: string; readonly path: string; readonly count: number; readonly isProxy: boolean }
  | { readonly kind: "range"; readonly objectId: string; readonly path: string; readonly start: number; readonly end: number };

/** Node's typings leave the private fields out. */
interface Properties extends Runtime.GetPropertiesReturnType {
  readonly privateProperties?: readonly { readonly name: string; readonly value?: Runtime.RemoteObject }[];
}

/** A larger object is shown in ranges of so many properties, and a still larger one in so many ranges of ranges, as
 *  JupyterLab asks for all there are. */
const RANGE_SIZE = 100;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
/** Names of the kernel and of TypeScript's own helpers. */
const HIDDEN_NAME = /^__moeLab|^__(?:esDecorate|runInitializers|propKey|setFunctionName|addDisposableResource|disposeResources)$/;
const HIDDEN_INTERNALS = new Set(["[[Prototype]]", "[[FunctionLocation]]", "[[Scopes]]", "[[Generator]]"]);

/** Runs in the main thread: how many properties an object has. A list's are its elements; no code of the user runs. */
const COUNT_FUNCTION = `function () {
  return Array.isArray(this) || (ArrayBuffer.isView(this) && "length" in this) ? this.length : Reflect.ownKeys(this).length;
}`;
/** Runs in the main thread: some properties of a large object, getters as getters. */
const RANGE_FUNCTION = `function (start, end) {
  const isList = Array.isArray(this) || ArrayBuffer.isView(this);
  const keys = isList ? Array.from({ length: end - start }, (_, index) => String(start + index)) : Reflect.ownKeys(this).slice(start, end);
  const part = Object.create(null);
  for (const key of keys) {
    const descriptor = Reflect.getOwnPropertyDescriptor(this, key);
    if (descriptor !== undefined) Object.defineProperty(part, key, { ...descriptor, configurable: true });
  }
  return part;
}`;

/** The values a front end can look at. References live until the main thread goes on. */
export class Variables {
  private readonly connection: InspectorConnection;
  private readonly cells: CellSources;
  private readonly containers = new Map<number, Container>();
  /** Never used twice, so that a late request finds nothing rather than something else. */
  private lastReference = 0;

  constructor(connection: InspectorConnection, cells: CellSources) {
    this.connection = connection;
    this.cells = cells;
  }

  clear(): void {
    this.containers.clear();
  }

  /** @param self the frame's `this`, or null where it says nothing */
  scopesReference(scopes: readonly Debugger.Scope[], self: Runtime.RemoteObject | null, withGlobals: boolean): number {
    return this.add({ kind: "scopes", scopes, self, withGlobals });
  }

  globalsReference(): number {
    return this.add({ kind: "globals" });
  }

  /** The variables behind a reference.
   *  @param start first of those to return, where the front end asks for a part
   *  @throws DebugRequestError E_DEBUG_REFERENCE */
  async list(reference: number, start = 0, count = Infinity): Promise<Variable[]> {
    // What JupyterLab asks for a value without parts.
    if (reference === 0) return [];
    const container = this.container(reference);
    if (container.kind === "object" && container.count > RANGE_SIZE && Number.isFinite(count) && count > 0) {
      return this.range(container.objectId, container.path, start, Math.min(container.count, start + Math.min(count, RANGE_SIZE)));
    }
    const all = await this.listAll(container);
    return all.slice(start, start + (count === 0 ? Infinity : count));
  }

  /** Describes a value and gives it a reference if it has parts.
   *  @param path expression that leads to the value */
  describe(name: string, value: Runtime.RemoteObject, path: string): Variable {
    const { objectId } = value;
    const type = valueType(value);
    const shown = { name, value: valueText(value), evaluateName: path, ...(type === undefined ? {} : { type }) };
    if (objectId === undefined || value.type === "symbol") return { ...shown, variablesReference: 0 };
    const isProxy = value.subtype === "proxy";
    const listLength = /\((\d+)\)$/.exec(value.subtype === "array" || value.subtype === "typedarray" ? value.description ?? "" : "")?.[1];
    const count = listLength === undefined ? -1 : Number(listLength);
    const variablesReference = this.add({ kind: "object", objectId, path, count, isProxy });
    return { ...shown, variablesReference, ...(count > RANGE_SIZE ? { indexedVariables: count } : {}) };
  }

  /** Gives a property of an object another value.
   *  @param value as an argument for V8
   *  @returns false when the reference is no object: the caller assigns to the name in its frame */
  async setProperty(reference: number, name: string, value: Runtime.CallArgument): Promise<boolean> {
    const container = this.container(reference);
    if (container.kind === "scopes" || container.kind === "globals") return false;
    await this.call(container.objectId, "function (name, value) { this[name] = value; }", [{ value: name }, value]);
    return true;
  }

  private async listAll(container: Container): Promise<Variable[]> {
    switch (container.kind) {
      case "globals": return this.globals();
      case "scopes": return this.scopes(container.scopes, container.self, container.withGlobals);
      case "range": return this.ranges(container.objectId, container.path, container.start, container.end);
      case "object": {
        const { objectId, path, isProxy } = container;
        if (isProxy) return this.properties(objectId, path, false);
        const count = container.count >= 0 ? container.count : await this.countOf(objectId);
        return count > RANGE_SIZE ? this.ranges(objectId, path, 0, count) : this.properties(objectId, path, false);
      }
    }
  }

  private async scopes(scopes: readonly Debugger.Scope[], self: Runtime.RemoteObject | null, withGlobals: boolean): Promise<Variable[]> {
    const found = new Map<string, Variable>();
    if (self?.objectId !== undefined) found.set("this", this.describe("this", await this.call(self.objectId, "function () { return this; }", []), "this"));
    for (const { object } of scopes) {
      const variables = object.objectId === undefined ? [] : await this.properties(object.objectId, "", true);
      // Scopes come from the inside to the outside, and an inner name hides an outer one.
      for (const variable of variables) if (!found.has(variable.name)) found.set(variable.name, variable);
    }
    if (withGlobals) for (const variable of await this.globals()) if (!found.has(variable.name)) found.set(variable.name, variable);
    return [...found.values()];
  }

  /** What cells have put into the global scope. */
  private async globals(): Promise<Variable[]> {
    const expression = `${RUNTIME_NAME}.debug.globals(${JSON.stringify(this.cells.declaredNames)})`;
    const { result } = await this.connection.post<Runtime.EvaluateReturnType>("Runtime.evaluate", { expression, objectGroup: OBJECT_GROUP, silent: true });
    return result.objectId === undefined ? [] : this.properties(result.objectId, "", true);
  }

  /** A large object's properties, or ranges of them. */
  private async ranges(objectId: string, path: string, start: number, end: number): Promise<Variable[]> {
    if (end - start <= RANGE_SIZE) return this.range(objectId, path, start, end);
    let size = RANGE_SIZE;
    while ((end - start) / size > RANGE_SIZE) size *= RANGE_SIZE;
    const ranges: Variable[] = [];
    for (let first = start; first < end; first += size) {
      const last = Math.min(first + size, end);
      ranges.push({
        name: `[${first}…${last - 1}]`, value: "", evaluateName: path,
        variablesReference: this.add({ kind: "range", objectId, path, start: first, end: last }),
      });
    }
    return ranges;
  }

  private async range(objectId: string, path: string, start: number, end: number): Promise<Variable[]> {
    const part = await this.call(objectId, RANGE_FUNCTION, [{ value: start }, { value: end }]);
    return part.objectId === undefined ? [] : this.properties(part.objectId, path, false);
  }

  private async countOf(objectId: string): Promise<number> {
    const count: unknown = (await this.call(objectId, COUNT_FUNCTION, [])).value;
    return typeof count === "number" ? count : 0;
  }

  private async call(objectId: string, functionDeclaration: string, args: readonly Runtime.CallArgument[]): Promise<Runtime.RemoteObject> {
    const { result, exceptionDetails } = await this.connection.post<Runtime.CallFunctionOnReturnType>("Runtime.callFunctionOn", {
      objectId, functionDeclaration, arguments: args, silent: true, generatePreview: true,
    });
    if (exceptionDetails !== undefined) throw new DebugRequestError({
      code: "E_DEBUG_VALUE", what: "The value could not be read or set", why: result.description ?? exceptionDetails.text, fix: "look at the value in a cell",
    });
    return result;
  }

  private async properties(objectId: string, path: string, isScope: boolean): Promise<Variable[]> {
    const { result, internalProperties = [], privateProperties = [] } = await this.connection.post<Properties>("Runtime.getProperties", {
      objectId, ownProperties: true, generatePreview: true,
    });
    const variables: Variable[] = [];
    for (const { name, value, get, symbol } of result) {
      if (isScope && HIDDEN_NAME.test(name)) continue;
      const inner = isScope ? name : memberPath(path, symbol === undefined ? name : null);
      if (value !== undefined) variables.push(this.describe(name, value, inner));
      else if (get !== undefined && get.type !== "undefined") variables.push({ name, value: "[Getter]", variablesReference: 0, evaluateName: inner });
    }
    for (const { name, value } of [...privateProperties, ...isScope ? [] : internalProperties]) {
      if (value !== undefined && !HIDDEN_INTERNALS.has(name)) variables.push(this.describe(name, value, ""));
    }
    return variables;
  }

  private container(reference: number): Container {
    const container = this.containers.get(reference);
    if (container === undefined) throw new DebugRequestError({
      code: "E_DEBUG_REFERENCE", what: `There are no variables with the reference ${reference}`,
      why: "the program has gone on since the reference was given", fix: "ask for the scopes again",
    });
    return container;
  }

  private add(container: Container): number {
    this.containers.set(++this.lastReference, container);
    return this.lastReference;
  }
}

/** V8 keeps what it described until told that the group is no longer needed. */
export const OBJECT_GROUP = "debug";

function memberPath(path: string, name: string | null): string {
  if (name === null || path === "") return "";
  if (IDENTIFIER.test(name)) return `${path}.${name}`;
  return /^\d+$/.test(name) ? `${path}[${name}]` : `${path}[${JSON.stringify(name)}]`;
}
