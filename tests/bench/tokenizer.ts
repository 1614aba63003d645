/** Speed of the tokenizer on Moby Dick, as JSON lines {bench, case, value, unit, runs, spread}; value is the median
 *  of the runs, spread the distance between their quartiles.
 *  `npm run bench -- tokenizer` */
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { Tokenizer } from "../../toolkit/tokenizer/tokenizer.ts";
import { report } from "./report.ts";

const RUNS = 11;
const VOCAB_SIZE = 8192;

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

const { text } = loadMobyDick();
const megabytes = Buffer.byteLength(text, "utf8") / 1e6;
const tokenizer = trainTokenizer(text, { vocabSize: VOCAB_SIZE });
const ids = tokenizer.encode(text);
const longWord = text.replace(/\P{L}/gu, "").slice(0, 100_000);

report("tokenizer", `train, V=${VOCAB_SIZE}, 1.2 MB`, "s", figures(() => measureSeconds(() => trainTokenizer(text, { vocabSize: VOCAB_SIZE }))));
report("tokenizer", `encode, V=${VOCAB_SIZE}, 1.2 MB, words met before`, "MB/s", figures(() => megabytes / measureSeconds(() => tokenizer.encode(text))));
report("tokenizer", `encode, V=${VOCAB_SIZE}, 1.2 MB, new tokenizer`, "MB/s", figures(() => {
  const fresh = Tokenizer.fromJSON(tokenizer.toJSON());
  return megabytes / measureSeconds(() => fresh.encode(text));
}));
report("tokenizer", `encode, V=${VOCAB_SIZE}, one word of 100,000 letters`, "ms", figures(() => 1000 * measureSeconds(() => tokenizer.encode(longWord))));
report("tokenizer", `decode, V=${VOCAB_SIZE}, 1.2 MB`, "MB/s", figures(() => megabytes / measureSeconds(() => tokenizer.decode(ids))));
