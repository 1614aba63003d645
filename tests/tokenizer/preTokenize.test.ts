import { expect, test } from "vitest";
import { codeUnits, wordEnd } from "../../toolkit/tokenizer/preTokenize.ts";
import { words } from "./nativeVectors.ts";

function cut(text: string): string[] {
  const units = codeUnits(text);
  const pieces: string[] = [];
  for (let start = 0; start < units.length;) {
    const end = wordEnd(units, start, units.length);
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}

test.each(words)("%j is cut into the words that native tokenizers cuts it into", (text, expected) => {
  expect(cut(text)).toEqual(expected);
});

test("words follow GPT-2's regular expression on random text", () => {
  // The published expression, with White_Space for \s as in Rust's and Oniguruma's Unicode mode.
  const published = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
  const parts = ["'", "'s", "'re", "l", "ve", "a", "B", "é", "鯨", "7", "½", "!", "—", "🐋", "𝒜", " ", "  ", "\n", "\t", "\u00a0", "\u0085", "\ufeff", "\ud800", "\udc00"];
  let state = 1;
  for (let round = 0; round < 3000; round++) {
    let text = "";
    for (let i = 0; i < 12; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      text += parts[Math.floor((state / 2 ** 32) * parts.length)];
    }
    expect(cut(text)).toEqual(Array.from(text.matchAll(published), ([word]) => word));
  }
});

test("a word border never falls inside a surrogate pair, nor a word beyond the given end", () => {
  expect(cut("🐋🐋")).toEqual(["🐋🐋"]);
  expect(wordEnd(codeUnits("it's"), 2, 3)).toBe(3);
  expect(wordEnd(codeUnits("we'll"), 2, 4)).toBe(3);
  expect(wordEnd(codeUnits("a  "), 1, 2)).toBe(2);
});
