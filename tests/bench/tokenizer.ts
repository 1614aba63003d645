/** Speed of the tokenizer on Moby Dick and on TypeScript sources, as JSON lines {bench, case, value, unit, runs, spread}; value is
 *  the median of the runs, spread the distance between their quartiles. Encoding is also timed in turns with gpt-tokenizer,
 *  both with the same published vocabulary and the same ids; those lines have {peer, peerVersion, peerValue, ratio, ratioSpread}.
 *  `npm run bench -- tokenizer` */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as cl100k from "gpt-tokenizer/encoding/cl100k_base";
import * as o200k from "gpt-tokenizer/encoding/o200k_base";
import * as r50k from "gpt-tokenizer/encoding/r50k_base";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { loadTfjsSource } from "../../datasets/tfjsSource/index.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { ratioTo, report, summary } from "./report.ts";

const RUNS = 11;
const VOCAB_SIZE = 8192;
/** The least ratio to gpt-tokenizer that is asked for. */
const BAR = 1;

const { filter } = JSON.parse(process.argv[2] ?? "{}") as { filter?: string };
const isWanted = (name: string): boolean => name.includes(filter ?? "");

function measureSeconds(run: () => void): number {
  const startMs = performance.now();
  run();
  return (performance.now() - startMs) / 1000;
}

/** The figures of RUNS runs after one that is not counted. */
function figures(figureOfRun: () => number): number[] {
  figureOfRun();
  return Array.from({ length: RUNS }, figureOfRun);
}

function reportOne(name: string, unit: string, figureOfRun: () => number): void {
  if (isWanted(name)) report("tokenizer", name, unit, figures(figureOfRun));
}

const { text } = loadMobyDick();
const megabytesOf = (of: string): number => Buffer.byteLength(of, "utf8") / 1e6;
const megabytes = megabytesOf(text);

function reportOwn(): void {
  const tokenizer = trainTokenizer(text, { vocabSize: VOCAB_SIZE });
  const ids = tokenizer.encode(text);
  const longWord = text.replace(/\P{L}/gu, "").slice(0, 100_000);
  reportOne(`train, V=${VOCAB_SIZE}, 1.2 MB`, "s", () => measureSeconds(() => trainTokenizer(text, { vocabSize: VOCAB_SIZE })));
  reportOne(`encode, V=${VOCAB_SIZE}, 1.2 MB, words met before`, "MB/s", () => megabytes / measureSeconds(() => tokenizer.encode(text)));
  reportOne(`encode, V=${VOCAB_SIZE}, 1.2 MB, new tokenizer`, "MB/s", () => {
    const fresh = Tokenizer.fromJSON(tokenizer.toJSON());
    return megabytes / measureSeconds(() => fresh.encode(text));
  });
  reportOne(`encode, V=${VOCAB_SIZE}, one word of 100,000 letters`, "ms", () => 1000 * measureSeconds(() => tokenizer.encode(longWord)));
  reportOne(`decode, V=${VOCAB_SIZE}, 1.2 MB`, "MB/s", () => megabytes / measureSeconds(() => tokenizer.decode(ids)));
}

const require = createRequire(import.meta.url);
const peerFolder = dirname(require.resolve("gpt-tokenizer/package.json"));
const peerVersion = (require("gpt-tokenizer/package.json") as { version: string }).version;
/** The caches of both sides hold what they keep of a text after a first run. */
const vocabularies = [["r50k_base", "gpt2", r50k], ["cl100k_base", "cl100k", cl100k], ["o200k_base", "o200k", o200k]] as const;

/** Times both sides in turns, each round with the other one first, and reports once they have given the same ids. */
function compare(name: string, ours: Tokenizer, peer: (typeof vocabularies)[number][2], of: string): void {
  const expected = peer.encode(of);
  const found = ours.encode(of);
  if (found.length !== expected.length || !expected.every((id, i) => id === found[i])) throw new Error(`${name}: the two sides give different ids, so their times say nothing`);
  const size = megabytesOf(of);
  const rates = { ours: [] as number[], peer: [] as number[] };
  for (let round = 0; round < RUNS; round++) {
    const sides = [["ours", () => ours.encode(of)], ["peer", () => peer.encode(of)]] as const;
    for (const [side, run] of round % 2 === 0 ? sides : sides.toReversed()) rates[side].push(size / measureSeconds(run));
  }
  report("tokenizer", name, "MB/s", rates.ours, { peer: "gpt-tokenizer", peerVersion, peerValue: summary(rates.peer).value, ...ratioTo("gpt-tokenizer", rates.ours, rates.peer, BAR) });
}

function reportAgainstPeer(): void {
  const code = loadTfjsSource().text;
  for (const [vocabulary, pattern, peer] of vocabularies) {
    const texts = [[`encode, ${vocabulary}, prose`, text], [`encode, ${vocabulary}, program text`, code]] as const;
    if (!texts.some(([name]) => isWanted(name))) continue;
    const ours = Tokenizer.fromRanks(readFileSync(join(peerFolder, "data", `${vocabulary}.tiktoken`), "utf8"), { pattern });
    for (const [name, of] of texts) if (isWanted(name)) compare(name, ours, peer, of);
  }
}

reportOwn();
reportAgainstPeer();
