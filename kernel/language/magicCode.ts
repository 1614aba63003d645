import { parseMagic } from "../magics/parseMagic.ts";
import { fitting } from "./completion.ts";
import type { CompletionList } from "./completion.ts";

/** The one whose rest of the cell is code; the others take text of some other language. */
const CODE_CELL_MAGIC = "%%time";
/** `?name`, `name?` and `??name`: questions instead of code. */
const HELP = /^\s*\?{1,2}(?=\s*[\w$.]+\s*$)|(?<=^\s*[\w$.]+\s*)\?{1,2}\s*$/g;

/** The code with what TypeScript does not know replaced by spaces, so that every position stays. */
export function withoutMagics(code: string): string {
  const magic = parseMagic(code);
  if (magic === null) return code.replaceAll(HELP, blank);
  if (!magic.name.startsWith("%%")) return magic.argumentCode + code.slice(magic.argumentCode.length);
  return isOtherLanguage(code) ? blank(code) : magic.bodyCode;
}

/** Whether a magic takes the cell as text of another language, e.g. HTML. */
export function isOtherLanguage(code: string): boolean {
  const name = parseMagic(code)?.name ?? "";
  return name.startsWith("%%") && name !== CODE_CELL_MAGIC;
}

function blank(text: string): string {
  return text.replaceAll(/\S/g, " ");
}

/** Names of magics, where the cursor is in one, and nothing in text of another language; null elsewhere.
 *  @param names with their `%` or `%%` */
export function magicCompletions(code: string, cursor: number, names: readonly string[]): CompletionList | null {
  const typed = /^\s*(%%?\w*)$/.exec(code.slice(0, cursor))?.[1];
  if (typed === undefined) return isOtherLanguage(code) ? { start: cursor, end: cursor, entries: [] } : null;
  const entries = names.map((text) => ({ text, type: "magic" as const, signature: "" }));
  return { start: cursor - typed.length, end: cursor, entries: fitting(entries, typed) };
}
