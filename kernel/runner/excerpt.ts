/** Longer lines are cut around the place, in UTF-16 units. */
const MAX_WIDTH = 160;
/** How much of a cut line is shown before the place. */
const BEFORE = 60;

/** Characters that take two columns where text is set in a fixed width. */
const WIDE = /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60]/u;
/** Characters that take none: combining marks, joiners, variation selectors, byte order mark. */
const NARROW = /[\p{Mark}\p{Format}]/u;

/** A source line with its number and the place underlined.
 *  @param line counted from 1; column counted from 1, in UTF-16 units; length of the underline */
export function excerpt(text: string, line: number, column: number, length: number): string {
  const cut = column > MAX_WIDTH - BEFORE ? column - BEFORE : 0;
  const shown = (cut > 0 ? "…" : "") + text.slice(cut, cut + MAX_WIDTH) + (text.length > cut + MAX_WIDTH ? "…" : "");
  const before = (cut > 0 ? "…" : "") + text.slice(cut, column - 1);
  const marked = text.slice(column - 1, Math.min(column - 1 + length, cut + MAX_WIDTH));
  const underline = blank(marked).replaceAll(/\s/g, "~") || "~";
  const gutter = String(line);
  return `  ${gutter} | ${shown}\n  ${" ".repeat(gutter.length)} | ${blank(before)}${underline}`;
}

/** White space as wide as the text. */
function blank(text: string): string {
  let result = "";
  for (const character of text) {
    if (character === "\t") result += "\t";
    else if (!NARROW.test(character)) result += WIDE.test(character) ? "  " : " ";
  }
  return result;
}
