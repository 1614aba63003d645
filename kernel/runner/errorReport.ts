import { types } from "node:util";
import { boundedText, inspectValue } from "./inspectValue.ts";
import { Array, Error, Object, Reflect, Set } from "./intrinsics.ts";
import type { StackTraces } from "./stackTraces.ts";
import type { ErrorReport } from "./threadMessages.ts";

/** Longer messages are cut, in UTF-16 units. */
const MAX_MESSAGE = 10_000;
/** So many errors of a chain of causes or an AggregateError are shown. */
const MAX_ERRORS = 10;
/** Properties of errors that the report shows in its own way. */
const SHOWN_PROPERTIES = new Set(["name", "message", "stack", "cause", "errors", "error", "suppressed"]);

/** Describes a thrown value for an error message: name, text, and a stack of cell and module positions, with those of the
 *  errors inside it. It never throws, whatever the value's getters do. */
export function reportError(thrown: unknown, stackTraces: StackTraces): ErrorReport {
  if (!isError(thrown)) {
    const evalue = boundedText(inspectValue(thrown), MAX_MESSAGE);
    return { ename: thrown === null ? "null" : typeof thrown, evalue, traceback: [`Uncaught ${evalue}`] };
  }
  const name = read(thrown, "name");
  const message = read(thrown, "message");
  const evalue = boundedText(typeof message === "string" ? message : inspectValue(message), MAX_MESSAGE);
  return { ename: typeof name === "string" && name !== "" ? name : "Error", evalue, traceback: chain(thrown, stackTraces) };
}

/** An error's lines, then those of its causes and of the errors it contains, each once. */
function chain(first: object, stackTraces: StackTraces): string[] {
  const lines: string[] = [];
  const waiting: { readonly title: string; readonly thrown: unknown }[] = [{ title: "", thrown: first }];
  const seen = new Set<unknown>();
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { title, thrown } = next;
    if (seen.has(thrown)) continue;
    if (seen.size === MAX_ERRORS) {
      lines.push(`… ${waiting.length + 1} more errors`);
      break;
    }
    seen.add(thrown);
    if (title !== "") lines.push(title);
    if (!isError(thrown)) {
      lines.push(boundedText(inspectValue(thrown), MAX_MESSAGE));
      continue;
    }
    lines.push(...errorLines(thrown, stackTraces));
    const cause = read(thrown, "cause");
    if (cause !== undefined) waiting.push({ title: "Caused by:", thrown: cause });
    const errors = read(thrown, "errors");
    if (Array.isArray(errors)) for (const error of errors as unknown[]) waiting.push({ title: "Contains:", thrown: error });
    // Both are those of a SuppressedError: a disposal failed after the cell's own error.
    if (Object.hasOwn(thrown, "suppressed")) {
      waiting.push({ title: "Thrown while disposing:", thrown: read(thrown, "error") }, { title: "Suppressed:", thrown: read(thrown, "suppressed") });
    }
  }
  return lines;
}

/** The stack with the source line of its first place, and properties like `code`. */
function errorLines(error: object, stackTraces: StackTraces): string[] {
  const stack = read(error, "stack");
  const lines = typeof stack === "string" && stack !== "" ? stack.split("\n") : [headline(error)];
  const headlineEnd = lines.findIndex((line) => /^\s+at /.test(line));
  const head = headlineEnd < 0 ? lines : lines.slice(0, headlineEnd);
  const frames = headlineEnd < 0 ? [] : lines.slice(headlineEnd);
  const quoted = stackTraces.quote(frames);
  return [boundedText(head.join("\n"), MAX_MESSAGE), ...(quoted === null ? [] : [quoted]), ...frames, ...ownProperties(error)];
}

function headline(error: object): string {
  const text = inspectValue(read(error, "message"));
  const name = read(error, "name");
  return `${typeof name === "string" ? name : "Error"}: ${text}`;
}

/** As Node.js shows them, e.g. `{ code: 'ENOENT' }`. */
function ownProperties(error: object): string[] {
  if (types.isProxy(error)) return [];
  const names = Object.keys(error).filter((name) => !SHOWN_PROPERTIES.has(name));
  if (names.length === 0) return [];
  return [`  ${inspectValue(Object.fromEntries(names.map((name) => [name, read(error, name)])))}`];
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    // A proxy may refuse to tell its prototype.
    return false;
  }
}

function read(value: object, name: string): unknown {
  try {
    return Reflect.get(value, name) as unknown;
  } catch {
    // The getter is the user's; what it throws is less interesting than the error it belongs to.
    return undefined;
  }
}
