/** Runs HuggingFace's native `tokenizers`, installed into build/peers, where PEERS=1 asks for it. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TokenizerJson } from "../../toolkit/tokenizer/tokenizerJson.ts";

export const RELEASE = "0.23.3";
const venvFolder = join(import.meta.dirname, "..", "..", "build", "peers", "tokenizers");
export const python = join(venvFolder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

export type Layout = "gpt2" | "llama3" | "qwen2" | "o200k" | "deepseek" | "starcoder";

export interface NativeJob {
  readonly train?: { readonly texts: readonly string[]; readonly vocabSize: number; readonly layout?: Layout };
  readonly json?: string;
  readonly encode: readonly string[];
  readonly addSpecialTokens?: boolean;
  readonly encodeSpecialTokens?: boolean;
}

export interface NativeResult {
  readonly json: TokenizerJson;
  readonly ids: number[][];
  readonly decoded: string[];
  readonly words: string[][];
}

/** Installs native tokenizers; returns why it can't be used, or undefined. */
export function setUpNative(): string | undefined {
  if (process.env.PEERS !== "1") return "PEERS=1 is not set";
  try {
    if (!existsSync(python)) execFileSync("python3", ["-m", "venv", venvFolder], { stdio: "pipe" });
    execFileSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `tokenizers==${RELEASE}`], { stdio: "pipe", timeout: 300_000 });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message.trim().split("\n").slice(0, 3).join(" ");
  }
}

export function runNative(job: NativeJob): NativeResult {
  const script = join(import.meta.dirname, "nativeTokenizers.py");
  const output = execFileSync(python, [script], { input: JSON.stringify(job), maxBuffer: 2 ** 30 });
  return JSON.parse(output.toString("utf8")) as NativeResult;
}

/** Strings that mix scripts, combining marks, emoji sequences, control characters, kinds of white space, numbers, contractions
 *  and the given texts. Their code points are known to Unicode 16 and older versions, so that both sides class them alike. */
export function randomTexts(count: number, seed: number, pieces: readonly string[]): string[] {
  const ranges = [[0x20, 0x7e], [0x00, 0x1f], [0x09, 0x0d], [0x7f, 0xa0], [0xa1, 0x24f], [0x300, 0x36f], [0x391, 0x3a1], [0x410, 0x44f], [0x5d0, 0x5ea], [0x660, 0x669],
    [0x905, 0x939], [0x93e, 0x94d], [0x1100, 0x1112], [0x1161, 0x1175], [0x2000, 0x200f], [0x2028, 0x202f], [0x2150, 0x2188], [0x3041, 0x3096], [0x30a1, 0x30fa], [0x4e00, 0x9fa5],
    [0xac00, 0xd7a3], [0xfe00, 0xfe0f], [0xff10, 0xff3a], [0x1d400, 0x1d454], [0x1f300, 0x1f64f], [0x1f468, 0x1f469], [0x1f3fb, 0x1f3ff]];
  const common = [" ", "  ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "\u200d", "\ufe0f", "e\u0301", "ſ", "\u212a", "'", "'s", "'LL", "'Re", "'ſ", "1234", "٣", "½", "the", "The", "//", "https://", "naïve", "👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "\ufeff", "\u0085"];
  let state = seed;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: count }, () => {
    let text = "";
    for (let length = random(60); length > 0; length--) {
      const kind = random(12);
      const [from, to] = ranges[kind < 5 ? 0 : random(ranges.length)];
      if (kind === 11 && pieces.length > 0) text += pieces[random(pieces.length)];
      else if (kind >= 9) text += common[random(common.length)];
      else text += String.fromCodePoint(from + random(to - from + 1));
    }
    return text;
  });
}
