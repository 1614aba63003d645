/** Keeps what users write from being read as special tokens once it stands in a chat. Before a template is rendered, a
 *  mark (a character that no text has) is put into every place of a string where a special token is written, begins or
 *  ends, so that neither the string alone nor several joined make one. The marks are taken out after special tokens have
 *  been found. Templates can still look into the strings: all else is as it was. */

/** Tags such as "</think>" are looked for by templates: they stay whole unless more than their beginning is a special token's. */
const TAG = /^<\/?[A-Za-z]/;
const TAG_PREFIX = 4;
const OTHER_PREFIX = 2;

/** The value with marks in all its strings, the keys of objects among them.
 *  @param mark one character that the value does not have */
export function withMarks(value: unknown, specialTokens: readonly string[], mark: string): unknown {
  if (typeof value === "string") return markText(value, specialTokens, mark);
  if (Array.isArray(value)) return value.map((entry) => withMarks(entry, specialTokens, mark));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [markText(key, specialTokens, mark), withMarks(entry, specialTokens, mark)]));
}

function markText(text: string, specialTokens: readonly string[], mark: string): string {
  const marked = new Set<number>();
  for (const token of specialTokens) for (const at of placesIn(text, token)) marked.add(at);
  if (marked.size === 0) return text;
  const borders = [...marked].sort((a, b) => a - b);
  return [0, ...borders].map((start, i) => text.slice(start, borders[i])).join(mark);
}

/** Where marks keep a token from standing in the text, reaching out of it or reaching into it. */
function placesIn(text: string, token: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(token[0]); at >= 0; at = text.indexOf(token[0], at + 1)) {
    const length = commonPrefix(text, at, token);
    const enough = Math.min(token.length, TAG.test(token) ? TAG_PREFIX : OTHER_PREFIX);
    if (length >= enough || at + length === text.length) places.push(at + 1);
  }
  for (let start = 1; start < token.length; start++) {
    const rest = token.slice(start);
    // Words such as "user" stay as they are: templates make tokens like "<|user|>" of them.
    const isEndOfToken = text.startsWith(rest);
    const isMiddleOfToken = text !== "" && rest.startsWith(text) && /[^\p{L}\p{N}_]/u.test(text);
    if ((isEndOfToken && /[^\p{L}\p{N}_]/u.test(rest)) || isMiddleOfToken) places.push(0);
  }
  return places;
}

function commonPrefix(text: string, at: number, token: string): number {
  let length = 0;
  while (length < token.length && text[at + length] === token[length]) length++;
  return length;
}
