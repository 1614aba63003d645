// Calls the addon and the backend "native" with random arguments, in a process of its own, so that a crash is seen.
//   node main.mjs --part native|ops|fused|big|crash [--seed N] [--seconds N] [--cases N] [--only NAME,…] [--progress FILE]
// Prints one JSON object: {"cases": N, "wrong": [{"what", "seed"}]}. The progress file always holds the case that runs:
// its number is the seed that repeats it (--seed N --cases 1). --only fuzzes some functions or ops; "big" has a fixed number
// of cases; "crash" tests the report of a crash.
import { openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { nativeBinding } from "../../../toolkit/backend/binding.ts";
import { chooseBackend } from "../../../toolkit/backend/choose.ts";
import { bigTensorNames, tryBigTensors } from "./bigTensors.ts";
import { Chance } from "./chance.ts";
import { fuzzFusedOp, fusedNames } from "./fusedOps.ts";
import { fuzzFunction, type Addon } from "./nativeCalls.ts";
import { signatures } from "./signatures.ts";
import { fuzzOp, opNames } from "./tensorOps.ts";

const { values: options } = parseArgs({ options: {
  part: { type: "string", default: "native" }, seed: { type: "string", default: "1" }, seconds: { type: "string" }, cases: { type: "string" },
  only: { type: "string" }, progress: { type: "string" } } });

interface Part {
  /** what is fuzzed, in turns */
  readonly names: readonly string[];
  /** @returns what is wrong, or undefined */
  run(name: string, seed: number): string | undefined;
  /** cases after which there is nothing new */
  readonly mostCases?: number;
}

const parts: Readonly<Record<string, () => Promise<Part>>> = {
  native: async () => {
    const addon = nativeBinding() as unknown as Addon;
    return Promise.resolve({ names: Object.keys(signatures), run: (name, seed) => fuzzFunction(addon, name, seed) });
  },
  ops: async () => {
    await Promise.all([chooseBackend("cpu"), chooseBackend("native")]);
    await tf.setBackend("cpu");
    return { names: opNames, run: (name, seed) => fuzzOp(name, new Chance(seed)) };
  },
  fused: async () => {
    await Promise.all([chooseBackend("cpu"), chooseBackend("native")]);
    return { names: fusedNames, run: (name, seed) => fuzzFusedOp(name, new Chance(seed)) };
  },
  big: async () => {
    await chooseBackend("native");
    return { names: bigTensorNames, run: tryBigTensors, mostCases: bigTensorNames.length };
  },
  crash: () => Promise.resolve({
    names: ["crash"],
    run: (_, seed) => {
      if (seed % 10 === 3) process.kill(process.pid, "SIGKILL");
      return undefined;
    },
  }),
};

const part = await parts[options.part]();
const names = options.only === undefined ? part.names : options.only.split(",");
const progress = options.progress === undefined ? undefined : openSync(options.progress, "w");
const firstSeed = Number(options.seed);
const endMs = options.seconds === undefined ? Infinity : performance.now() + 1000 * Number(options.seconds);
const mostCases = Math.min(part.mostCases ?? Infinity, Number(options.cases ?? Infinity));
const wrong: { what: string; seed: number }[] = [];
let cases = 0;
while (cases < mostCases && performance.now() < endMs && wrong.length < 20) {
  const seed = firstSeed + cases;
  const name = names[seed % names.length]; // of the seed, so that the seed alone repeats the case
  if (progress !== undefined) writeSync(progress, `${seed} ${name}`.padEnd(60), 0);
  const what = part.run(name, seed);
  if (what !== undefined) wrong.push({ what: `${name} ${what}`, seed });
  cases += 1;
}
console.log(JSON.stringify({ cases, wrong }));
