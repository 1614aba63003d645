import { beforeAll, describe, expect, test } from "vitest";
import { DataError } from "../../toolkit/errors.ts";
import type { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { encodings, specialTokens, trainingText, vocabSize } from "./nativeVectors.ts";

let tokenizer: Tokenizer;
beforeAll(() => {
  tokenizer = trainTokenizer(trainingText, { vocabSize, specialTokens });
});

/** Random strings over all of UTF-16, lone surrogates included, and over the training text's pieces. */
function* randomTexts(count: number): Generator<string> {
  let state = 7;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let i = 0; i < count; i++) {
    let text = "";
    for (let length = random(40); length > 0; length--) {
      const kind = random(4);
      if (kind === 0) text += String.fromCharCode(random(0x10000));
      else if (kind === 1) text += String.fromCodePoint(random(0x110000));
      else if (kind === 2) text += String.fromCharCode(random(128));
      else text += trainingText.slice(random(200), random(200) + 3).slice(0, 8);
    }
    yield text;
  }
}

/** Lone surrogates replaced, by the language's own rule. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}

describe("encode", () => {
  test.each(encodings)("%j has the ids that native tokenizers gives it", (text, ids) => {
    expect(Array.from(tokenizer.encode(text))).toEqual(ids);
  });

  test("ids don't depend on what was encoded before", () => {
    const texts = [...randomTexts(300)];
    const first = texts.map((text) => Array.from(tokenizer.encode(text)));
    const again = texts.toReversed().map((text) => Array.from(tokenizer.encode(text))).toReversed();
    const alone = texts.map((text) => Array.from(trainOnce().encode(text)));
    expect(again).toEqual(first);
    expect(alone).toEqual(first);
  });

  test("more words than the cache holds get the same ids as fresh ones", () => {
    const numbered = Array.from({ length: 200_000 }, (_, i) => ` ${i.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)])}`);
    const ids = tokenizer.encode(numbered.join(""));
    expect(tokenizer.decode(ids)).toBe(numbered.join(""));
    const fresh = trainOnce();
    for (let i = 0; i < 200_000; i += 9973) expect(Array.from(tokenizer.encode(numbered[i]))).toEqual(Array.from(fresh.encode(numbered[i])));
  });

  test("a word of 1,000,000 letters is encoded within seconds, as its merge rules say", () => {
    const startMs = performance.now();
    const ids = tokenizer.encode("a".repeat(1_000_000));
    expect(performance.now() - startMs).toBeLessThan(5_000);
    // aa, then aaaa: 250,000 tokens of four letters.
    expect(ids).toHaveLength(250_000);
    expect(new Set(ids).size).toBe(1);
    expect(tokenizer.tokenText(ids[0])).toBe("aaaa");
  });

  test("of special tokens that start at the same place the longest is taken", () => {
    const nested = trainTokenizer("text", { vocabSize: 258, specialTokens: ["<x>", "<x>y"] });
    expect(Array.from(nested.encode("<x>y<x>"))).toEqual([1, 0]);
  });

  test("special tokens may have characters that mean something in regular expressions", () => {
    const tokens = ["[PAD]", "a|b", "^.*$", "(?", "\\d"];
    const tricky = trainTokenizer("text", { vocabSize: 261, specialTokens: tokens });
    expect(Array.from(tricky.encode(tokens.join("")))).toEqual([0, 1, 2, 3, 4]);
  });
});

describe("decode", () => {
  test("gives back any text, with lone surrogates as U+FFFD", () => {
    for (const text of randomTexts(2000)) expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
    expect(tokenizer.decode(tokenizer.encode("a\ud83d b\udc0b"))).toBe("a\ufffd b\ufffd");
  });

  test("keeps a byte order mark and special tokens", () => {
    for (const text of ["\ufeffwhale", "\ufeff", "a<|endoftext|>\ufeff"]) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("half a character is U+FFFD", () => {
    const whole = tokenizer.encode("Ω");
    expect(tokenizer.decode(whole.slice(0, 1))).toBe("\ufffd");
  });

  test.each([-1, 320, 1.5, Number.NaN])("id %d is refused with E_TOKEN_ID", (id) => {
    expect(() => tokenizer.decode([0, id])).toThrow(DataError);
    expect(() => tokenizer.decodeStream().push(id)).toThrow(/E_TOKEN_ID/);
    expect(() => tokenizer.tokenText(id)).toThrow(/E_TOKEN_ID/);
  });
});

describe("decodeStream", () => {
  test("gives text only in whole characters, and in all the text that decode gives", () => {
    for (const text of [...randomTexts(500), "👩‍👩‍👧‍👦 🏳️‍🌈 naïve 鯨", "\ufeffa\ufeff"]) {
      const stream = tokenizer.decodeStream();
      const pieces = Array.from(tokenizer.encode(text), (id) => stream.push(id));
      const all = pieces.join("") + stream.end();
      expect(all).toBe(wellFormed(text));
      if (!text.includes("\ufffd") && wellFormed(text) === text) expect(pieces.some((piece) => piece.includes("\ufffd"))).toBe(false);
    }
  });

  test("the bytes of an emoji come out with the last of them", () => {
    const bytes = trainTokenizer("x", { vocabSize: 257 });
    const stream = bytes.decodeStream();
    expect(Array.from(bytes.encode("🦑!"), (id) => stream.push(id))).toEqual(["", "", "", "🦑", "!"]);
    expect(stream.end()).toBe("");
  });

  test("end gives U+FFFD for an unfinished character, and the stream starts anew", () => {
    const bytes = trainTokenizer("x", { vocabSize: 257 });
    const stream = bytes.decodeStream();
    const [first, ...rest] = bytes.encode("é");
    expect(stream.push(first)).toBe("");
    expect(stream.end()).toBe("\ufffd");
    expect(stream.push(first) + rest.map((id) => stream.push(id)).join("")).toBe("é");
  });
});

describe("tokenText", () => {
  test("shows spaces, line ends, control characters and pieces of characters", () => {
    const shown = (text: string) => Array.from(tokenizer.encode(text), (id) => tokenizer.tokenText(id));
    expect(shown(" the")).toEqual(["␣the"]);
    expect(shown("\n\t\r\u0000\u007f")).toEqual(["\\n", "\\t", "\\r", "\\u{0}", "\\u{7F}"]);
    expect(shown("Ω")).toEqual(["\\xCE", "\\xA9"]);
    expect(shown("—")).toEqual(["—"]);
    expect(shown("<|endoftext|>")).toEqual(["<|endoftext|>"]);
    expect(shown("\ufffd").join("")).toBe("\\xEF\\xBF\\xBD");
  });
});

describe("facts", () => {
  test("vocabSize, specialTokens and endOfText tell what the tokenizer was made with", () => {
    expect(tokenizer.vocabSize).toBe(320);
    expect([...tokenizer.specialTokens]).toEqual([["<|endoftext|>", 0], ["<|end|>", 1]]);
    expect(tokenizer.endOfText).toBe(0);
    expect(trainTokenizer("x", { vocabSize: 256, specialTokens: [] }).endOfText).toBe(-1);
  });
});

function trainOnce(): Tokenizer {
  return trainTokenizer(trainingText, { vocabSize, specialTokens });
}
