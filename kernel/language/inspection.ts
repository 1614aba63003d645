import { relative } from "node:path";
import ts from "#typescript";
import { nodeBefore, scopePath } from "./openCell.ts";
import type { OpenCell } from "./openCell.ts";
import { valuePathOf } from "./valuePathOf.ts";
import type { ValuePath } from "../runner/valuePath.ts";

/** What is known of the thing at the cursor. */
export interface Inspection {
  /** Type of a name, or the signatures of a function whose arguments are being written. */
  readonly signature: string;
  /** Whether TypeScript knows more of the name than that it may be anything. */
  readonly isTyped: boolean;
  readonly documentation: string;
  /** Where it is declared, and the text of the declaration; null when it is not in a file. */
  readonly source: { readonly place: string; readonly text: string } | null;
  /** Where its value is at run time; null when it has none. */
  readonly path: ValuePath | null;
}

/** Declarations longer than this are cut, in UTF-16 units. */
const MAX_SOURCE_LENGTH = 20_000;
const MAX_SIGNATURES_SHOWN = 10;

/** What TypeScript says of a name that it does not know. */
const ANYTHING = /^any$|\/\*unresolved\*\/ any$/;
const NAME_CHARACTER = /[\p{ID_Continue}$#"'`]/u;

/** Looks at the name at the position or right before it, else at the function whose argument list the position is in.
 *  @param position in the cell's file */
export function inspectionAt(cell: OpenCell, position: number): Inspection | null {
  for (const at of [position, position - 1]) {
    const found = at >= cell.offset && NAME_CHARACTER.test(cell.sourceFile.text.charAt(at)) ? ofName(cell, at) : null;
    if (found !== null) return found;
  }
  return ofCall(cell, position);
}

function ofName(cell: OpenCell, position: number): Inspection | null {
  const { service, sourceFile } = cell;
  const info = service.getQuickInfoAtPosition(sourceFile.fileName, position);
  if (info === undefined) return null;
  const declared = declarationOf(cell, position);
  // A name of an earlier cell is declared again for this one, without its documentation.
  const original = declared === null ? undefined : service.getQuickInfoAtPosition(declared.fileName, declared.textSpan.start);
  const documentation = documentationOf(info) || (original === undefined ? "" : documentationOf(original));
  const node = nodeBefore(sourceFile, position + 1);
  const signature = signatureOf(info);
  return {
    signature, documentation, isTyped: !ANYTHING.test(signature),
    source: declared === null ? null : sourceOf(cell, declared), path: ts.isIdentifier(node) ? pathOfName(cell, node) : null,
  };
}

/** Without how names come from one cell to the next: as aliases and globals. */
function signatureOf({ displayParts }: ts.QuickInfo): string {
  return ts.displayPartsToString(displayParts).replace(/^\(alias\) /, "").replace(/\n(export|import) [\w$]+$/, "").replaceAll(/\bglobalThis\.(?=[A-Z])/g, "");
}

/** Only of what may change: of functions and classes the type says all. */
function pathOfName(cell: OpenCell, node: ts.Identifier): ValuePath | null {
  const { parent } = node;
  const type = cell.checker.getTypeAtLocation(node);
  if (type.getCallSignatures().length > 0 || type.getConstructSignatures().length > 0) return null;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return valuePathOf(cell, parent);
  // In `{ name: 1 }` and `(name) => 1` the name is not that of a value.
  const isKey = ts.isPropertyAssignment(parent) && parent.name === node;
  return isKey || ts.isTypeNode(parent) || ts.isParameter(parent) ? null : valuePathOf(cell, node);
}

/** The function that a call is of, shown with its parameters. */
function ofCall(cell: OpenCell, position: number): Inspection | null {
  const { service, sourceFile } = cell;
  const help = service.getSignatureHelpItems(sourceFile.fileName, position, undefined);
  if (help === undefined) return null;
  const { items, selectedItemIndex, applicableSpan } = help;
  const ordered = [...items.slice(selectedItemIndex), ...items.slice(0, selectedItemIndex)];
  const [selected] = ordered;
  if (selected === undefined) return null;
  // The argument list starts behind the parenthesis, and the function's name ends before it.
  const callee = nodeBefore(sourceFile, applicableSpan.start - 1);
  const declared = ts.isIdentifier(callee) ? declarationOf(cell, callee.getStart(sourceFile)) : null;
  return {
    signature: ordered.slice(0, MAX_SIGNATURES_SHOWN).map(signatureText).join("\n"),
    documentation: [ts.displayPartsToString(selected.documentation), tagText(selected.tags)].filter((part) => part !== "").join("\n\n"),
    isTyped: true, source: declared === null ? null : sourceOf(cell, declared), path: null,
  };
}

function signatureText({ prefixDisplayParts, parameters, separatorDisplayParts, suffixDisplayParts }: ts.SignatureHelpItem): string {
  const inner = parameters.map(({ displayParts }) => ts.displayPartsToString(displayParts)).join(ts.displayPartsToString(separatorDisplayParts));
  return ts.displayPartsToString(prefixDisplayParts) + inner + ts.displayPartsToString(suffixDisplayParts);
}

function documentationOf({ documentation, tags }: ts.QuickInfo): string {
  return [ts.displayPartsToString(documentation), tagText(tags ?? [])].filter((part) => part !== "").join("\n\n");
}

function tagText(tags: readonly ts.JSDocTagInfo[]): string {
  return tags.map(({ name, text }) => `@${name} ${ts.displayPartsToString(text)}`.trimEnd()).join("\n");
}

/** Where a name is declared for the first time, past the kernel's own file that hands names from cell to cell. */
function declarationOf(cell: OpenCell, position: number): ts.DefinitionInfo | null {
  const { service, sourceFile } = cell;
  let [found] = service.getDefinitionAtPosition(sourceFile.fileName, position) ?? [];
  const isHandedOn = found !== undefined && (found.fileName === scopePath(cell) || (found.fileName === sourceFile.fileName && found.textSpan.start < cell.offset));
  if (found !== undefined && isHandedOn) {
    // `export let name: typeof import("./cell").name`: the last name is the one.
    const text = service.getProgram()?.getSourceFile(found.fileName)?.text ?? "";
    const end = text.indexOf(";", found.textSpan.start);
    [found] = service.getDefinitionAtPosition(found.fileName, end - 1) ?? [];
  }
  return found ?? null;
}

function sourceOf(cell: OpenCell, { fileName, contextSpan, textSpan }: ts.DefinitionInfo): { place: string; text: string } | null {
  const sourceFile = cell.service.getProgram()?.getSourceFile(fileName);
  if (sourceFile === undefined) return null;
  const { start, length } = contextSpan ?? textSpan;
  // A module as a whole has no span of its own.
  const text = length === 0 ? sourceFile.text : sourceFile.text.slice(start, start + length);
  const line = sourceFile.getLineAndCharacterOfPosition(start).line + 1;
  const isShort = text.length <= MAX_SOURCE_LENGTH;
  return { place: placeOf(cell, fileName, line), text: isShort ? text : `${text.slice(0, MAX_SOURCE_LENGTH)}\n…` };
}

function placeOf({ folder, sourceFile }: OpenCell, fileName: string, line: number): string {
  if (fileName === sourceFile.fileName) return "this cell";
  if (fileName.startsWith(`${folder}/__cell-`)) return "an earlier cell";
  const path = relative(folder, fileName);
  return `${path.startsWith("..") ? fileName : path}:${line}`;
}
