/** Compares our tokenizer with HuggingFace's native `tokenizers`, installed into build/peers. Runs with PEERS=1. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { codeUnits, wordEnd } from "../../toolkit/tokenizer/preTokenize.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import type { TokenizerJson } from "../../toolkit/tokenizer/tokenizerJson.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";

const RELEASE = "0.23.3";
const venvFolder = join(import.meta.dirname, "..", "..", "build", "peers", "tokenizers");
const python = join(venvFolder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

interface NativeJob {
  readonly train?: { readonly texts: readonly string[]; readonly vocabSize: number };
  readonly json?: string;
  readonly encode: readonly string[];
}

interface NativeResult {
  readonly json: TokenizerJson;
  readonly ids: number[][];
  readonly decoded: string[];
  readonly words: string[][];
}

/** Installs native tokenizers; returns why it can't be used, or undefined. */
function setUpNative(): string | undefined {
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

function runNative(job: NativeJob): NativeResult {
  const script = join(import.meta.dirname, "nativeTokenizers.py");
  const output = execFileSync(python, [script], { input: JSON.stringify(job), maxBuffer: 2 ** 30 });
  return JSON.parse(output.toString("utf8")) as NativeResult;
}

/** Strings of code points that Unicode 16 and older versions know, so that both sides class them alike. */
function randomTexts(count: number): string[] {
  const ranges = [[0x20, 0x7e], [0x09, 0x0d], [0xa0, 0x24f], [0x300, 0x36f], [0x391, 0x3c9], [0x410, 0x44f], [0x5d0, 0x5ea], [0x660, 0x669],
    [0x905, 0x939], [0x2000, 0x206f], [0x2150, 0x2188], [0x3041, 0x3096], [0x4e00, 0x9fa5], [0xac00, 0xd7a3], [0xfe00, 0xfe0f], [0x1d400, 0x1d454], [0x1f300, 0x1f64f], [0x1f468, 0x1f469]];
  let state = 11;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: count }, () => {
    let text = "";
    for (let length = random(60); length > 0; length--) {
      const [from, to] = ranges[random(3) === 0 ? random(ranges.length) : 0];
      text += random(12) === 0 ? [" ", "\u200d", "'s", "'ll", "<|endoftext|>", "the"][random(6)] : String.fromCodePoint(from + random(to - from + 1));
    }
    return text;
  });
}

const problem = setUpNative();
if (problem !== undefined) console.warn(`tests/peers/tokenizers.test.ts is skipped: ${problem}`);

describe.skipIf(problem !== undefined)(`native tokenizers ${RELEASE}${problem === undefined ? "" : ` (skipped: ${problem})`}`, () => {
  test("trained alike on Moby Dick, the tokenizer.json is the same in all fields, and so are ids and text", () => {
    const { text } = loadMobyDick();
    const texts = [text, ...randomTexts(2000)];
    const native = runNative({ train: { texts: [text], vocabSize: 8192 }, encode: texts });
    const ours = trainTokenizer(text, { vocabSize: 8192 });
    expect(ours.toJSON().model.merges).toEqual(native.json.model.merges);
    expect(ours.toJSON()).toEqual(native.json);
    const read = Tokenizer.fromJSON(native.json);
    texts.forEach((piece, i) => {
      expect(Array.from(ours.encode(piece))).toEqual(native.ids[i]);
      expect(Array.from(read.encode(piece))).toEqual(native.ids[i]);
      expect(ours.decode(native.ids[i])).toBe(native.decoded[i]);
    });
  }, 300_000);

  test("native tokenizers reads our tokenizer.json and gives the same ids", () => {
    const texts = randomTexts(2000).concat("a".repeat(10_000), "ab".repeat(5_000));
    const ours = trainTokenizer(texts, { vocabSize: 2000 });
    const native = runNative({ json: JSON.stringify(ours), encode: texts });
    texts.forEach((text, i) => expect(Array.from(ours.encode(text))).toEqual(native.ids[i]));
  }, 300_000);

  test("words are cut in the same places", () => {
    const texts = randomTexts(5000).map((text) => text.replaceAll("<|endoftext|>", ""));
    const native = runNative({ json: JSON.stringify(trainTokenizer("x", { vocabSize: 257 })), encode: texts });
    texts.forEach((text, i) => {
      const units = codeUnits(text);
      const words: string[] = [];
      for (let start = 0, end = 0; start < units.length; start = end) {
        end = wordEnd(units, start, units.length);
        words.push(text.slice(start, end));
      }
      expect(words).toEqual(native.words[i]);
    });
  }, 300_000);

  test("words of few different letters, where most pairs are equally frequent, give the same merges", () => {
    let state = 3;
    const random = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    for (let round = 0; round < 10; round++) {
      const texts = Array.from({ length: 20 }, () => Array.from({ length: 40 }, () => "aaabc d"[random(2 + (round % 6))]).join(""));
      const native = runNative({ train: { texts, vocabSize: 257 + 20 * (round + 1) }, encode: texts });
      const ours = trainTokenizer(texts, { vocabSize: 257 + 20 * (round + 1) });
      expect(ours.toJSON()).toEqual(native.json);
      texts.forEach((text, i) => expect(Array.from(ours.encode(text))).toEqual(native.ids[i]));
    }
  }, 300_000);
});
