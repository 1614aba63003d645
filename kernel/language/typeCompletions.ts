import ts from "#typescript";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import { completionType } from "./completion.ts";
import type { Completion } from "./completion.ts";
import type { OpenCell } from "./openCell.ts";

/** A completion that TypeScript knows, before its signature is asked for. */
export interface TypedEntry { readonly text: string; readonly kind: ts.ScriptElementKind; readonly symbol: ts.Symbol | undefined }

export interface TypeCompletions {
  readonly entries: readonly TypedEntry[];
  /** Whether any name in scope may stand at the position: not so behind a dot, in a comment or in a number. */
  readonly isGlobal: boolean;
}

/** Signatures of this many entries are worked out, for at most so long, in ms: all of them would take longer than the list. */
const MAX_SIGNATURES = 60;
const SIGNATURES_LIMIT_MS = 4;

const PREFERENCES: ts.GetCompletionsAtPositionOptions = {
  // A notebook is forgiven for a member of what may be undefined; see compile/diagnostics.ts.
  includeAutomaticOptionalChainCompletions: true,
  includeCompletionsWithInsertText: true,
  includeSymbol: true,
};

/** Members of a class offered as `this.member`, which is not what was typed. */
const THIS_MEMBERS = "ThisProperty/";
const IDENTIFIER = /^#?[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;
const STRING_LITERAL = /^["'`]/;

/** What TypeScript's language service offers, best first; names of the notebook come before those of libraries.
 *  @param position in the cell's file
 *  @param isInString string contents are offered as they are, names only if they can be written as names */
export function typeCompletions(cell: OpenCell, position: number, isInString: boolean): TypeCompletions {
  const { service, sourceFile } = cell;
  const found = service.getCompletionsAtPosition(sourceFile.fileName, position, PREFERENCES);
  const entries = (found?.entries ?? []).filter(({ name, kind, source }) =>
    kind !== ts.ScriptElementKind.warning && source !== THIS_MEMBERS && !name.startsWith(RUNTIME_NAME)
    && (isInString || IDENTIFIER.test(name) || STRING_LITERAL.test(name) || /^-?\d/.test(name)));
  const ranked = entries.map((entry) => ({ entry, rank: rank(entry, cell) + (entry.name.startsWith("_") ? "_" : "") }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : Number(a.rank > b.rank)));
  return { entries: ranked.map(({ entry: { name, kind, symbol } }) => ({ text: name, kind, symbol })), isGlobal: found?.isGlobalCompletion === true };
}

/** Sorts before TypeScript's own rank of a global, "15", and behind that of a local, "11". */
const NOTEBOOK_RANK = "12";

function rank({ sortText, symbol }: ts.CompletionEntry, { sourceFile, folder }: OpenCell): string {
  if (sortText !== "15") return sortText;
  const declaredIn = symbol?.declarations?.[0]?.getSourceFile().fileName;
  if (declaredIn === undefined) return sortText;
  const isOfNotebook = declaredIn === sourceFile.fileName || (declaredIn.startsWith(`${folder}/__`) && !declaredIn.endsWith(".d.ts"));
  return isOfNotebook ? NOTEBOOK_RANK : sortText;
}

/** Adds signatures to the entries that are shown, and what kind of value a name stands for. */
export function withSignatures({ checker, sourceFile }: OpenCell, entries: readonly TypedEntry[]): Completion[] {
  const untilMs = performance.now() + SIGNATURES_LIMIT_MS;
  return entries.map(({ text, kind, symbol }, index) => {
    const isAsked = symbol !== undefined && index < MAX_SIGNATURES && performance.now() < untilMs;
    const known = isAsked ? valueKind(checker, symbol, sourceFile) : null;
    return { text, type: known?.type ?? completionType(kind), signature: known?.signature ?? "" };
  });
}

const TYPE_FLAGS = ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Enum | ts.SymbolFlags.TypeParameter;

/** What a name stands for, where its declaration alone does not tell: a constant may hold a function, and what comes from
 *  another cell or module is an alias.
 *  @returns null where the declaration does tell */
function valueKind(checker: ts.TypeChecker, symbol: ts.Symbol, sourceFile: ts.SourceFile): Pick<Completion, "type" | "signature"> | null {
  const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
  const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
  if ((target.flags & ts.SymbolFlags.Value) === 0) return isAlias && (target.flags & TYPE_FLAGS) !== 0 ? { type: "class", signature: "" } : null;
  const type = checker.getTypeOfSymbolAtLocation(target, sourceFile);
  const [signature] = checker.getNonNullableType(type).getCallSignatures();
  if ((target.flags & ts.SymbolFlags.Class) !== 0 || type.getConstructSignatures().length > 0) return { type: "class", signature: "" };
  if (signature !== undefined) return { type: "function", signature: checker.signatureToString(signature, sourceFile) };
  if (!isAlias) return null;
  if ((target.flags & ts.SymbolFlags.Enum) !== 0) return { type: "class", signature: "" };
  return { type: (target.flags & ts.SymbolFlags.Module) !== 0 ? "module" : "instance", signature: "" };
}
