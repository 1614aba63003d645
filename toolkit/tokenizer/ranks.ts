import { FileFormatError } from "../errors.ts";
import { byteToChar } from "./byteAlphabet.ts";
import { splitPatterns, type SplitPatternName } from "./splitPattern.ts";
import { checkSpecialTokens, specialToken, type Merge, type Vocabulary } from "./vocabulary.ts";

export interface RanksOptions {
  /** How text is cut into words: that of the model the ranks are from. */
  readonly pattern: SplitPatternName;
  /** Special token → id, e.g. { "<|endoftext|>": 50256 }; ids above the ranks may leave gaps. */
  readonly specialTokens?: Readonly<Record<string, number>>;
}

const LINE = /^([A-Za-z0-9+/]+={0,2}) (\d+)$/;
const MOST_IDS = 2 ** 20;

/** Reads a .tiktoken file. Its tokens merge in the order of their ranks, whichever pair they come of, and a word that is a
 *  token is not merged at all. Source: github.com/openai/tiktoken src/lib.rs
 *  @throws FileFormatError E_TOKENIZER_RANKS */
export function readRanks(text: string, { pattern, specialTokens = {} }: RanksOptions): Vocabulary {
  checkSpecialTokens(Object.keys(specialTokens));
  const tokens: (string | undefined)[] = [];
  const ids = new Map<string, number>();
  for (const [i, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const [, base64, digits] = LINE.exec(line.trimEnd()) ?? [];
    if (base64 === undefined) throw wrongRanks(`line ${i + 1} is ${JSON.stringify(line.slice(0, 40))}`, "a line is the token's bytes in base64, a space and its rank");
    const token = Array.from(Buffer.from(base64, "base64"), (byte) => byteToChar[byte]).join("");
    addToken(tokens, token, Number(digits), `line ${i + 1}`);
    ids.set(token, Number(digits));
  }
  const missing = byteToChar.findIndex((char) => !ids.has(char));
  if (missing >= 0) throw wrongRanks(`byte ${missing} has no rank`, "each of the 256 bytes needs one");
  const merges = mergesOf(tokens, ids);
  for (const [token, id] of Object.entries(specialTokens)) addToken(tokens, token, id, "specialTokens");
  return {
    tokens: Array.from(tokens), merges, mergeOrder: "token", ignoreMerges: true,
    addedTokens: Object.entries(specialTokens).map(([content, id]) => specialToken(content, id)).sort((a, b) => a.id - b.id),
    normalizer: undefined,
    splitSteps: [pattern === "gpt2" ? { kind: "gpt2" } : { kind: "split", pattern: { kind: "regex", source: splitPatterns[pattern] }, dropsRest: false }],
    template: { before: [], after: [] },
  };
}

function addToken(tokens: (string | undefined)[], token: string, id: number, where: string): void {
  if (!Number.isInteger(id) || id < 0 || id >= MOST_IDS) throw wrongRanks(`${where} has the rank ${id}`, `ranks are integers from 0 to ${MOST_IDS - 1}`);
  if (tokens[id] !== undefined) throw wrongRanks(`${where} has the rank ${id} a second time`, "each rank is the id of one token");
  tokens[id] = token;
}

/** All pairs of tokens that make a token, by the rank of that token, then of their left and right one. */
function mergesOf(tokens: readonly (string | undefined)[], ids: ReadonlyMap<string, number>): Merge[] {
  return tokens.flatMap((token = "", merged) => {
    const pairs: Merge[] = [];
    for (let cut = 1; cut < token.length; cut++) {
      const left = ids.get(token.slice(0, cut));
      const right = left === undefined ? undefined : ids.get(token.slice(cut));
      if (left !== undefined && right !== undefined) pairs.push({ left, right, merged });
    }
    return pairs.sort((a, b) => a.left - b.left || a.right - b.right);
  });
}

function wrongRanks(what: string, why: string): FileFormatError {
  return new FileFormatError({ code: "E_TOKENIZER_RANKS", what, why, fix: "pass the whole text of a .tiktoken file" });
}
