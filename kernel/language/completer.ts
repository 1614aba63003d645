import ts from "#typescript";
import type { ValueName, ValuePath } from "../runner/valuePath.ts";
import { fitting } from "./completion.ts";
import type { Completion, CompletionList } from "./completion.ts";
import { cursorContext } from "./cursorContext.ts";
import type { StringContext } from "./cursorContext.ts";
import { filePaths } from "./filePaths.ts";
import { modulePaths } from "./modulePaths.ts";
import type { OpenCell } from "./openCell.ts";
import type { RuntimeValues } from "./runtimeValues.ts";
import { typeCompletions, withSignatures } from "./typeCompletions.ts";
import { valuePathOf } from "./valuePathOf.ts";

/** Without U+200D, which marks a name that hides a global of Node.js (compile/shadowing.ts); TypeScript knows it unmarked. */
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const GLOBALS: ValuePath = { root: "", steps: [] };
/** Methods of a map whose first argument is a key. */
const KEY_METHODS = new Set(["get", "has", "set", "delete"]);

/** Completions for the string of an import, which need no types; null elsewhere.
 *  @param cursor UTF-16 units from the start of the code */
export function moduleCompletions(code: string, cursor: number, folder: string): CompletionList | null {
  const context = cursorContext(ts.createSourceFile("cell.ts", code, ts.ScriptTarget.ESNext, true), cursor);
  if (context.kind !== "string" || context.role.kind !== "module") return null;
  const typed = code.slice(context.start, cursor);
  return { ...pathList(context, typed, modulePaths(folder, typed)), end: cursor };
}

/** Completions, and where the text that they replace starts in the cell's file; it ends at the cursor. */
type Found = Omit<CompletionList, "end">;

/** What may stand at a position: from types, from values as they are now, from files.
 *  @param position in the cell's file, UTF-16 units
 *  @param word what was typed there, which is not in the file */
export async function completionsAt(cell: OpenCell, position: number, word: string, values: RuntimeValues | null): Promise<Found> {
  const context = cursorContext(cell.sourceFile, position);
  const typed = cell.sourceFile.text.slice(context.start, position) + word;
  if (context.kind === "string") return stringCompletions(cell, context, position, typed, values);
  const { entries, isGlobal } = typeCompletions(cell, position, false);
  const offered = fitting(entries, typed).filter(({ kind }) => typed !== "" || kind !== ts.ScriptElementKind.keyword);
  const known = withSignatures(cell, offered);
  // What cells left on globalThis the compiler knows; only what came since, as from a timer, the main thread must tell.
  const isUnknown = isGlobal && typed !== "" && !offered.some(({ text }) => text.startsWith(typed));
  const path = context.kind === "member" ? openPath(cell, context.object) : isUnknown ? GLOBALS : null;
  const found = path === null || values === null ? [] : await values.names(path, "members", typed);
  const added = found.filter(({ name }) => IDENTIFIER.test(name) && !name.startsWith("__")).map(asCompletion);
  return { start: context.start, entries: fitting([...known, ...added], typed) };
}

/** Where a value is that may have members which its type does not list. */
function openPath(cell: OpenCell, object: ts.Expression): ValuePath | null {
  return isOpen(cell, object) ? valuePathOf(cell, object) : null;
}

function isOpen({ checker }: OpenCell, object: ts.Expression): boolean {
  if (ts.isIdentifier(object) && object.text === "globalThis") return true;
  const type = checker.getNonNullableType(checker.getTypeAtLocation(object));
  const openFlags = ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.NonPrimitive;
  if ((type.flags & openFlags) !== 0 || checker.getIndexTypeOfType(type, ts.IndexKind.String) !== undefined) return true;
  return (type.flags & ts.TypeFlags.Object) !== 0 && type.getProperties().length === 0 && type.getCallSignatures().length === 0;
}

async function stringCompletions(cell: OpenCell, context: StringContext, position: number, typed: string, values: RuntimeValues | null): Promise<Found> {
  const { start } = context;
  const known = withSignatures(cell, typeCompletions(cell, position, true).entries);
  const found = values === null ? [] : await stringKeys(cell, context, typed, values);
  const escaped = [...known, ...found.map(asCompletion)].map((entry) => ({ ...entry, text: escape(entry.text, context) }));
  const entries = fitting(escaped, typed);
  return entries.length > 0 || context.role.kind === "key" ? { start, entries } : pathList(context, typed, filePaths(cell.folder, typed));
}

/** Keys of the object or map, or columns of the data frame, that a string is for. */
async function stringKeys(cell: OpenCell, { role }: StringContext, typed: string, values: RuntimeValues): Promise<ValueName[]> {
  if (role.kind !== "key" && role.kind !== "argument") return [];
  const path = role.kind === "key" ? openPath(cell, role.object) : valuePathOf(cell, role.object);
  if (path === null) return [];
  if (role.kind === "key") return values.names(path, "members", typed);
  const keys = KEY_METHODS.has(role.method) ? await values.names(path, "keys", typed) : [];
  return keys.length > 0 ? keys : values.names(path, "columns", typed);
}

function pathList(context: StringContext, typed: string, { start, texts }: { start: number; texts: readonly string[] }): Found {
  const entries = texts.map((text): Completion => ({ text: escape(text, context), type: context.role.kind === "module" && start === 0 ? "module" : "path", signature: "" }));
  return { start: context.start + start, entries: fitting(entries, typed.slice(start)) };
}

/** As the text is written in a string with these quotes. */
function escape(text: string, { literal }: StringContext): string {
  const quote = literal.getText().charAt(0);
  return text.replaceAll("\\", "\\\\").replaceAll(quote, `\\${quote}`).replaceAll("\n", "\\n");
}

function asCompletion({ name, type }: ValueName): Completion {
  return { text: name, type: type === "key" ? "dict key" : type, signature: "" };
}
